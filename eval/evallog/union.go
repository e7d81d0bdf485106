package evallog

import (
	"fmt"
	"reflect"
	"strconv"
)

func (id *ID) appendJSON(b []byte) ([]byte, error) {
	if id.number {
		return append(b, id.text...), nil
	}
	return appendString(b, id.text), nil
}

func (id *ID) scanJSON(l *lexer) error {
	if l.peek() == '"' {
		s, err := l.text()
		*id = StringID(s)
		return err
	}
	text, err := l.scalar()
	if err != nil {
		return err
	}
	if _, err := strconv.ParseFloat(string(text), 64); err != nil || text[0] > '9' {
		return l.errorf("%s is neither a number nor a string", text)
	}
	*id = ID{text: string(text), number: true}
	return nil
}

// MarshalJSON gives the number or the string.
func (id ID) MarshalJSON() ([]byte, error) { return id.appendJSON(nil) }

// UnmarshalJSON reads a number or a string.
func (id *ID) UnmarshalJSON(text []byte) error { return decode(text, id) }

func (t *Texts) appendJSON(b []byte) ([]byte, error) {
	if t.Many == nil {
		return appendString(b, t.One), nil
	}
	return encode(b, &t.Many)
}

func (t *Texts) scanJSON(l *lexer) error {
	*t = Texts{}
	if l.peek() == '[' {
		return scanInto(l, &t.Many)
	}
	return scanInto(l, &t.One)
}

func (in *Input) appendJSON(b []byte) ([]byte, error) {
	if in.Messages == nil {
		return appendString(b, in.Text), nil
	}
	return encode(b, &in.Messages)
}

func (in *Input) scanJSON(l *lexer) error {
	*in = Input{}
	if l.peek() == '[' {
		return scanInto(l, &in.Messages)
	}
	return scanInto(l, &in.Text)
}

func (c *Content) appendJSON(b []byte) ([]byte, error) {
	if c.Parts == nil {
		return appendString(b, c.Text), nil
	}
	return encode(b, &c.Parts)
}

func (c *Content) scanJSON(l *lexer) error {
	*c = Content{}
	if l.peek() == '[' {
		return scanInto(l, &c.Parts)
	}
	return scanInto(l, &c.Text)
}

// plain is a Part without its own JSON form.
type plain Part

func (p *Part) appendJSON(b []byte) ([]byte, error) {
	if p.Raw != nil {
		return encode(b, &p.Raw)
	}
	if p.Type != "text" && p.Type != "reasoning" {
		return encode(b, (*plain)(p))
	}
	// Text and reasoning are required in their parts, empty or not.
	b = append(appendString(append(b, `{"type":`...), p.Type), ',')
	b = append(append(append(b, '"'), p.Type...), `":`...)
	if p.Type == "text" {
		return append(appendString(b, p.Text), '}'), nil
	}
	b = appendString(b, p.Reasoning)
	if p.Signature != "" {
		b = appendString(append(b, `,"signature":`...), p.Signature)
	}
	return append(strconv.AppendBool(append(b, `,"redacted":`...), p.Redacted), '}'), nil
}

func (p *Part) scanJSON(l *lexer) error { return scanInto(l, (*plain)(p)) }

// base is an Event's own fields.
type base Event

func (e *Event) appendJSON(b []byte) ([]byte, error) {
	if e.Body == nil {
		if e.Raw == nil {
			return b, fmt.Errorf("the event has no body")
		}
		return encode(b, &e.Raw)
	}
	own := base(*e)
	own.Kind = e.Body.kind()
	switch body := e.Body.(type) {
	case *ModelEvent:
		if body.ToolChoice == nil {
			filled := *body
			filled.ToolChoice = String("auto")
			return appendEvent(b, &own, &filled)
		}
	case *ToolEvent:
		if body.Type == "" {
			filled := *body
			filled.Type = "function"
			return appendEvent(b, &own, &filled)
		}
	}
	return appendEvent(b, &own, e.Body)
}

func appendEvent(b []byte, own *base, body Body) ([]byte, error) {
	b, err := eventObject(reflect.TypeFor[base]()).append(append(b, '{'), reflect.ValueOf(own).Elem())
	if err != nil {
		return b, err
	}
	v := reflect.ValueOf(body).Elem()
	b, err = eventObject(v.Type()).append(append(b, ','), v)
	return append(b, '}'), err
}

func (e *Event) scanJSON(l *lexer) error {
	l.peek()
	look := lexer{data: l.data, pos: l.pos, depth: l.depth}
	kind := ""
	err := look.object(func(name []byte) error {
		if string(name) == "event" {
			return scanInto(&look, &kind)
		}
		return look.skip()
	})
	if err != nil {
		l.pos = look.pos
		return err
	}
	*e = Event{Body: newBody(kind)}
	own := reflect.ValueOf((*base)(e)).Elem()
	o, start := eventObject(own.Type()), l.pos
	var body reflect.Value
	bo := &object{}
	if e.Body != nil {
		body = reflect.ValueOf(e.Body).Elem()
		bo = eventObject(body.Type())
	}
	err = l.object(func(name []byte) error {
		if f := o.byName[string(name)]; f != nil {
			return scanField(l, name, f, own)
		}
		return scanField(l, name, bo.byName[string(name)], body)
	})
	e.Raw = l.data[start:l.pos:l.pos]
	if err != nil {
		return fmt.Errorf("event %s: %w", kind, err)
	}
	return nil
}

// eventObjects keeps what objectOf found, by type.
var eventObjects = map[reflect.Type]*object{}

func eventObject(t reflect.Type) *object {
	codecsMu.Lock()
	defer codecsMu.Unlock()
	o := eventObjects[t]
	if o == nil {
		o = objectOf(t)
		eventObjects[t] = o
	}
	return o
}
