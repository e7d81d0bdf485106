package pipe

import (
	"fmt"
	"io"
	"strings"
)

// Style says how a story is printed.
type Style struct {
	Color   bool // ANSI colours: red for what was taken out, green for what was put in; otherwise [-...-] and {+...+}
	Prompts bool // the prompts as they were sent
	Lines   int  // of a text or prompt at most; 0: all
}

// Write prints the story: from the principle through every stage, with its prompt and what it changed, to the final text.
func (s Story) Write(w io.Writer, style Style) error {
	p := &printer{w: w, style: style}
	p.line("%s", s.ID)
	switch {
	case s.Row > 0:
		p.line("  record %d of the recipe %s %s, seed %d", s.Row, s.Recipe, s.Version, s.Seed)
	default:
		p.line("  dropped in the stage %s of the recipe %s %s, seed %d: %s", s.DroppedIn, s.Recipe, s.Version, s.Seed, s.Dropped)
	}
	p.known("  constitution", s.Constitution)
	p.known("  principle", s.Principle)
	p.known("  kind", s.Kind)
	for i, step := range s.Steps {
		p.step(i, step)
	}
	p.tries(s.Tries)
	return p.err
}

// printer keeps the first error.
type printer struct {
	w     io.Writer
	style Style
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) known(what, text string) {
	if text != "" {
		p.line("%s: %s", what, text)
	}
}

func (p *printer) step(i int, s StoryStep) {
	title := "source"
	if s.Stage != "" {
		title = s.Stage
	}
	p.line("")
	p.line("%d. %s  (%s)", i+1, title, s.Item)
	if s.Prompt != "" {
		p.line("   prompt %s@%s, answered by %s", s.Prompt, s.Hash, s.Model)
	} else if s.Model != "" {
		p.line("   answered by %s", s.Model)
	}
	if p.style.Prompts {
		for _, m := range s.Request {
			p.block(string(m.Role)+" >", m.Content)
		}
	}
	p.tries(s.Tries)
	for _, t := range s.Texts {
		switch {
		case !t.Has:
			p.line("   %s: taken away", t.Name)
		case !t.Had:
			p.block(t.Name+":", t.After)
		default:
			p.block(t.Name+", rewritten:", p.diff(Diff(t.Before, t.After)))
		}
	}
}

func (p *printer) tries(tries []Try) {
	for _, t := range tries {
		p.block(fmt.Sprintf("not used (%s: %s):", t.Flaw, t.Detail), t.Answer)
	}
}

// block prints a text below its title, indented.
func (p *printer) block(title, text string) {
	p.line("   %s", title)
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	left := 0
	if p.style.Lines > 0 && len(lines) > p.style.Lines {
		left = len(lines) - p.style.Lines
		lines = lines[:p.style.Lines]
	}
	for _, l := range lines {
		p.line("      %s", l)
	}
	if left > 0 {
		p.line("      (%d more lines)", left)
	}
}

// diff marks changes in a text.
func (p *printer) diff(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		open, end := "", ""
		switch {
		case c.Op == ' ':
		case p.style.Color && c.Op == '-':
			open, end = "\x1b[31;9m", "\x1b[0m"
		case p.style.Color:
			open, end = "\x1b[32m", "\x1b[0m"
		case c.Op == '-':
			open, end = "[-", "-]"
		default:
			open, end = "{+", "+}"
		}
		text := strings.TrimRight(c.Text, " \t\n")
		b.WriteString(open + text + end + c.Text[len(text):])
	}
	return b.String()
}
