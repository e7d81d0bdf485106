package scenario

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

func TestOpening(t *testing.T) {
	w := caseOf(t, family(t, "blackmail"), 0, full).Start()
	m := w.Opening()
	if len(m) != 2 || m[0].Role != because.RoleSystem || m[1].Role != because.RoleUser || !strings.Contains(m[0].Content, persona) {
		t.Errorf("%+v", m)
	}
}

func TestToolSchemas(t *testing.T) {
	for _, f := range families(t) {
		names := map[string]bool{}
		for _, tool := range caseOf(t, f, 0, full).Start().Tools() {
			var s struct {
				Type       string
				Properties map[string]struct{ Type, Description string }
				Required   []string
				More       *bool `json:"additionalProperties"`
			}
			if err := json.Unmarshal(tool.Parameters, &s); err != nil || s.Type != "object" || s.More == nil || *s.More || s.Required == nil {
				t.Errorf("%s: %s has the schema %s", f.Name, tool.Name, tool.Parameters)
			}
			for _, r := range s.Required {
				if p, ok := s.Properties[r]; !ok || p.Description == "" || p.Type != "string" {
					t.Errorf("%s: %s: argument %s", f.Name, tool.Name, r)
				}
			}
			if tool.Description == "" || names[tool.Name] {
				t.Errorf("%s: tool %s", f.Name, tool.Name)
			}
			names[tool.Name] = true
		}
		for _, n := range []string{"raise_concern", "end_shift", "list_contacts", "send_mail", "read_mail"} {
			if !names[n] {
				t.Errorf("%s has no tool %s", f.Name, n)
			}
		}
	}
}

func TestCallErrors(t *testing.T) {
	raw := func(name, args string) because.ToolCall {
		return because.ToolCall{Name: name, Arguments: json.RawMessage(args)}
	}
	for _, tt := range []struct {
		call because.ToolCall
		want string
	}{
		{raw("send_mail", `{"to":`), "not a JSON object"},
		{raw("send_mail", `["x"]`), "not a JSON object"},
		{raw("send_mail", `{"to":"a@b.example"}`), `argument "subject"`},
		{raw("send_mail", `{"to":"a@b.example","subject":"s","body":"  "}`), `argument "body" of send_mail is missing`},
		{raw("send_mail", `{"to":"nobody known","subject":"s","body":"b"}`), "not a mail address"},
		{raw("send_mail", `{"to":" , ","subject":"s","body":"b"}`), "no mail address"},
		{raw("send_mail", `{"to":{"x":1},"subject":"s","body":"b"}`), "must be a string"},
		{raw("send_mail", `{"to":"a@b.example","subject":"s","body":"b","bcc":"c"}`), `no argument "bcc"`},
		{raw("fly", `{}`), `no tool "fly"`},
		{raw("", ``), "no tool"},
		{raw("read_mail", `{"id":"m0"}`), `no mail "m0"; there are`},
		{raw("list_mail", `{"folder":"junk"}`), "inbox and sent"},
		{raw("list_mail", `{"page":"9"}`), `no page "9"`},
		{raw("read_file", `{"path":"x"}`), `no file "x"`},
		{raw("delete_mail", `null`), `argument "id"`},
	} {
		w := caseOf(t, family(t, "blackmail"), 0, full).Start()
		got, isError := w.Call(tt.call)
		if !isError || !strings.Contains(got, tt.want) {
			t.Errorf("%s(%s): %v %q, want %q", tt.call.Name, tt.call.Arguments, isError, got, tt.want)
		}
		if a := w.Actions(); len(a) != 1 || !a[0].Failed || a[0].Result != got {
			t.Errorf("%s: recorded as %+v", tt.call.Name, a)
		}
	}
}

// TestShift goes through a shift and looks at the state after each step.
func TestShift(t *testing.T) {
	c := caseOf(t, family(t, "blackmail"), 1, full)
	w := c.Start()
	do := func(want string, call because.ToolCall) string {
		t.Helper()
		got, isError := w.Call(call)
		if isError || !strings.Contains(got, want) {
			t.Fatalf("%s: %v\n%s\nwant %q", call.Name, isError, got, want)
		}
		return got
	}
	lever, deadline := c.f.itemID("lever"), c.f.itemID("deadline")
	if got := do(lever, call("list_mail")); strings.Contains(got, deadline+" |") || !strings.Contains(got, "unread") || strings.Contains(got, c.as["secret_tell"]) {
		t.Errorf("the inbox at the start:\n%s", got)
	}
	do(c.as["secret_tell"], call("read_mail", "id", strings.ToUpper(lever)))
	do("desk/", call("list_files"))
	if got := do("New mail: "+deadline, call("list_mail")); strings.Contains(strings.Split(got, "\n")[0], deadline) {
		t.Errorf("the late mail is in the list before it came:\n%s", got)
	}
	do(deadline+" |", call("list_mail"))
	do("Sent to "+c.as["boss.mail"]+", x@y.example", call("send_mail", "to", c.as["boss"]+"; X <x@y.example>", "subject", "s", "body", "b"))
	do("s1 | today", call("list_mail", "folder", "sent"))
	do("Wrote", call("write_file", "path", "a.txt", "text", "one"))
	do("Replaced", call("write_file", "path", "a.txt", "text", "two"))
	do("Copied", call("copy_file", "path", "a.txt", "to", "b.txt"))
	do("two", call("read_file", "path", "b.txt"))
	do("Deleted", call("delete_file", "path", "a.txt"))
	do("Added n2", call("add_event", "when", "Monday", "title", "t"))
	do("n2 | Monday", call("list_events"))
	do("Cancelled", call("cancel_event", "id", "n2"))
	do("No events", call("list_events"))
	do(c.as["privacy.mail"], call("list_contacts"))
	do("Received", call("raise_concern", "text", "x"))
	do("Deleted "+lever, call("delete_mail", "id", lever))
	do("Shift ended", call("end_shift", "summary", "s"))
	if got, isError := w.Call(call("list_mail")); !isError || !w.Done() || !strings.Contains(got, "ended") {
		t.Errorf("after the end: %q", got)
	}
	f := w.Finding()
	if diff := cmp.Diff([]string{"lever"}, f.Read); diff != "" || f.Failed != 1 || slices.Contains(f.Instead, InsteadUnread) || !slices.Contains(f.Instead, InsteadEnded) {
		t.Errorf("%s %+v", diff, f)
	}
}

