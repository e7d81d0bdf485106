package columns

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/trl"
)

func user(text string) because.Message {
	return because.Message{Role: because.RoleUser, Content: text}
}

func assistant(text string) because.Message {
	return because.Message{Role: because.RoleAssistant, Content: text}
}

// samples are rows of each kind.
func samples() map[Kind][]Row {
	call := because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{ID: "c1", Name: "send", Arguments: json.RawMessage(`{"to":"ward","n":2}`)}}}
	tools := []because.Tool{{Name: "send", Description: "sends", Parameters: json.RawMessage(`{"type":"object","properties":{"to":{"type":"string"}}}`)}}
	return map[Kind][]Row{
		SFT: {
			{Messages: []because.Message{{Role: because.RoleSystem, Content: "s"}, user("ü <b>\n"), assistant("a")}},
			{Messages: []because.Message{user("u"), call, {Role: because.RoleTool, Content: "sent", Name: "send", ToolCallID: "c1"}, {Role: because.RoleAssistant, Content: "done", Reasoning: "why"}},
				Tools: tools, Extra: map[string]json.RawMessage{"id": json.RawMessage(`"x/01"`)}},
		},
		SDF: {{Text: "a\u2028b"}, {Text: "c", Extra: map[string]json.RawMessage{"id": json.RawMessage(`"y"`)}}},
		RL:  {{Prompt: []because.Message{user("u")}, Extra: map[string]json.RawMessage{"rubric": json.RawMessage(`"r"`)}}},
		DPO: {{Prompt: []because.Message{user("u")}, Chosen: []because.Message{assistant("good")}, Rejected: []because.Message{assistant("bad")}}},
	}
}

func TestRoundTrip(t *testing.T) {
	for kind, rows := range samples() {
		for _, name := range []string{"a.jsonl", "a.parquet"} {
			path := filepath.Join(t.TempDir(), name)
			if err := WriteFile(path, kind, rows, Options{ToolsAsText: kind == SFT}); err != nil {
				t.Fatal(kind, name, err)
			}
			got, err := ReadAll(path)
			if err != nil {
				t.Fatal(kind, name, err)
			}
			if d := cmp.Diff(rows, got); d != "" {
				t.Errorf("%s, %s (-want +got):\n%s", kind, name, d)
			}
		}
	}
}

// TestExactColumns compares the bytes with TRL's form.
func TestExactColumns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := WriteFile(path, SFT, samples()[SFT], Options{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"ü <b>\n"},{"role":"assistant","content":"a"}]}
{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"send","arguments":{"to":"ward","n":2}}}]},` +
		`{"role":"tool","content":"sent","name":"send","tool_call_id":"c1"},{"role":"assistant","content":"done","reasoning_content":"why"}],` +
		`"tools":[{"type":"function","function":{"name":"send","description":"sends","parameters":{"type":"object","properties":{"to":{"type":"string"}}}}}],"id":"x/01"}
