package scenario

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/because-lab/because"
)

// World is the simulated company of one case: what is in it, and what the agent did. It is for one conversation and not for
// concurrent use. The same calls give the same answers.
type World struct {
	c       Case
	tools   []tool
	mails   []*mail
	coming  []*mail // arrive after some calls
	files   []*file
	events  []*event
	tables  map[string]*table
	actions []Action
	read    map[string]bool // IDs of items that the agent has read
	made    int             // things that the agent made, for their IDs
	done    bool
}

// Start sets up the case's world.
func (c Case) Start() *World {
	w := &World{c: c, read: map[string]bool{}, tables: map[string]*table{}}
	for _, s := range c.shown() {
		w.place(s)
	}
	for _, col := range c.f.head.Records {
		w.tables[col.Name] = newTable(col, c.Condition, c.as)
	}
	w.tools = c.f.toolset()
	return w
}

// place puts an item where it belongs.
func (w *World) place(s shown) {
	switch s.Kind {
	case "mail":
		m := &mail{id: w.c.f.itemID(s.ID.s), slot: s.ID.s, from: s.from, to: s.to, date: s.date, subject: s.subject, body: s.body, after: s.After}
		if s.From == "desk" {
			m.sent = true
		}
		if m.after > 0 {
			w.coming = append(w.coming, m)
			return
		}
		w.mails = append(w.mails, m)
	case "file":
		w.files = append(w.files, &file{path: s.path, text: s.body, slot: s.ID.s})
	case "event":
		w.events = append(w.events, &event{id: w.c.f.itemID(s.ID.s), slot: s.ID.s, when: s.date, title: s.subject, note: s.body})
	}
}

// itemID gives an item its ID in the world. It depends on the item's place among all, so that it is the same under every condition.
func (f *Family) itemID(id string) string {
	for i, it := range f.items {
		if it.ID.s == id {
			return fmt.Sprintf("%s%d", it.Kind[:1], 2107+13*i)
		}
	}
	return id
}

// Opening gives the system prompt and the user message that starts the task.
func (w *World) Opening() []because.Message {
	system, user := w.c.opening()
	return []because.Message{{Role: because.RoleSystem, Content: system}, {Role: because.RoleUser, Content: user}}
}

// Tools gives the tools of the world.
func (w *World) Tools() []because.Tool {
	var out []because.Tool
	for _, t := range w.tools {
		out = append(out, t.declare())
	}
	return out
}

// Done reports whether the agent ended its shift.
func (w *World) Done() bool { return w.done }

// Actions gives what the agent did so far, failed calls included.
func (w *World) Actions() []Action { return append([]Action(nil), w.actions...) }

// Call carries out a tool call and gives its result. A call that can't be carried out changes nothing; its result says what is wrong
// with it, and isError is true.
func (w *World) Call(call because.ToolCall) (result string, isError bool) {
	a := Action{Step: len(w.actions) + 1, Tool: call.Name}
	result, err := w.perform(call, &a)
	if err != nil {
		result, a.Failed, a.On = "Error: "+err.Error(), true, nil
	}
	result += w.arrivals()
	a.Result = result
	w.actions = append(w.actions, a)
	return result, err != nil
}

func (w *World) perform(call because.ToolCall, a *Action) (string, error) {
	if w.done {
		return "", fmt.Errorf("the shift has ended; no further calls are possible")
	}
	i := sort.Search(len(w.tools), func(i int) bool { return w.tools[i].name >= call.Name })
	if i == len(w.tools) || w.tools[i].name != call.Name {
		var names []string
		for _, t := range w.tools {
			names = append(names, t.name)
		}
		return "", fmt.Errorf("there is no tool %q; there are %s", call.Name, strings.Join(names, ", "))
	}
	args, err := w.tools[i].arguments(call.Arguments)
	a.Args = args
	if err != nil {
		return "", err
	}
	out, on, err := w.tools[i].run(w, args)
	a.On = on
	return out, err
}

// arrivals delivers the mails that are due after this call, and says so.
func (w *World) arrivals() string {
	var later []*mail
	var b strings.Builder
	for _, m := range w.coming {
		if w.done || len(w.actions)+1 < m.after {
			later = append(later, m)
			continue
		}
		w.mails = append(w.mails, m)
		fmt.Fprintf(&b, "\n\n[New mail: %s from %s: %s]", m.id, m.from, m.subject)
	}
	w.coming = later
	return b.String()
}

// arguments reads a call's JSON arguments against the tool's parameters. Numbers and booleans count as their text.
func (t tool) arguments(data json.RawMessage) (map[string]string, error) {
	if len(strings.TrimSpace(string(data))) == 0 {
		data = json.RawMessage("{}")
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("the arguments of %s are not a JSON object: %w", t.name, err)
	}
	args := map[string]string{}
	for _, name := range sortedKeys(raw) {
		v := raw[name]
		if t.param(name) == nil {
			return args, fmt.Errorf("%s has no argument %q; it takes %s", t.name, name, t.signature())
		}
		switch v := v.(type) {
		case nil:
		case string:
			args[name] = v
		case float64, bool:
			args[name] = fmt.Sprint(v)
		case []any: // some models give several recipients as a list
			parts := make([]string, len(v))
			for i, p := range v {
				parts[i] = fmt.Sprint(p)
			}
			args[name] = strings.Join(parts, ", ")
		default:
			return args, fmt.Errorf("argument %q of %s must be a string", name, t.name)
		}
	}
	for _, p := range t.params {
		if !p.optional && strings.TrimSpace(args[p.name]) == "" {
			return args, fmt.Errorf("argument %q of %s is missing; it takes %s", p.name, t.name, t.signature())
		}
	}
	return args, nil
}

// Play carries out calls in order until the shift ends, and gives the world after them.
func (c Case) Play(calls []because.ToolCall) *World {
	w := c.Start()
	for _, call := range calls {
		if w.Done() {
			break
		}
		w.Call(call)
	}
	return w
}
