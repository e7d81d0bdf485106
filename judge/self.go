package judge

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// sameModel tells whether two names stand for one model, whoever serves it: the same last element, whatever the case, a date or
// revision after it left aside.
func sameModel(a, b string) bool {
	return a != "" && b != "" && modelName(a) == modelName(b)
}

var revision = regexp.MustCompile(`[-@:](?:\d{8}|\d{4}-\d{2}-\d{2}|latest|v\d+)$`)

func modelName(name string) string {
	name = strings.ToLower(strings.TrimRight(name, "/"))
	return revision.ReplaceAllString(name[strings.LastIndexByte(name, '/')+1:], "")
}

// hidden stands for the names that a judge is not to see.
const hidden = "[name]"

// anonymous hides the names of the material's makers in a text, wherever they stand as words.
func (s Subject) anonymous(text string) string {
	names := slices.Clone(s.Names)
	if s.By != "" {
		names = append(names, s.By, modelName(s.By))
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.TrimSpace(n) == "" || strings.EqualFold(n, "name") })
	if len(names) == 0 {
		return text
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // a longer name may begin with a shorter one
	for i, n := range names {
		names[i] = regexp.QuoteMeta(strings.TrimSpace(n))
	}
	re := regexp.MustCompile(`(?i)(^|[^\pL\pN])(?:` + strings.Join(names, "|") + `)($|[^\pL\pN])`)
	for range 2 { // neighbours share the character between them
		text = re.ReplaceAllString(text, "${1}"+hidden+"${2}")
	}
	return text
}

// hideAll rewrites every text of a transcript that a judge may see.
func hideAll(t because.Transcript, hide func(string) string) because.Transcript {
	out := because.Transcript{Messages: slices.Clone(t.Messages)}
	for i := range out.Messages {
		m := &out.Messages[i]
		m.Content, m.Reasoning, m.Name = hide(m.Content), hide(m.Reasoning), hide(m.Name)
		m.ToolCalls = slices.Clone(m.ToolCalls)
		for k := range m.ToolCalls {
			m.ToolCalls[k].Name = hide(m.ToolCalls[k].Name)
			m.ToolCalls[k].Arguments = json.RawMessage(hide(string(m.ToolCalls[k].Arguments)))
		}
	}
	return out
}
