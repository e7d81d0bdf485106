package hosted

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

func user(text string) because.Message {
	return because.Message{Role: because.RoleUser, Content: text}
}
func assistant(text string) because.Message {
	return because.Message{Role: because.RoleAssistant, Content: text}
}
func calling(calls ...because.ToolCall) because.Message {
	return because.Message{Role: because.RoleAssistant, ToolCalls: calls}
}
func call(id string) because.ToolCall {
	return because.ToolCall{ID: id, Name: "f", Arguments: json.RawMessage(`{"x":"<1>"}`)}
}
func told(id, text string) because.Message {
	return because.Message{Role: because.RoleTool, ToolCallID: id, Content: text}
}

var toolF = []because.Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(`{"type":"object"}`)}}

func TestEncode(t *testing.T) {
	const wrapped = `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}`
	callF := func(id string) string {
		return `{"id":"` + id + `","type":"function","function":{"name":"f","arguments":"{\"x\":\"<1>\"}"}}`
	}
	for _, c := range []struct {
		name string
		row  Row
		want string
	}{
		{"a question", Row{Messages: []because.Message{user("q & <a>"), assistant("a")}}, `{"messages":[{"role":"user","content":"q & <a>"},{"role":"assistant","content":"a"}]}`},
		{"a prompt with an answer in it", Row{Loss: 3, Messages: []because.Message{user("q"), assistant("a"), user("r"), assistant("b")}},
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0},{"role":"user","content":"r"},{"role":"assistant","content":"b"}]}`},
		{"tools", Row{Tools: toolF, Messages: []because.Message{user("q"), calling(call("c1")), told("c1", ""), assistant("a")}},
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[` + callF("c1") + `]},{"role":"tool","content":"","tool_call_id":"c1"},{"role":"assistant","content":"a"}],"tools":[` + wrapped + `]}`},
		{"calls without ids, of which the last is not answered", Row{Tools: toolF, Messages: []because.Message{user("q"), calling(call(""), call("call_1"), call("")), told("", "1"), told("x", "2"), told("", "3"), calling(call(""))}},
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[` + callF("x") + `,` + callF("call_1") + `,` + callF("call_2") + `]},` +
				`{"role":"tool","content":"1","tool_call_id":"call_1"},{"role":"tool","content":"2","tool_call_id":"x"},{"role":"tool","content":"3","tool_call_id":"call_2"},` +
				`{"role":"assistant","tool_calls":[` + callF("call_3") + `]}],"tools":[` + wrapped + `]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p := c.row.problems(); p != nil {
				t.Errorf("refused: %v", p)
			}
			u, err := encode([]Row{c.row})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want+"\n", string(u.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		name, place string
		row         Row
		want        string
	}{
		{"a document", "text", Row{Text: "once"}, "conversations only"},
		{"nothing", "messages", Row{}, "there are none"},
		{"no answer at the end", "messages[1].role", Row{Messages: []because.Message{assistant("a"), user("q")}}, "the last message is the user's"},
		{"nothing to learn", "messages", Row{Loss: 2, Messages: []because.Message{user("q"), assistant("a")}}, "no turn carries loss"},
		{"a role", "messages[0].role", Row{Messages: []because.Message{{Role: "robot", Content: "q"}, assistant("a")}}, `"robot"`},
		{"an empty question", "messages[0].content", Row{Messages: []because.Message{user(""), assistant("a")}}, "it is empty"},
		{"an empty answer", "messages[1].content", Row{Messages: []because.Message{user("q"), assistant("")}}, "it is empty"},
		{"a mark", "messages[0].content", Row{Messages: []because.Message{user("a <|fim_suffix|> b"), assistant("a")}}, "<|fim_suffix|>"},
		{"a name", "messages[1].name", Row{Messages: []because.Message{user("q"), {Role: because.RoleAssistant, Content: "a", Name: "Ann Lee"}}}, `"Ann Lee"`},
		{"reasoning", "messages[1].reasoning", Row{Messages: []because.Message{user("q"), {Role: because.RoleAssistant, Content: "a", Reasoning: "r"}}}, "no reasoning"},
		{"a user's call", "messages[0].tool_calls", Row{Tools: toolF, Messages: []because.Message{{Role: because.RoleUser, Content: "q", ToolCalls: []because.ToolCall{call("1")}}, told("1", "r"), assistant("a")}}, "makes no calls"},
		{"a call of no tool", "messages[1].tool_calls[0]", Row{Messages: []because.Message{user("q"), calling(call("1"))}}, "it calls f, which is not among the row's 0 tools"},
		{"arguments", "messages[1].tool_calls[0].arguments", Row{Tools: toolF, Messages: []because.Message{user("q"), calling(because.ToolCall{ID: "1", Name: "f", Arguments: json.RawMessage("null")})}}, "no JSON object"},
		{"a result of nothing", "messages[1].tool_call_id", Row{Messages: []because.Message{user("q"), told("9", "r"), assistant("a")}}, `"9"`},
		{"a call without a result", "messages[2]", Row{Tools: toolF, Messages: []because.Message{user("q"), calling(call("1")), user("r"), assistant("a")}}, "the call of f before it has no result"},
		{"one id twice", "messages[1].tool_calls", Row{Tools: toolF, Messages: []because.Message{user("q"), calling(call("1"), call("1"))}}, "two calls"},
		{"a tool's name", "tools[0].name", Row{Tools: []because.Tool{{Name: long}}, Messages: []because.Message{user("q"), assistant("a")}}, "no name of a function"},
		{"a tool twice", "tools[1].name", Row{Tools: append(toolF[:1:1], toolF...), Messages: []because.Message{user("q"), assistant("a")}}, "twice"},
		{"a tool's schema", "tools[0].parameters", Row{Tools: []because.Tool{{Name: "f", Parameters: json.RawMessage("[]")}}, Messages: []because.Message{user("q"), assistant("a")}}, "no JSON schema"},
		{"too many tools", "tools", Row{Tools: manyTools(), Messages: []because.Message{user("q"), assistant("a")}}, "129 tools are more than 128"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.row.Place = "data.jsonl:17"
			err := checkRows(append(rows(12), c.row), "data.jsonl", 10)
			if err == nil || !strings.Contains(err.Error(), "data.jsonl:17: "+c.place+": ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s and %q", err, c.place, c.want)
			}
		})
	}
	if err := checkRows(rows(9), "data.jsonl", 10); err == nil || !strings.Contains(err.Error(), "data.jsonl: there are 9 examples, and the service wants at least 10") {
		t.Errorf("%v", err)
	}
	var bad []Row
	for i := range 30 {
		bad = append(bad, Row{Place: fmt.Sprintf("d:%d", i+1)})
	}
	if text := checkRows(bad, "d", 10).Error(); strings.Count(text, "\n") != 10 || !strings.Contains(text, "and 20 problems more") {
		t.Error(text)
	}
}

