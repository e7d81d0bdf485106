package evallog

import (
	"encoding/json"
	"strconv"
	"time"
)

// ID names a sample: a string or a whole number, which Inspect keeps apart in JSON though not in file names. It can be a
// map's key.
type ID struct {
	text   string
	number bool
}

// StringID makes an ID of a string.
func StringID(s string) ID { return ID{text: s} }

// IntID makes an ID of a number.
func IntID(n int64) ID { return ID{text: strconv.FormatInt(n, 10), number: true} }

// String gives the ID as it stands in file names.
func (id ID) String() string { return id.text }

// Key names one run of a sample.
type Key struct {
	ID    ID
	Epoch int
}

// Texts is a string or a list of strings: One, unless Many is set.
type Texts struct {
	One  string
	Many []string
}

// One makes Texts of a single string.
func One(s string) Texts { return Texts{One: s} }

// List gives the strings.
func (t Texts) List() []string {
	if t.Many != nil {
		return t.Many
	}
	return []string{t.One}
}

// Input is what a sample asks: a text, or a conversation if Messages is set.
type Input struct {
	Text     string
	Messages []Message
}

// Content is what a message says: a text, or parts if Parts is set.
type Content struct {
	Text  string
	Parts []Part
}

// Text makes Content of a plain text.
func Text(s string) Content { return Content{Text: s} }

// String gives the text of a content: its text parts joined by newlines; reasoning, images and other data left out.
func (c Content) String() string {
	if c.Parts == nil {
		return c.Text
	}
	out, first := "", true
	for _, p := range c.Parts {
		if p.Type != "text" {
			continue
		}
		if !first {
			out += "\n"
		}
		out, first = out+p.Text, false
	}
	return out
}

// Reasoning gives the reasoning that a content holds.
func (c Content) Reasoning() string {
	out := ""
	for _, p := range c.Parts {
		if p.Type == "reasoning" {
			out += p.Reasoning
		}
	}
	return out
}

// Part is a piece of a message's content. Type is text, reasoning, image or another of Inspect's; the fields of the others stand in Raw.
type Part struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Reasoning string          `json:"reasoning,omitempty"`
	Signature string          `json:"signature,omitempty"`
	Redacted  bool            `json:"redacted,omitempty"`
	Image     string          `json:"image,omitempty"`
	Raw       json.RawMessage `json:"-"` // as it was read; a part that has one is written as it stands
}

// Time gives a time as logs write it: ISO 8601 in UTC with microseconds.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00:00") }

// ParseTime reads a time of a log, by whatever writer.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		// Old logs leave the zone out; they mean UTC.
		if u, err2 := time.Parse("2006-01-02T15:04:05.999999999", s); err2 == nil {
			return u, nil
		}
	}
	return t, err
}

// Number gives a score's value. NaN and infinities are written as such, as Inspect does.
func Number(f float64) json.RawMessage { return appendFloat(nil, f) }

// String gives a text as a JSON value.
func String(s string) json.RawMessage { return appendString(nil, s) }

// Bool gives a truth value as a JSON value.
func Bool(b bool) json.RawMessage { return strconv.AppendBool(nil, b) }