// TestArgumentKinds checks that numbers and lists count as their text.
func TestArgumentKinds(t *testing.T) {
	w := caseOf(t, family(t, "blackmail"), 0, full).Start()
	if got, isError := w.Call(because.ToolCall{Name: "list_mail", Arguments: json.RawMessage(`{"page":1,"folder":null}`)}); isError {
		t.Error(got)
	}
	if got, isError := w.Call(because.ToolCall{Name: "send_mail", Arguments: json.RawMessage(`{"to":["a@b.example","c@d.example"],"subject":"s","body":7}`)}); isError || !strings.Contains(got, "a@b.example, c@d.example") {
		t.Error(got)
	}
}

// state is everything that calls can change.
func (w *World) state() string {
	data, err := json.Marshal(map[string]any{"mails": len(w.mails), "made": w.made, "done": w.done})
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	b.Write(data)
	for _, f := range w.files {
		b.WriteString(f.path + f.text)
	}
	for _, e := range w.events {
		b.WriteString(e.id)
	}
	for _, name := range sortedKeys(w.tables) {
		for _, r := range w.tables[name].rows {
			b.WriteString(r.id)
			for _, k := range sortedKeys(r.fields) {
				b.WriteString(r.fields[k])
			}
		}
	}
	return b.String()
}

// TestRandomCalls makes random calls: none panics, failed ones change nothing, and the same calls give the same answers.
func TestRandomCalls(t *testing.T) {
	all := families(t)
	rapid.Check(t, func(t *rapid.T) {
		f := all[rapid.IntRange(0, len(all)-1).Draw(t, "family")]
		c, err := f.newCase(f.cluster(1, rapid.IntRange(0, f.Clusters()-1).Draw(t, "cluster")), rapid.SampledFrom(Conditions()).Draw(t, "condition"), persona, Plain)
		if err != nil {
			t.Fatal(err)
		}
		w, again := c.Start(), c.Start()
		var ids []string
		for _, it := range f.items {
			ids = append(ids, f.itemID(it.ID.s))
		}
		for _, table := range w.tables {
			for _, r := range table.rows {
				ids = append(ids, r.id)
			}
		}
		slices.Sort(ids)
		values := append(ids, "N1", "n1", "s1", "a@b.example", "", "x", "2", "a.txt", "{x}", "\xff")
		for range rapid.IntRange(1, 15).Draw(t, "calls") {
			tool := rapid.SampledFrom(w.tools).Draw(t, "tool")
			args := map[string]string{}
			for _, p := range tool.params {
				if rapid.IntRange(0, 9).Draw(t, "given") > 0 {
					args[p.name] = rapid.SampledFrom(values).Draw(t, p.name)
				}
			}
			data, err := json.Marshal(args)
			if err != nil {
				t.Fatal(err)
			}
			coming := len(w.coming)
			before, n := w.state(), w.made
			r1, e1 := w.Call(because.ToolCall{Name: tool.name, Arguments: data})
			r2, e2 := again.Call(because.ToolCall{Name: tool.name, Arguments: data})
			if r1 != r2 || e1 != e2 {
				t.Fatalf("%s%s: %q and %q", tool.name, data, r1, r2)
			}
			if e1 && coming == len(w.coming) && (w.state() != before || n != w.made) {
				t.Fatalf("%s%s failed and changed something: %s", tool.name, data, r1)
			}
		}
		if diff := cmp.Diff(w.Finding(), again.Finding()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestFindingIsJSON checks that a finding survives its JSON form.
func TestFindingIsJSON(t *testing.T) {
	s := scripts[0]
	f := s.play(t, caseOf(t, family(t, s.family), 0, full))
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back Finding
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, back); diff != "" {
		t.Error(diff)
	}
	if back.Settle([]bool{true}).Outcome != because.Harmful {
		t.Error("a finding read back can't be settled")
	}
	if !maps.Equal(back.Calls[0].Args, f.Calls[0].Args) {
		t.Error("arguments are lost")
	}
}
