package chat_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/chat"
)

// vectors are what tools/parity/templates.py wrote.
type vectors struct {
	Magic         string
	Version       int
	Now           string
	Templates     map[string]string
	Conversations map[string]struct {
		Messages []because.Message
		Tools    []because.Tool
	}
	Cases []struct {
		Template, Conversation string
		AddGenerationPrompt    bool `json:"add_generation_prompt"`
		BOS, EOS               string
		Vars                   map[string]any
		outcome
	}
	Vars     map[string]json.RawMessage
	Snippets []struct {
		Source string
		outcome
	}
}

// outcome is what transformers made of a template: one of them is set.
type outcome struct{ Text, Raised, Failed *string }

func readVectors(t testing.TB) *vectors {
	t.Helper()
	path := os.Getenv("BECAUSE_TEMPLATE_VECTORS")
	if path == "" {
		path = "testdata/vectors.json.gz"
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	v := &vectors{}
	if err := json.NewDecoder(z).Decode(v); err != nil {
		t.Fatal(err)
	}
	if v.Magic != "because chat vectors" || v.Version != 1 {
		t.Fatalf("%s: %s %d: run tools/parity/templates.py", path, v.Magic, v.Version)
	}
	return v
}

func (v *vectors) time(t testing.TB) time.Time {
	t.Helper()
	now, err := time.Parse("2006-01-02T15:04:05.999999", v.Now)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// check compares a rendering with what transformers made of it.
func (o outcome) check(tmpl *chat.Template, err error, in chat.Input) error {
	var spans []chat.Span
	if err == nil {
		spans, err = tmpl.Render(in)
	}
	var raised *chat.Raised
	switch {
	case o.Text != nil && err != nil:
		return fmt.Errorf("%w; want %q", err, *o.Text)
	case o.Text != nil && chat.Text(spans) != *o.Text:
		return fmt.Errorf("got  %q\nwant %q", chat.Text(spans), *o.Text)
	case o.Text == nil && err == nil:
		return fmt.Errorf("got %q; transformers fails: %v%v", chat.Text(spans), str(o.Failed), str(o.Raised))
	case o.Raised != nil && (!errors.As(err, &raised) || raised.Message != *o.Raised):
		return fmt.Errorf("got error %w; transformers raises %q", err, *o.Raised)
	case o.Failed != nil && errors.As(err, &raised):
		return fmt.Errorf("got error %w; transformers fails: %s", err, *o.Failed)
	}
	return nil
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestParity compares templates with transformers: families of models, and snippets that go through the language.
func TestParity(t *testing.T) {
	v := readVectors(t)
	now := v.time(t)
	if os.Getenv("BECAUSE_TEMPLATE_VECTORS") == "" && len(v.Cases) < 300 {
		t.Fatalf("%d cases", len(v.Cases))
	}
	bad := map[string]int{}
	parsed := map[string]*chat.Template{}
	for name, source := range v.Templates {
		tmpl, err := chat.Parse(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		parsed[name] = tmpl
	}
	for _, c := range v.Cases {
		conversation := v.Conversations[c.Conversation]
		in := chat.Input{
			Messages: conversation.Messages, Tools: conversation.Tools, AddGenerationPrompt: c.AddGenerationPrompt,
			BOS: c.BOS, EOS: c.EOS, Vars: c.Vars, Now: now,
		}
		if err := c.check(parsed[c.Template], nil, in); err != nil {
			if bad[c.Template]++; bad[c.Template] <= 3 {
				t.Errorf("%s: %s: %+v: %v", c.Template, c.Conversation, c.Vars, err)
			}
		}
	}
	for name, n := range bad {
		t.Errorf("%s: %d cases differ", name, n)
	}
	vars := map[string]any{}
	for k, raw := range v.Vars {
		vars[k] = raw
	}
	for _, s := range v.Snippets {
		in := chat.Input{
			Messages: []because.Message{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Yo"}}, AddGenerationPrompt: true, Vars: vars, Now: now,
		}
		tmpl, err := chat.Parse(s.Source)
		if err := s.check(tmpl, err, in); err != nil {
			t.Errorf("%s\n%v", s.Source, err)
		}
	}
}
