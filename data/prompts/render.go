package prompts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// Hash identifies what the prompt says, its front matter, the files that it includes and the schema of its answer among it.
func (p *Prompt) Hash() string { return p.hash }

// Source gives the file's text, with what it includes.
func (p *Prompt) Source() string { return p.source }

// Bytes is the length of the messages without what fills their variables.
func (p *Prompt) Bytes() int {
	n := 0
	for _, m := range p.messages {
		for _, piece := range m.pieces {
			n += len(piece.text)
			if piece.variable == answerForm {
				n += len(p.Answer.Ask())
			}
		}
	}
	return n
}

// Uses tells how often the prompt uses a variable.
func (p *Prompt) Uses(variable string) int {
	n := 0
	for _, m := range p.messages {
		for _, piece := range m.pieces {
			if piece.variable == variable {
				n++
			}
		}
	}
	return n
}

// Variables lists the variables that the prompt uses, sorted, without answer_form.
func (p *Prompt) Variables() []string {
	var names []string
	for name := range p.places {
		if name != answerForm {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Check tells whether the prompt uses the variables that its stage has: all of them, but for those with a question mark, and no others. Each
// complaint is a because.Error about "file:line".
func (p *Prompt) Check(uses ...string) []error {
	var errs []error
	known := map[string]bool{answerForm: true}
	var names []string
	for _, name := range uses {
		bare := strings.TrimSuffix(name, "?")
		known[bare], names = true, append(names, bare)
		if _, used := p.places[bare]; !used && bare == name {
			errs = append(errs, place{p.File, p.lastMessage()}.bad("put {{"+bare+"}} where it belongs", "the variable %s is not used", bare))
		}
	}
	for _, name := range p.Variables() {
		if !known[name] {
			hint := input.DidYouMean(name, names)
			if hint == "" {
				hint = "the stage has no variables"
			}
			errs = append(errs, p.places[name].bad(hint, "unknown variable {{%s}}", name))
		}
	}
	return errs
}

// lastMessage is the line where the last message's text begins, or 1.
func (p *Prompt) lastMessage() int {
	line := 0
	for i, l := range strings.Split(p.source, "\n") {
		if opens.MatchString(strings.TrimSpace(l)) {
			line = i
		}
	}
	return line + 1
}

// Render fills the variables, each once: a text is never searched for variables. A variable for which vars has no text is an error.
func (p *Prompt) Render(vars func(name string) (string, bool)) ([]because.Message, error) {
	out := make([]because.Message, 0, len(p.messages))
	for _, m := range p.messages {
		var b strings.Builder
		for _, piece := range m.pieces {
			switch {
			case piece.variable == "":
				b.WriteString(piece.text)
			case piece.variable == answerForm:
				b.WriteString(p.Answer.Ask())
			default:
				text, ok := vars(piece.variable)
				if !ok {
					return nil, p.places[piece.variable].bad("", "nothing gives the variable {{%s}}", piece.variable)
				}
				b.WriteString(text)
			}
		}
		if text := strings.TrimSpace(b.String()); text != "" {
			out = append(out, because.Message{Role: m.role, Content: text})
		}
	}
	if len(out) == 0 || out[len(out)-1].Role != because.RoleUser {
		return nil, because.E(op, p.File, fmt.Errorf("with these variables there is no user message at its end"), "")
	}
	return out, nil
}