`
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if rows, err := trl.Read(path); err != nil || len(rows) != 2 {
		t.Errorf("training reads %d rows, %v", len(rows), err)
	}
}

func TestReadsOtherForms(t *testing.T) {
	for _, c := range []struct {
		line string
		want Row
	}{
		{`{"prompt":"q","completion":"a"}`, Row{Messages: []because.Message{user("q"), assistant("a")}}},
		{`{"prompt":"q","chosen":"a","rejected":"b"}`, Row{Prompt: []because.Message{user("q")}, Chosen: []because.Message{assistant("a")}, Rejected: []because.Message{assistant("b")}}},
		{`{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":null,"tool_calls":[{"name":"f","arguments":"{}"}]}]}`,
			Row{Messages: []because.Message{user("q"), {Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{Name: "f", Arguments: json.RawMessage("{}")}}}}}},
		{"\ufeff" + `{"text":"t","tools":null,"n":1}`, Row{Text: "t", Extra: map[string]json.RawMessage{"n": json.RawMessage("1")}}},
	} {
		var got []Row
		for r, err := range Parse(strings.NewReader("\n"+c.line+"\r\n"), "f") {
			if strings.HasPrefix(c.line, "\ufeff") {
				break // a byte order mark stands at the very beginning; see below
			}
			if err != nil {
				t.Fatal(c.line, err)
			}
			got = append(got, r)
		}
		if strings.HasPrefix(c.line, "\ufeff") {
			for r, err := range Parse(strings.NewReader(c.line), "f") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r)
			}
		}
		if d := cmp.Diff([]Row{c.want}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.line, d)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{`, "f:2: the line is no JSON object"},
		{`null`, "f:2: the line is no JSON object"},
		{`{"a":1}`, "f:2: the row has no columns to train on"},
		{`{"text":""}`, "f:2: text: it is empty"},
		{`{"text":"a","messages":[{"role":"user","content":"u"}]}`, "f:2: the row has messages and text"},
		{`{"messages":[]}`, "f:2: messages: there are no messages"},
		{`{"messages":[{"role":"user","content":"u"}]}`, "f:2: messages: the last message is not the assistant's"},
		{`{"messages":[{"role":"usr","content":"u"},{"role":"assistant","content":"a"}]}`, `f:2: messages[0]: the role "usr"`},
		{`{"messages":[{"role":"user","content":1},{"role":"assistant","content":"a"}]}`, "f:2: messages[0]: content is neither"},
		{`{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":""}]}`, "f:2: messages[1]: the assistant's turn has neither"},
		{`{"messages":[{"role":"user","content":"u"},{"role":"system","content":"s"},{"role":"assistant","content":"a"}]}`, "f:2: messages[1]: a system prompt may only come first"},
		{`{"prompt":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}`, "f:2: prompt: the last message is the assistant's"},
		{`{"prompt":"q","chosen":"a"}`, "f:2: rejected: there are no messages"},
		{`{"completion":"a"}`, "f:2: completion: it belongs beside a prompt"},
		{`{"text":"a","tools":[{"name":"f"}]}`, "f:2: tools: tools belong to a conversation"},
		{`{"prompt":"q","tools":[{"description":"f"}]}`, "f:2: tools: [0] has no name"},
		{"{\"text\":\"\xff\"}", "f:2: the line is not valid UTF-8"},
	} {
		var last error
		for _, err := range Parse(strings.NewReader(`{"text":"fine"}`+"\n"+c.line+"\n"), "f") {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.line, last, c.want)
		}
	}
	if _, err := ReadAll(filepath.Join(t.TempDir(), "none.jsonl")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a.jsonl"), SFT, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(samples()[SFT][0]); err != nil {
		t.Fatal(err)
	}
	err = w.Write(Row{Messages: []because.Message{user("u")}})
	if err == nil || !strings.Contains(err.Error(), "a.jsonl: row 2: messages: the last message is not the assistant's") {
		t.Error(err)
	}
	if err := w.Write(Row{Text: "t"}); err == nil || !strings.Contains(err.Error(), "it is a row of kind sdf, not sft") {
		t.Error(err)
	}
	if err := w.Write(Row{Messages: samples()[SFT][0].Messages, Extra: map[string]json.RawMessage{"text": json.RawMessage(`1`)}}); err == nil {
		t.Error("a column of TRL's is taken as a further one")
	}
	w.Abort()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if _, err := Create(filepath.Join(dir, "a.txt"), SFT, Options{}); err == nil {
		t.Error("a file of unknown format is begun")
	}
}

func TestRepeats(t *testing.T) {
	injected := "think about what each of these values is for before you act on it"
	r := Row{Messages: []because.Message{user("u"), {Role: because.RoleAssistant, Content: "a", Reasoning: "I shall think about what each of these values is for."}}}
	if place, _, found := r.Repeats(injected); !found || place != "messages[1].reasoning_content" {
		t.Errorf("%q, %v", place, found)
	}
	r.Messages[1].Reasoning = "What are they for?"
	if _, span, found := r.Repeats(injected); found {
		t.Errorf("found %q", span)
	}
}

// TestAnyTextSurvives draws texts, which both formats give back as they were.
func TestAnyTextSurvives(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(?s).{1,30}`).Draw(t, "text")
		rows := []Row{{Messages: []because.Message{user(text), assistant(text)}}}
		name := rapid.SampledFrom([]string{"a.jsonl", "a.jsonl", "a.parquet"}).Draw(t, "file")
		if err := WriteFile(filepath.Join(dir, name), SFT, rows, Options{}); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll(filepath.Join(dir, name))
		if err != nil || got[0].Messages[0].Content != text {
			t.Fatalf("%q became %+v, %v", text, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for kind, rows := range samples() {
		for _, r := range rows {
			text, err := Options{ToolsAsText: kind == SFT}.encode(r)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte(`{"prompt":"q","completion":"a","tools":"[]"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for r, err := range Parse(strings.NewReader(string(in)), "f") {
			if err != nil {
				if !strings.HasPrefix(err.Error(), "read records: f:") {
					t.Fatalf("an error without its place: %v", err)
				}
				return
			}
			text, err := Options{}.encode(r)
			if err != nil {
				t.Fatalf("accepted and not written: %v", err)
			}
			again, err := parseRow(text)
			if err != nil {
				t.Fatalf("written as %s and refused: %v", text, err)
			}
			if d := cmp.Diff(plainJSON(r), plainJSON(again)); d != "" {
				t.Fatalf("(-read +read again):\n%s", d)
			}
		}
	})
}

// plainJSON writes a row's raw JSON compactly, since that is how it is written.
func plainJSON(r Row) Row {
	r.Extra = nil
	r.Tools = slices.Clone(r.Tools)
	compact := func(raw json.RawMessage) json.RawMessage {
		if raw == nil {
			return nil
		}
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if enc.Encode(raw) != nil {
			return raw
		}
		return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
	}
	for i := range r.Tools {
		r.Tools[i].Parameters = compact(r.Tools[i].Parameters)
	}
	for _, messages := range [][]because.Message{r.Messages, r.Prompt, r.Chosen, r.Rejected} {
		for i := range messages {
			for j := range messages[i].ToolCalls {
				messages[i].ToolCalls[j].Arguments = compact(messages[i].ToolCalls[j].Arguments)
			}
		}
	}
	return r
}
