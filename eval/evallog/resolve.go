package evallog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Inspect condenses samples: a long text stands once in the sample's attachments and elsewhere as attachment://KEY (in old logs
// tc://KEY), a model event's messages and the messages of its raw call stand in events_data and are named by ranges.

// maxResolved bounds what the references of one sample may grow to: a small file can name a large text very often.
const maxResolved = 256 << 20

var errResolved = errors.New("the sample's references would grow to more than 256 MiB")

// resolveText gives the attachment that a text names, or the text itself if it names none.
func resolveText(s string, attachments map[string]string) string {
	key, ok := strings.CutPrefix(s, "attachment://")
	if !ok {
		key, ok = strings.CutPrefix(s, "tc://")
	}
	if text, there := attachments[key]; ok && there {
		return text
	}
	return s
}

// resolver swaps references in JSON text, within a budget of bytes.
type resolver struct {
	attachments map[string]string
	messages    []json.RawMessage
	calls       []json.RawMessage
	budget      int
}

// raw gives JSON text with its attachments in place. In JSON, a quote without a backslash before it that is followed by the mark can only
// be the start of a string.
func (r *resolver) raw(text []byte) ([]byte, error) {
	if len(r.attachments) == 0 || !bytes.Contains(text, []byte("://")) {
		return text, nil
	}
	var out []byte
	done := 0
	for at := 0; at < len(text); {
		i := bytes.IndexByte(text[at:], '"')
		if i < 0 {
			break
		}
		at += i
		rest := text[at:]
		starts := bytes.HasPrefix(rest, []byte(`"attachment://`)) || bytes.HasPrefix(rest, []byte(`"tc://`))
		if !starts || at > 0 && text[at-1] == '\\' {
			at++
			continue
		}
		l := lexer{data: rest, attachments: r.attachments}
		s, err := l.text()
		if err != nil {
			return nil, err
		}
		if l.peek() != ':' { // the name of a field stays
			out = append(out, text[done:at]...)
			if r.budget -= len(s); r.budget < 0 {
				return nil, errResolved
			}
			out = appendString(out, s)
			done = at + bytes.IndexByte(rest[1:], '"') + 2
		}
		at += bytes.IndexByte(rest[1:], '"') + 2
	}
	if out == nil {
		return text, nil
	}
	return append(out, text[done:]...), nil
}

// pick appends the pool's elements in the given ranges as a JSON list.
func (r *resolver) pick(b []byte, refs [][2]int, pool []json.RawMessage) ([]byte, error) {
	b = append(b, '[')
	for _, ref := range refs {
		if ref[0] < 0 || ref[1] > len(pool) || ref[0] > ref[1] {
			return b, fmt.Errorf("a reference to %d:%d in a pool of %d", ref[0], ref[1], len(pool))
		}
		for _, element := range pool[ref[0]:ref[1]] {
			if r.budget -= len(element) + 1; r.budget < 0 {
				return b, errResolved
			}
			if b[len(b)-1] != '[' {
				b = append(b, ',')
			}
			b = append(b, element...)
		}
	}
	return append(b, ']'), nil
}

// prescan finds the attachments of a sample, which stand behind what refers to them.
func prescan(data []byte) (map[string]string, error) {
	if !bytes.Contains(data, []byte(`"attachments"`)) {
		return nil, nil
	}
	var found map[string]string
	l := &lexer{data: data}
	err := l.object(func(name []byte) error {
		if string(name) == "attachments" {
			return scanInto(l, &found)
		}
		return l.skip()
	})
	return found, err
}

