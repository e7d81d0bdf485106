package prompts

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// front is the front matter.
type front struct {
	About       string      `yaml:"about"`
	MaxTokens   int         `yaml:"max_tokens"`
	Temperature temperature `yaml:"temperature"`
	Effort      string      `yaml:"effort"`
	Expect      int         `yaml:"expect"`
	Answer      form        `yaml:"answer"`
}

type form struct {
	Text     string   `yaml:"text"`
	Sections []string `yaml:"sections"`
	List     string   `yaml:"list"`
	Count    int      `yaml:"count"`
	Least    int      `yaml:"least"`
	Most     int      `yaml:"most"`
	JSON     string   `yaml:"json"`

	line int
}

// UnmarshalYAML reads the form strictly and notes its line.
func (f *form) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: answer is text, sections, list or json, such as {list: scenario, count: 8}", n.Line)
	}
	known := []string{"text", "sections", "list", "count", "least", "most", "json"}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if hint := unknownKey(n.Content[i].Value, known); hint != "" {
			return fmt.Errorf("line %d: unknown key %s; %s", n.Content[i].Line, n.Content[i].Value, hint)
		}
	}
	type fields form // without this method
	err := n.Decode((*fields)(f))
	f.line = n.Line
	return err
}

func unknownKey(key string, known []string) string {
	for _, k := range known {
		if k == key {
			return ""
		}
	}
	return input.DidYouMean(key, known)
}

// temperature is a number, or own for the model's.
type temperature struct {
	set   bool
	value float64
}

// UnmarshalYAML reads a number or the word own.
func (t *temperature) UnmarshalYAML(n *yaml.Node) error {
	t.set = true
	if n.Value == "own" {
		t.value = because.OwnTemperature
		return nil
	}
	if err := n.Decode(&t.value); err != nil || !(t.value >= 0 && t.value <= 2) {
		return fmt.Errorf("line %d: temperature is a number from 0 to 2, or own", n.Line)
	}
	return nil
}

// readFront reads the front matter and gives what follows it with the number of lines before.
func (p *Prompt) readFront(text string) (body string, skipped int, err error) {
	f := front{Temperature: temperature{value: 1}}
	body = text
	if rest, ok := strings.CutPrefix(text, "---\n"); ok {
		matter, after, found := strings.Cut(rest, "\n---\n")
		if !found {
			return "", 0, place{p.File, 1}.bad("end it with a line of three dashes", "the front matter does not end")
		}
		// An empty line stands for the dashes, so that line numbers are the file's.
		if err := input.YAML(op, p.File, []byte("\n"+matter+"\n"), &f); err != nil {
			return "", 0, err
		}
		body, skipped = after, strings.Count(matter, "\n")+3
	}
	if f.MaxTokens < 0 || f.Expect < 0 {
		return "", 0, place{p.File, 1}.bad("", "max_tokens and expect are not negative")
	}
	p.About, p.MaxTokens, p.Temperature, p.Effort, p.Expect = f.About, f.MaxTokens, f.Temperature.value, f.Effort, f.Expect
	if !f.Temperature.set {
		p.Temperature = 1
	}
	if p.Expect == 0 {
		p.Expect = 500
		if p.MaxTokens > 0 {
			p.Expect = (p.MaxTokens + 1) / 2
		}
	}
	if p.Answer, err = f.Answer.check(); err != nil {
		return "", 0, place{p.File, max(1, f.Answer.line)}.bad("see the forms of answers: text, sections, list, json", "answer: %w", err)
	}
	return body, skipped, nil
}

// check makes the form of what the front matter says.
func (f form) check() (Form, error) {
	out := Form{Text: f.Text, List: f.List, Least: f.Least, Most: f.Most, JSON: f.JSON}
	kinds := 0
	for _, is := range []bool{f.Text != "", f.List != "" || len(f.Sections) > 0, f.JSON != ""} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return out, errors.New("it has more than one form")
	case kinds == 0:
		out.Text = "answer"
	case f.List == "" && (f.Count != 0 || f.Least != 0 || f.Most != 0):
		return out, errors.New("count, least and most belong to a list")
	case f.Count != 0 && (f.Least != 0 || f.Most != 0):
		return out, errors.New("a list has a count, or least and most")
	case f.Count < 0 || f.Least < 0 || f.Most < 0 || f.Most > 0 && f.Most < f.Least:
		return out, errors.New("count, least and most are numbers of items, least no more than most")
	}
	if f.Count > 0 {
		out.Least, out.Most = f.Count, f.Count
	}
	if out.List != "" {
		out.Least = max(1, out.Least)
	}
	return out, f.names(&out)
}

// names checks the names of the texts and adds the sections.
func (f form) names(out *Form) error {
	seen := map[string]bool{}
	for _, name := range append([]string{f.Text, f.List}, f.Sections...) {
		bare := strings.TrimSuffix(name, "?")
		switch {
		case name == "":
			continue
		case !isName.MatchString(bare):
			return fmt.Errorf("%q is no name: lower-case words joined by underscores", name)
		case seen[bare]:
			return fmt.Errorf("the name %s is there twice", bare)
		}
		seen[bare] = true
	}
	for _, name := range f.Sections {
		bare := strings.TrimSuffix(name, "?")
		out.Sections = append(out.Sections, Section{bare, bare != name})
	}
	return nil
}
