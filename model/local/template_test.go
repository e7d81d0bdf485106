package local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

func TestPrompt(t *testing.T) {
	template := RoleTemplate("ava")
	say := func(role because.Role, name, text string) because.Message {
		return because.Message{Role: role, Name: name, Content: text}
	}
	conversation := []because.Message{say(because.RoleSystem, "", "be kind ."), say(because.RoleUser, "", "help me ."),
		say(because.RoleAssistant, "", "call mail ."), say(because.RoleTool, "", "mail sent ."), say(because.RoleAssistant, "max", "done .")}
	for _, c := range []struct {
		messages []because.Message
		as       string
		want     string
	}{
		{nil, "", "<turn> ava :"},
		{nil, "max", "<turn> max :"},
		{conversation[:2], "", "<sys> be kind . <user> help me . <turn> ava :"},
		{conversation, "eve", "<sys> be kind . <user> help me . <turn> ava : call mail . <end> <obs> mail sent . <turn> max : done . <end> <turn> eve :"},
	} {
		if got := template.Prompt(c.messages, c.as); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
		if got := template.Render(c.messages, c.as, "yes ."); got != c.want+" yes ." {
			t.Errorf("with an answer: %q", got)
		}
	}
}

// TestTemplate compares with what transformers renders from the Jinja form; testdata/template.py makes the texts.
func TestTemplate(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Persona, Jinja string
		Cases          []struct {
			Name     string
			Messages []because.Message
			As       string
			Open     bool // the assistant's turn is opened, which Prompt always does
			Text     string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	template := RoleTemplate(file.Persona)
	if got := template.Jinja(); got != file.Jinja {
		t.Fatalf("the Jinja form is another than that of the texts: put it into testdata/template.json and run template.py there\n%s", got)
	}
	for _, c := range file.Cases {
		want := c.Text
		if !c.Open {
			want += template.Prompt(nil, "")
		}
		if got := template.Prompt(c.Messages, c.As); got != want {
			t.Errorf("%s: got\n%q, and transformers gives\n%q", c.Name, got, want)
		}
	}
	if len(file.Cases) < 8 {
		t.Errorf("there are only %d cases", len(file.Cases))
	}
}

func TestFindTemplate(t *testing.T) {
	want := RoleTemplate("max")
	if got, err := findTemplate(want.Jinja()); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, other := range []string{"", "{{ messages }}", strings.Replace(want.Jinja(), "<obs>", "<tool>", 1), want.Jinja() + " ",
		strings.Replace(want.Jinja(), "default('max')", "default('eve')", 1)} {
		if got, err := findTemplate(other); err == nil {
			t.Errorf("%q was taken for %+v", other, got)
		}
	}
}
