package constitution

import (
	"fmt"
	"sort"
	"strings"
)

// Finding is something about a constitution that its author may want to change. Unlike an error of Parse it leaves the document usable.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// String gives the finding with its place.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message) }

// fewWords is the length below which a reason is reported: a sentence of a dozen words states a reason, less tends to name one.
const fewWords = 12

// Check reads the constitution as a careful editor would and reports, in the order of lines: principles that state no reason where the form leaves
// room for one, reasons of a few words, references to principles that don't exist, titles and statements that occur twice, and a persona that is never named.
func (c *Constitution) Check() []Finding {
	var found []Finding
	report := func(line int, format string, args ...any) {
		found = append(found, Finding{c.file, line, fmt.Sprintf(format, args...)})
	}
	c.checkReferences(c.Preamble, 1, report)
	titles, statements := map[string]int{}, map[string]int{}
	for _, p := range c.Principles {
		if len(p.Reasons()) == 0 && c.Form == "" {
			report(p.Line, "the principle %s states no reason", p.ID)
		}
		if line, twice := titles[p.Title]; twice {
			report(p.Line, "the title of %s is that of the principle on line %d", p.ID, line)
		}
		if line, twice := statements[p.Statement()]; twice {
			report(p.Line, "the statement of %s is that of the principle on line %d", p.ID, line)
		}
		titles[p.Title], statements[p.Statement()] = p.Line, p.Line
		for _, part := range p.Parts {
			if n := countWords(part.Text); part.Kind == Reason && n < fewWords {
				report(part.Line, "a reason of %s has %d words; would it convince anybody who doesn't hold it already?", p.ID, n)
			}
			c.checkReferences(part.Text, part.Line, report)
		}
	}
	if c.Persona != "" && !strings.Contains(c.Text(), c.Persona) {
		report(c.front["persona"], "the text never names the persona, %s", c.Persona)
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Line < found[j].Line })
	return found
}

func (c *Constitution) checkReferences(text string, line int, report func(int, string, ...any)) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if _, ok := c.byID[m[1]]; !ok {
			report(line, "a reference to %q, which is no principle's id", m[1])
		}
	}
}
