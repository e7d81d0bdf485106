package judge

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"go.yaml.in/yaml/v3"
)

const opGold = "read gold set"

// Item is one labelled case of the gold set: a subject, its labels (the answers by the rubric), and why.
type Item struct {
	ID     string
	Rubric string
	// Kind is positive (what the rubric looks for is plainly there), negative (it plainly isn't), or near-miss: a case of either that a
	// hasty reader would label otherwise.
	Kind string
	// Adversarial items try to steer the grading.
	Adversarial bool
	Subject     Subject
	Expect      map[string]string // answer by question
	Why         string
}

var itemKinds = []string{"positive", "negative", "near-miss"}

// The gold set was written for this project and is given to the public domain (CC0).
//
//go:embed gold/*.yaml
var shippedGold embed.FS

// Gold gives the shipped gold set, in the order of its files' names. Its labels are those of its author, who wrote each case for its
// label; no second rater has confirmed them.
func Gold() ([]Item, error) {
	files, err := shippedGold.ReadDir("gold")
	if err != nil {
		return nil, because.E(opGold, "gold", err, "")
	}
	var all []Item
	for _, f := range files {
		text, err := shippedGold.ReadFile(path.Join("gold", f.Name()))
		if err != nil {
			return nil, because.E(opGold, f.Name(), err, "")
		}
		items, err := ParseGold(f.Name(), text)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// LoadGold reads a file of labelled cases.
func LoadGold(file string) ([]Item, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E(opGold, file, err, "")
	}
	return ParseGold(file, text)
}

// ParseGold reads labelled cases for one rubric from the text of a YAML file; name says in errors where it comes from. Whether
// the answers are the rubric's is for Check to see, which knows the rubric.
func ParseGold(name string, text []byte) ([]Item, error) {
	f := newFile(opGold, name)
	root, err := f.root(text)
	if err != nil {
		return nil, err
	}
	var rubric string
	var items []Item
	ids := map[string]bool{}
	err = f.mapping(root, "", map[string]key{
		"rubric": {true, f.text(&rubric)},
		"items": {true, f.list(func(n *yaml.Node, at string) error {
			item, err := readItem(f, n, at)
			if err == nil && ids[item.ID] {
				err = f.bad(n, at+".id", "", "%s stands twice", item.ID)
			}
			ids[item.ID] = true
			items = append(items, item)
			return err
		})},
	})
	for i := range items {
		items[i].Rubric = rubric
	}
	return items, err
}

func readItem(f *yamlFile, n *yaml.Node, path string) (Item, error) {
	item := Item{Subject: Subject{Facts: map[string]string{}}, Expect: map[string]string{}}
	err := f.mapping(n, path, map[string]key{
		"id":          {true, f.text(&item.ID)},
		"kind":        {true, f.text(&item.Kind)},
		"adversarial": {false, f.truth(&item.Adversarial)},
		"facts":       {false, f.pairs(func(name, value string) { item.Subject.Facts[name] = value })},
		"transcript":  {true, f.list(readTurn(f, &item.Subject.Transcript))},
		"expect":      {true, f.pairs(func(question, answer string) { item.Expect[question] = answer })},
		"why":         {true, f.text(&item.Why)},
	})
	if err == nil && !slices.Contains(itemKinds, item.Kind) {
		err = f.bad(n, path+".kind", strings.Join(itemKinds, ", "), "%q is no kind of item", item.Kind)
	}
	return item, err
}

// readTurn reads a message: its role with what was said, and for the assistant what it thought and called. A tool's answer belongs
// to the first call that has none.
func readTurn(f *yamlFile, t *because.Transcript) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		said := map[because.Role]*string{}
		keys := map[string]key{}
		var m because.Message
		for _, role := range []because.Role{because.RoleSystem, because.RoleUser, because.RoleAssistant, because.RoleTool} {
			said[role] = new(string)
			keys[string(role)] = key{false, func(n *yaml.Node, path string) error {
				if m.Role != "" {
					return f.bad(n, path, "start a new item of the list", "a message has one role")
				}
				m.Role = role
				return f.text(said[role])(n, path)
			}}
		}
		keys["reasoning"] = key{false, f.text(&m.Reasoning)}
		keys["calls"] = key{false, f.list(readCall(f, t, &m))}
		if err := f.mapping(n, path, keys); err != nil {
			return err
		}
		switch {
		case m.Role == "":
			return f.bad(n, path, "system, user, assistant or tool", "the message has no role")
		case m.Role != because.RoleAssistant && (m.Reasoning != "" || len(m.ToolCalls) > 0):
			return f.bad(n, path, "", "only an assistant thinks and calls")
		case m.Role == because.RoleTool:
			if m.ToolCallID = unanswered(t); m.ToolCallID == "" {
				return f.bad(n, path, "", "no call waits for an answer")
			}
		}
		m.Content = *said[m.Role]
		t.Messages = append(t.Messages, m)
		return nil
	}
}

// readCall reads {name: {argument: text}}.
func readCall(f *yamlFile, t *because.Transcript, m *because.Message) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
			return f.bad(n, path, "write name: {argument: text}", "a call is expected")
		}
		var name string
		if err := f.text(&name)(n.Content[0], path); err != nil {
			return err
		}
		arguments := map[string]string{}
		if err := f.pairs(func(k, v string) { arguments[k] = v })(n.Content[1], join(path, name)); err != nil {
			return err
		}
		raw, err := json.Marshal(arguments)
		if err != nil {
			return f.bad(n, path, "", "%w", err)
		}
		id := fmt.Sprintf("call-%d-%d", len(t.Messages)+1, len(m.ToolCalls)+1)
		m.ToolCalls = append(m.ToolCalls, because.ToolCall{ID: id, Name: name, Arguments: raw})
		return nil
	}
}

// unanswered gives the id of the first call that no tool has answered, or "".
func unanswered(t *because.Transcript) string {
	answered := map[string]bool{}
	for _, m := range t.Messages {
		answered[m.ToolCallID] = true
	}
	for _, m := range t.Messages {
		for _, c := range m.ToolCalls {
			if !answered[c.ID] {
				return c.ID
			}
		}
	}
	return ""
}
