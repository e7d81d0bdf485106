package evallog

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"time"
)

// fill sets the ids and the time that a start lacks.
func (s *Start) fill(now time.Time) {
	s.Version = Version
	for _, id := range []*string{&s.Eval.EvalID, &s.Eval.RunID, &s.Eval.TaskID} {
		if *id == "" {
			var b [16]byte
			rand.Read(b[:]) // never fails
			*id = hex.EncodeToString(b[:])
		}
	}
	if s.Eval.Created == "" {
		s.Eval.Created = Time(now)
	}
}

// filled gives the sample with ids where it lacks them, each a hash of what it belongs to, so that they come out alike another time: data
// frames need them for samples, messages and events. Equal messages in the same place of a conversation get the same id wherever they
// stand. What the sample shares with others, such as a system message, is copied before it is changed.
func (s *Sample) filled(evalID string) *Sample {
	out := *s
	if out.UUID == "" {
		out.UUID = hashID(evalID, s.ID.text, strconv.Itoa(s.Epoch))
	}
	out.Input.Messages = out.named(s.Input.Messages)
	out.Messages = out.named(s.Messages)
	out.Output = out.output(s.Output, nil)
	if s.EventsData != nil {
		data := *s.EventsData
		data.Messages = out.named(data.Messages)
		out.EventsData = &data
	}
	out.Events = slices.Clone(s.Events)
	for i := range out.Events {
		e := &out.Events[i]
		if e.UUID == "" {
			e.UUID = hashID(out.UUID, "event", strconv.Itoa(i))
		}
		switch body := e.Body.(type) {
		case *SampleInit:
			own := *body
			own.Sample.Input.Messages = out.named(own.Sample.Input.Messages)
			e.Body = &own
		case *ModelEvent:
			own := *body
			own.Input = out.named(own.Input)
			own.Output = out.output(own.Output, own.Input)
			e.Body = &own
		}
	}
	return &out
}

// named gives the messages of a conversation, with ids for those that lack one.
func (s *Sample) named(messages []Message) []Message {
	if !slices.ContainsFunc(messages, func(m Message) bool { return m.ID == "" }) {
		return messages
	}
	out, seen := slices.Clone(messages), map[string]int{}
	for i := range out {
		key := out[i].key()
		if out[i].ID == "" {
			out[i].ID = hashID(s.UUID, key, strconv.Itoa(seen[key]))
		}
		seen[key]++
	}
	return out
}

// output gives a model's answers, with the ids that they have as the next messages after input.
func (s *Sample) output(o Output, input []Message) Output {
	if !slices.ContainsFunc(o.Choices, func(c Choice) bool { return c.Message.ID == "" }) {
		return o
	}
	o.Choices = slices.Clone(o.Choices)
	for i := range o.Choices {
		m := &o.Choices[i].Message
		if m.ID != "" {
			continue
		}
		key, n := m.key(), 0
		for j := range input {
			if input[j].Role == m.Role && input[j].key() == key {
				n++
			}
		}
		m.ID = hashID(s.UUID, key, strconv.Itoa(n))
	}
	return o
}

// key is what tells messages of a conversation apart.
func (m *Message) key() string {
	key := m.Role + "\x00" + m.Content.String() + "\x00" + m.ToolCallID.One
	for _, c := range m.ToolCalls {
		key += "\x00" + c.ID
	}
	return key
}

func hashID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}
