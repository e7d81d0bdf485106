package trl

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

func parse(t *testing.T, text string) []Row {
	t.Helper()
	rows, err := Parse(strings.NewReader(text), "data.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRowsInTheirColumns(t *testing.T) {
	user, answer := because.Message{Role: because.RoleUser, Content: "q"}, because.Message{Role: because.RoleAssistant, Content: "a"}
	called := because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{ID: "1", Name: "f", Arguments: []byte(`{"x":1}`)}}}
	result := because.Message{Role: because.RoleTool, Content: "r", ToolCallID: "1"}
	for _, c := range []struct {
		name, line string
		want       Row
	}{
		{"text", `{"text":"hello"}`, Row{Text: "hello"}},
		{"messages", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"lineage":{"recipe":"r"}}`,
			Row{Messages: []because.Message{user, answer}}},
		{"parts and developer", `{"messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":"a"}]}`,
			Row{Messages: []because.Message{{Role: because.RoleSystem, Content: "s"}, user, answer}}},
		{"prompt and completion", `{"prompt":"q","completion":"a"}`, Row{Messages: []because.Message{user, answer}, Loss: 1}},
		{"prompt that holds an answer", `{"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}`,
			Row{Messages: []because.Message{user, answer, user, answer}, Loss: 3}},
		{"wrapped call with text arguments", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"r"},{"role":"assistant","content":"a"}]}`,
			Row{Messages: []because.Message{user, called, result, answer}}},
		{"flat call and tools in a string", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1","name":"f","arguments":{"x":1}}]}],"tools":"[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"}`,
			Row{Messages: []because.Message{user, called}, Tools: []because.Tool{{Name: "f"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Line = 2
			if diff := cmp.Diff([]Row{c.want}, parse(t, "\n"+c.line+"\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadRowsAreNamed(t *testing.T) {
	ask := `{"role":"user","content":"q"}`
	call := `{"role":"assistant","tool_calls":[{"id":"1","name":"f","arguments":{}}]}`
	for _, c := range []struct{ name, line, want string }{
		{"no JSON", `{"text":`, "no JSON object"},
		{"a list", `[1]`, "no JSON object"},
		{"not UTF-8", "{\"text\":\"\xff\"}", "UTF-8"},
		{"nothing", `{"lineage":{}}`, "no text, no messages"},
		{"too much", `{"text":"a","messages":[` + ask + `]}`, "more than one"},
		{"empty text", `{"text":""}`, "text is empty"},
		{"text with tools", `{"text":"a","tools":[]}`, "tools belong to a conversation"},
		{"half a pair", `{"prompt":"q"}`, "one is missing"},
		{"no messages", `{"messages":[]}`, "messages is empty"},
		{"wrong role", `{"messages":[{"role":"robot","content":"q"}]}`, `messages[0]: role "robot"`},
		{"no role", `{"messages":[{"content":"q"}]}`, "messages[0]: role is missing"},
		{"late system prompt", `{"messages":[` + ask + `,{"role":"system","content":"s"},{"role":"assistant","content":"a"}]}`, "messages[1] is a system prompt"},
		{"nothing to learn", `{"messages":[` + ask + `]}`, "nothing to learn"},
		{"nothing to learn in the completion", `{"prompt":"q","completion":[` + ask + `]}`, "nothing to learn"},
		{"empty answer", `{"messages":[` + ask + `,{"role":"assistant","content":""}]}`, "messages[1]: the assistant's turn has neither"},
		{"an image", `{"messages":[{"role":"user","content":[{"type":"image"}]}]}`, `content[0] is of type "image"`},
		{"call of a user", `{"messages":[{"role":"user","tool_calls":[{"name":"f"}]}]}`, "makes no tool calls"},
		{"call without a name", `{"messages":[{"role":"assistant","tool_calls":[{"id":"1"}]}]}`, "tool_calls[0]: the name"},
		{"arguments of a wrong form", `{"messages":[{"role":"assistant","tool_calls":[{"name":"f","arguments":"x"}]}]}`, "no JSON object"},
		{"result without a call", `{"messages":[` + ask + `,{"role":"tool","content":"r"},{"role":"assistant","content":"a"}]}`, "messages[1]: a tool's result without a call"},
		{"result of another call", `{"messages":[` + call + `,{"role":"tool","tool_call_id":"2","content":"r"}]}`, `messages[1]: tool_call_id "2"`},
		{"call without a result", `{"messages":[` + call + `,` + ask + `]}`, "messages[1]: the call of f"},
		{"tool without a name", `{"messages":[{"role":"assistant","content":"a"}],"tools":[{}]}`, "tools[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader("{\"text\":\"fine\"}\n"+c.line), "data.jsonl")
			var e *because.Error
			if !errors.As(err, &e) || e.Subject != "data.jsonl:2" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want data.jsonl:2 and %q in it", err, c.want)
			}
		})
	}
}

func TestEmptyAndMissingFiles(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, []byte("\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(empty); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Read(empty + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"text":"hello"}`)
	f.Add(`{"prompt":"q","completion":"a"}`)
	f.Add(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1","name":"f","arguments":"{}"}]},{"role":"tool","tool_call_id":"1","content":"r"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := Parse(strings.NewReader(text), "f")
		if (err == nil) != (len(rows) > 0) {
			t.Fatalf("%d rows with error %v", len(rows), err)
		}
		for _, r := range rows {
			if (r.Text == "") == (len(r.Messages) == 0) {
				t.Fatalf("a row is neither or both: %+v", r)
			}
		}
	})
}