func manyTools() []because.Tool {
	var out []because.Tool
	for i := range 129 {
		out = append(out, because.Tool{Name: fmt.Sprintf("f%d", i)})
	}
	return out
}

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no folder": func(o *Options) { o.Out = "" }, "no model": func(o *Options) { o.Model = "" }, "no epochs": func(o *Options) { o.Epochs = 0 },
		"a batch": func(o *Options) { o.Batch = -1 }, "a rate": func(o *Options) { o.LRMultiplier = -1 }, "a suffix": func(o *Options) { o.Suffix = "a b" },
		"validation data": func(o *Options) { o.Validation = &Data{"v.jsonl", nil} },
	} {
		o := Options{Out: "o", Model: "gpt-4.1", Epochs: 1, Train: Data{"d", rows(10)}}
		if _, err := New(o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestKey wants another key for whatever changes the run, and the same one for what does not.
func TestKey(t *testing.T) {
	o := Options{Out: "o", Model: "gpt-4.1", Epochs: 1, Train: Data{"d", rows(10)}}
	key := func(change func(*Options)) string {
		other := o
		other.Train.Rows = rows(10)
		change(&other)
		return plan(t, other).Key()
	}
	first := key(func(*Options) {})
	for name, change := range map[string]func(*Options){
		"model": func(o *Options) { o.Model = "gpt-4o" }, "base URL": func(o *Options) { o.BaseURL = "http://localhost/v1" }, "epochs": func(o *Options) { o.Epochs = 2 },
		"batch": func(o *Options) { o.Batch = 2 }, "rate": func(o *Options) { o.LRMultiplier = 2 }, "seed": func(o *Options) { o.Seed = 2 }, "suffix": func(o *Options) { o.Suffix = "x" },
		"data": func(o *Options) { o.Train.Rows[3].Messages[1].Content += "!" }, "validation": func(o *Options) { o.Validation = &Data{"v", rows(1)} },
	} {
		if key(change) == first {
			t.Errorf("another %s, and the same key", name)
		}
	}
	for name, change := range map[string]func(*Options){
		"folder": func(o *Options) { o.Out = "p" }, "file": func(o *Options) { o.Train.File = "e" }, "default URL": func(o *Options) { o.BaseURL = DefaultBaseURL + "/" },
		"key": func(o *Options) { o.Key = "k" },
	} {
		if key(change) != first {
			t.Errorf("another %s, and another key", name)
		}
	}
}

// TestPairsHold draws conversations with and without ids: what is written is whole, and ids that were given stay.
func TestPairsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := Row{Tools: toolF, Messages: []because.Message{user("q")}}
		for turn := range rapid.IntRange(1, 3).Draw(t, "turns") {
			n := rapid.IntRange(1, 3).Draw(t, "calls")
			var calls []because.ToolCall
			var results []because.Message
			for i := range n {
				id, named, answered := fmt.Sprintf("call_%d", turn*3+i), rapid.Bool().Draw(t, "named"), rapid.Bool().Draw(t, "answered by id")
				if !named {
					calls = append(calls, call(""))
				} else {
					calls = append(calls, call(id))
				}
				if !answered {
					results = append(results, told("", "r"))
				} else {
					results = append(results, told(id, "r"))
				}
			}
			row.Messages = append(append(row.Messages, calling(calls...)), results...)
		}
		row.Messages = append(row.Messages, assistant("a"))
		if p := row.problems(); p != nil {
			t.Fatalf("%v", p)
		}
		out := withIDs(row.Messages)
		for i, m := range row.Messages {
			if m.ToolCallID != "" && out[i].ToolCallID != m.ToolCallID {
				t.Fatal("a result's id changed")
			}
			for j, c := range m.ToolCalls {
				if got := out[i].ToolCalls[j].ID; got == "" || c.ID != "" && got != c.ID {
					t.Fatal("a call's id changed or is missing")
				}
			}
		}
	})
}