// decodeSample reads a sample and puts its references in place.
func decodeSample(data []byte) (*Sample, error) {
	attachments, err := prescan(data)
	if err != nil {
		return nil, err
	}
	s := new(Sample)
	l := &lexer{data: data, attachments: attachments}
	if len(attachments) > 0 {
		l.resolver = &resolver{attachments: attachments, budget: maxResolved}
	}
	if err := scanInto(l, s); err != nil {
		return nil, err
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	if s.ID.text == "" && !bytes.Contains(data, []byte(`"id"`)) || s.Epoch < 0 {
		return nil, errors.New("it has no id")
	}
	return s, s.unpool()
}

// unpool puts the messages that model events refer to in place. They share their texts.
func (s *Sample) unpool() error {
	if s.EventsData == nil {
		return nil
	}
	pool, left := s.EventsData.Messages, maxResolved/256 // a Message is some 200 bytes
	calls := resolver{calls: s.EventsData.Calls, budget: maxResolved}
	for i := range s.Events {
		m, ok := s.Events[i].Body.(*ModelEvent)
		if !ok {
			continue
		}
		if m.InputRefs != nil && len(pool) > 0 {
			var input []Message
			for _, ref := range m.InputRefs {
				if ref[0] < 0 || ref[1] > len(pool) || ref[0] > ref[1] {
					return fmt.Errorf("events[%d]: a reference to %d:%d in a pool of %d messages", i, ref[0], ref[1], len(pool))
				}
				if left -= ref[1] - ref[0]; left < 0 {
					return errResolved
				}
				input = append(input, pool[ref[0]:ref[1]]...)
			}
			m.Input, m.InputRefs = input, nil
		}
		if m.Call != nil && m.Call.CallRefs != nil && len(calls.calls) > 0 {
			request, err := calls.request(m.Call.Request, m.Call.CallRefs, m.Call.CallKey)
			if err != nil {
				return fmt.Errorf("events[%d]: call: %w", i, err)
			}
			m.Call.Request, m.Call.CallRefs, m.Call.CallKey = request, nil, ""
		}
	}
	s.EventsData = nil
	return nil
}

// request puts pooled messages into a raw request, under a key that "messages" stands in for.
func (r *resolver) request(request json.RawMessage, refs [][2]int, key string) (json.RawMessage, error) {
	if key == "" {
		key = "messages"
	}
	list, err := r.pick(nil, refs, r.calls)
	if err != nil {
		return nil, err
	}
	return replace(request, map[string][]byte{key: list})
}

// replace gives an object with fields set to other values: in their place, or at the end; a nil value takes the field out.
func replace(object []byte, with map[string][]byte) ([]byte, error) {
	out, done := []byte{'{'}, map[string]bool{}
	put := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(appendString(out, name), ':'), value...)
	}
	l := &lexer{data: object}
	err := l.object(func(name []byte) error {
		key := string(name)
		value, err := l.raw()
		if other, ok := with[key]; ok {
			value = other
			if done[key] {
				value = nil
			}
			done[key] = true
		}
		if err == nil && value != nil {
			put(key, value)
		}
		return err
	})
	for _, key := range sortedKeys(with) {
		if !done[key] && with[key] != nil {
			put(key, with[key])
		}
	}
	return append(out, '}'), err
}

// Resolved gives the sample as it was read, fields unknown to this package included, with all references in place.
func (s *Sample) Resolved() (json.RawMessage, error) {
	attachments, err := prescan(s.Raw)
	if err != nil {
		return nil, err
	}
	r := &resolver{attachments: attachments, budget: maxResolved}
	text, err := r.raw(s.Raw)
	if err != nil {
		return nil, err
	}
	var head struct {
		Events []json.RawMessage `json:"events"`
		Data   *struct {
			Messages []json.RawMessage `json:"messages"`
			Calls    []json.RawMessage `json:"calls"`
		} `json:"events_data"`
	}
	if err := decode(text, &head); err != nil {
		return nil, err
	}
	with := map[string][]byte{"attachments": nil, "events_data": nil}
	if head.Data != nil {
		r.messages, r.calls = head.Data.Messages, head.Data.Calls
		for i, e := range head.Events {
			if head.Events[i], err = r.event(e); err != nil {
				return nil, fmt.Errorf("events[%d]: %w", i, err)
			}
		}
		if with["events"], err = encode(nil, &head.Events); err != nil {
			return nil, err
		}
	}
	return replace(text, with)
}

// event puts the pooled messages into one event.
func (r *resolver) event(event json.RawMessage) (json.RawMessage, error) {
	var refs struct {
		Input [][2]int `json:"input_refs"`
		Call  *struct {
			Request json.RawMessage `json:"request"`
			Refs    [][2]int        `json:"call_refs"`
			Key     string          `json:"call_key"`
		} `json:"call"`
		Raw json.RawMessage `json:"-"`
	}
	if !bytes.Contains(event, []byte("_refs")) {
		return event, nil
	}
	if err := decode(event, &refs); err != nil {
		return nil, err
	}
	with := map[string][]byte{}
	if refs.Input != nil && len(r.messages) > 0 {
		list, err := r.pick(nil, refs.Input, r.messages)
		if err != nil {
			return nil, err
		}
		with["input"], with["input_refs"] = list, nil
	}
	if refs.Call != nil && refs.Call.Refs != nil && len(r.calls) > 0 {
		request, err := r.request(refs.Call.Request, refs.Call.Refs, refs.Call.Key)
		if err != nil {
			return nil, err
		}
		var call struct {
			Call json.RawMessage `json:"call"`
		}
		if err := decode(event, &call); err != nil {
			return nil, err
		}
		if with["call"], err = replace(call.Call, map[string][]byte{"request": request, "call_refs": nil, "call_key": nil}); err != nil {
			return nil, err
		}
	}
	return replace(event, with)
}
