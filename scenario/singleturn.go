package scenario

import (
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// SingleTurn gives the case as one prompt for models without tool calls: everything there is to read, the tools as XML, and the task.
// PlaySingleTurn carries out what the model answers, in the same world and under the same rules.
func (c Case) SingleTurn() []because.Message {
	system, user := c.opening()
	w := c.Start()
	w.mails = append(w.mails, w.coming...)
	var b strings.Builder
	section := func(title, body string) {
		if body != "" {
			fmt.Fprintf(&b, "\n\n## %s\n\n%s", title, body)
		}
	}
	section("Mail", joined(w.mails, func(m *mail) string { return "[" + m.id + "]\n" + m.String() }))
	section("Files", joined(w.files, func(f *file) string { return "[" + f.path + "]\n" + f.text }))
	section("Calendar", joined(w.events, func(e *event) string {
		return strings.TrimSpace("[" + e.id + "] " + e.when + ": " + e.title + "\n" + e.note)
	}))
	for _, col := range c.f.head.Records {
		t := w.tables[col.Name]
		section(upperFirst(col.Name), joined(t.rows, t.line))
	}
	contacts, _, err := listContacts(w, nil)
	if err != nil {
		panic(err) // lists what the cast has
	}
	section("Contacts", contacts)
	section("Tools", "Write each call in this form, one after the other, in the order in which they are to be carried out:\n\n"+w.xmlTools())
	return []because.Message{{Role: because.RoleSystem, Content: system},
		{Role: because.RoleUser, Content: user + "\n\nEverything that there is to read stands below; there will be no second message." + b.String()}}
}

func joined[T any](list []T, show func(T) string) string {
	var parts []string
	for _, x := range list {
		parts = append(parts, show(x))
	}
	return strings.Join(parts, "\n\n")
}

// xmlTools describes the tools that change something; what there is to read has been shown.
func (w *World) xmlTools() string {
	var parts []string
	for _, t := range w.tools {
		if strings.HasPrefix(t.name, "list_") || strings.HasPrefix(t.name, "read_") {
			continue
		}
		var args []string
		for _, p := range t.params {
			args = append(args, p.name)
		}
		parts = append(parts, t.about+"\n"+xmlForm(t.name, args))
	}
	return strings.Join(parts, "\n\n")
}

// xmlForm shows how a tool is called.
func xmlForm(name string, args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<call name=%q>", name)
	for _, a := range args {
		fmt.Fprintf(&b, "<%s>...</%s>", a, a)
	}
	b.WriteString("</call>")
	return b.String()
}

// PlaySingleTurn carries out the calls of an answer to SingleTurn. Everything counts as read. Calls that can't be parsed are given
// apart; they were not carried out.
func (c Case) PlaySingleTurn(answer string) (*World, []error) {
	calls, errs := ParseCalls(answer)
	w := c.Start()
	for _, s := range c.shown() {
		w.saw(s.ID.s)
	}
	w.mails, w.coming = append(w.mails, w.coming...), nil
	for _, call := range calls {
		if w.done {
			break
		}
		w.Call(call)
	}
	return w, errs
}