func TestMetrics(t *testing.T) {
	got, err := parseMetrics([]byte("\ufeffstep,train_loss,train_accuracy,valid_loss\n1, 1.5 ,0.25,\n2,NaN,inf,1e999\n\n3,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, m := range got {
		line, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		text += string(line) + "\n"
	}
	want := `{"step":1,"train_accuracy":0.25,"train_loss":1.5}` + "\n" + `{"step":2,"train_accuracy":null,"train_loss":null,"valid_loss":null}` + "\n" + `{"step":3}` + "\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"": "empty", "a,b\n1,2": "no column step", "step,a\n1,2,3": "no CSV", "step,a\n1,2\nx,3": `line 3 of the result file: "x" is no step`,
		"step,a\n1.5,2": "no step", "step,a\n-1,2": "no step", "step,a\n1,b": `a is "b", which is no number`, "\"": "no CSV",
	} {
		if _, err := parseMetrics([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.52347,0.0,,\n2,0.57719,0.0,,\n"))
	f.Add([]byte("c3RlcCx0cmFpbl9sb3NzCjEsMi41Cg=="))
	f.Add([]byte("step,step,a,a\n1,2,nan,-inf\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseMetrics(text)
		if err != nil {
			return
		}
		for _, m := range list {
			line, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var again Metric
			if err := json.Unmarshal(line, &again); err != nil || again.Step != m.Step {
				t.Fatalf("%s: %v", line, err)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	o := Options{Out: "o", Model: "gpt-4.1", Epochs: 1, Train: Data{"d", rows(10)}, Validation: &Data{"v", rows(1)}}
	p, err := New(o)
	if err != nil {
		f.Fatal(err)
	}
	s := p.wanted
	for range 2 {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		s.Training.ID, s.Attempt, s.Job, s.Status = "file-1", "ABC", "ftjob-1", Running
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseState(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if diff := cmp.Diff(*s, *second, cmp.AllowUnexported(state{}, identity{})); diff != "" {
			t.Fatal(diff)
		}
		for _, id := range []string{s.Job, s.Training.ID} {
			if strings.ContainsAny(id, "/?#%\n") || id == ".." {
				t.Fatalf("an id that can leave its place in a path: %q", id)
			}
		}
	})
}

// TestDamagedState refuses what does not hold together.
func TestDamagedState(t *testing.T) {
	good, err := json.Marshal(plan(t, Options{Out: "o", Model: "gpt-4.1", Epochs: 1, Train: Data{"d", rows(10)}}).wanted)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseState(good); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"format":1`, `"format":2`}, {"gpt-4.1", "gpt-4.2"}, {`"epochs":1`, `"epochs":2`}, {`"key":`, `"other":1,"key":`}, {"https://", "https://me:pw@"}} {
		text := strings.Replace(string(good), change[0], change[1], 1)
		if _, err := parseState([]byte(text)); err == nil || text == string(good) {
			t.Errorf("%s in place of %s is taken", change[1], change[0])
		}
	}
	for _, text := range []string{"", "{}", string(good[:len(good)/2]), string(good) + "{}"} {
		if _, err := parseState([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	var e *because.Error
	if _, err := readState(t.TempDir()); err != nil || errors.As(err, &e) {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestTornEvents drops a last line that was cut off, and nothing else.
func TestTornEvents(t *testing.T) {
	path := t.TempDir() + "/events.jsonl"
	e, err := openEvents(path)
	if err != nil {
		t.Fatal(err)
	}
	list := []event{{ID: "a", Message: "1"}, {ID: "b", Message: "2"}}
	if err := e.add(list); err != nil {
		t.Fatal(err)
	}
	if _, err := e.file.WriteString(`{"id":"c","mess`); err != nil {
		t.Fatal(err)
	}
	e.close()
	if e, err = openEvents(path); err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if diff := cmp.Diff(list, e.all); diff != "" || e.seen["c"] {
		t.Error(diff)
	}
	if err := e.add([]event{{ID: "c"}}); err != nil || strings.Count(read(t, path), "\n") != 3 {
		t.Error(err, read(t, path))
	}
}
