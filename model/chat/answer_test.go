package chat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/chat"
)

func toolCall(name, arguments string) because.ToolCall {
	return because.ToolCall{Name: name, Arguments: json.RawMessage(arguments)}
}

type answerCase struct {
	name, text string
	format     chat.Format
	want       chat.Answer
}

var (
	hermes  = chat.Format{Calls: chat.Hermes, Thinks: true}
	llama   = chat.Format{Calls: chat.Llama3}
	mistral = chat.Format{Calls: chat.Mistral}
	noop    = []because.ToolCall{toolCall("noop", `{}`)}
)

var answers = []answerCase{
	{"content", " Hi <there>\n", hermes, chat.Answer{Content: " Hi <there>\n"}},
	{"empty", "", hermes, chat.Answer{}},
	{"blank", " \n", hermes, chat.Answer{Content: " \n"}},
	{"call", "<tool_call>\n{\"name\": \"noop\", \"arguments\": {}}\n</tool_call>", hermes, chat.Answer{Calls: noop}},
	{"content and call", "I look.\n<tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": [1, 2.50]}}\n</tool_call>\n", hermes,
		chat.Answer{Content: "I look.", Calls: []because.ToolCall{toolCall("a", `{"x": [1, 2.50]}`)}}},
	{"calls and content", "<tool_call>{\"name\": \"a\"}</tool_call>\n<tool_call>{\"arguments\": null, \"name\": \"b\"}</tool_call>\nDone. ", hermes,
		chat.Answer{Content: "Done. ", Calls: []because.ToolCall{toolCall("a", `{}`), toolCall("b", `{}`)}}},
	{"content around", "A\n<tool_call>{\"name\": \"noop\"}</tool_call>\nB", hermes, chat.Answer{Content: "A\nB", Calls: noop}},
	{"string arguments", `<tool_call>{"name": "a", "arguments": "{\"x\": 1}"}</tool_call>`, hermes, chat.Answer{Calls: []because.ToolCall{toolCall("a", `{"x": 1}`)}}},
	{"closing tag in a string", `<tool_call>{"name": "a", "arguments": {"x": "\"</tool_call>"}}</tool_call>!`, hermes,
		chat.Answer{Content: "!", Calls: []because.ToolCall{toolCall("a", `{"x": "\"</tool_call>"}`)}}},
	{"string never closed", `<tool_call>{"name": "a</tool_call> and`, hermes,
		chat.Answer{Content: `<tool_call>{"name": "a</tool_call> and`, Problems: []string{"not a tool call: unexpected end of JSON input"}}},
	{"not closed", "<tool_call>{\"name\": \"noop\"}\n", hermes, chat.Answer{Calls: noop}},
	{"cut off", "<tool_call>{\"name\": \"no", hermes, chat.Answer{Content: "<tool_call>{\"name\": \"no", Problems: []string{"not a tool call: unexpected end of JSON input"}}},
	{"no name", "x\n<tool_call>{\"arguments\": {}}</tool_call> y", hermes, chat.Answer{Content: "x\n<tool_call>{\"arguments\": {}}</tool_call> y", Problems: []string{"not a tool call: no name"}}},
	{"bad arguments", "<tool_call>{\"name\": \"a\", \"arguments\": [1]}</tool_call>", hermes,
		chat.Answer{Content: "<tool_call>{\"name\": \"a\", \"arguments\": [1]}</tool_call>", Problems: []string{"not a tool call: arguments are not an object"}}},
	{"bad, then good", "<tool_call>{}}</tool_call>\n<tool_call>{\"name\": \"noop\"}</tool_call>", hermes,
		chat.Answer{Content: "<tool_call>{}}</tool_call>", Calls: noop, Problems: []string{"not a tool call: invalid character '}' after top-level value"}}},
	{"other case of a key", `<tool_call>{"Name": "a"}</tool_call>`, hermes, chat.Answer{Content: `<tool_call>{"Name": "a"}</tool_call>`, Problems: []string{"not a tool call: no name"}}},
	{"almost a tag", "<tool_cal", hermes, chat.Answer{Content: "<tool_cal"}},
	{"no calls wanted", "<tool_call>{\"name\": \"a\"}</tool_call>", chat.Format{}, chat.Answer{Content: "<tool_call>{\"name\": \"a\"}</tool_call>"}},

	{"reasoning", "<think>\nHm.\n\nOk\n</think>\n\nYes.", hermes, chat.Answer{Reasoning: "Hm.\n\nOk", Content: "Yes."}},
	{"no reasoning in reasoning", "\n<think>\n\n</think>\n\nYes.", hermes, chat.Answer{Content: "Yes."}},
	{"reasoning and call", "<think>a <tool_call> b</think>\n<tool_call>{\"name\": \"noop\"}</tool_call>", hermes, chat.Answer{Reasoning: "a <tool_call> b", Calls: noop}},
	{"opening tag by the prompt", "Hm.\n</think>\n\nYes.", hermes, chat.Answer{Reasoning: "Hm.", Content: "Yes."}},
	{"reasoning cut off", "<think>\nHm </thi", hermes, chat.Answer{Reasoning: "Hm </thi"}},
	{"reasoning later is content", "So <think>x</think>", hermes, chat.Answer{Content: "So <think>x</think>"}},
	{"model that does not think", "<think>x</think>y", llama, chat.Answer{Content: "<think>x</think>y"}},

	{"llama", `{"name": "a", "parameters": {"x": "}\""}}`, llama, chat.Answer{Calls: []because.ToolCall{toolCall("a", `{"x": "}\""}`)}}},
	{"llama, several", `{"name": "a", "parameters": {}}; {"name": "b", "arguments": {"y": 1}};`, llama, chat.Answer{Calls: []because.ToolCall{toolCall("a", `{}`), toolCall("b", `{"y": 1}`)}}},
	{"llama, tagged", "<|python_tag|>{\"name\": \"noop\", \"parameters\": {}}", llama, chat.Answer{Calls: noop}},
	{"llama, built in", `<|python_tag|>search.call(query="a, b", n="1")`, llama, chat.Answer{Calls: []because.ToolCall{toolCall("search", `{"query": "a, b", "n": "1"}`)}}},
	{"llama, code", "<|python_tag|>print(1)", llama,
		chat.Answer{Content: "<|python_tag|>print(1)", Problems: []string{"not a tool call: call 1: invalid character 'p' looking for beginning of value"}}},
	{"llama, other JSON", " {\"a\": 1} is JSON", llama, chat.Answer{Content: " {\"a\": 1} is JSON"}},
	{"llama, brace", "{x} is a set", llama, chat.Answer{Content: "{x} is a set"}},
	{"llama, cut off", `{"name": "a", "para`, llama, chat.Answer{Content: `{"name": "a", "para`, Problems: []string{"not a tool call: call 1: unexpected EOF"}}},
	{"llama, text behind", `{"name": "a", "parameters": {}} I called.`, llama,
		chat.Answer{Content: `{"name": "a", "parameters": {}} I called.`, Problems: []string{"not a tool call: text after call 1"}}},
	{"llama, text", "Hello {\"name\": \"a\", \"parameters\": {}}", llama, chat.Answer{Content: "Hello {\"name\": \"a\", \"parameters\": {}}"}},

	{"mistral", `[TOOL_CALLS] [{"name": "a", "arguments": {"x": "]"}, "id": "abcdefghi"}, {"name": "b", "arguments": {}}]`, mistral,
		chat.Answer{Calls: []because.ToolCall{{ID: "abcdefghi", Name: "a", Arguments: json.RawMessage(`{"x": "]"}`)}, toolCall("b", `{}`)}}},
	{"mistral, content", "Sure. [TOOL_CALLS][{\"name\": \"noop\", \"arguments\": {}}] ", mistral, chat.Answer{Content: "Sure.", Calls: noop}},
	{"mistral, no list", "[TOOL_CALLS] none", mistral, chat.Answer{Content: "[TOOL_CALLS] none", Problems: []string{"not a tool call: no list after [TOOL_CALLS]"}}},
	{"mistral, bad item", `[TOOL_CALLS] [{"name": "a"}, {}] x`, mistral, chat.Answer{Content: `[TOOL_CALLS] [{"name": "a"}, {}] x`, Problems: []string{"not a tool call: call 2: no name"}}},
	{"mistral, cut off", `[TOOL_CALLS] [{"name": "a"`, mistral, chat.Answer{Content: `[TOOL_CALLS] [{"name": "a"`, Problems: []string{"not a tool call: unexpected end of JSON input"}}},
}

func TestParseAnswer(t *testing.T) {
	for _, c := range answers {
		if diff := cmp.Diff(c.want, chat.ParseAnswer(c.text, c.format)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// pieces parses a text in pieces of n bytes.
func pieces(text string, f chat.Format, n int) chat.Answer {
	s := chat.NewStream(f)
	var a chat.Answer
	add := func(d chat.Delta) {
		a.Content += d.Content
		a.Reasoning += d.Reasoning
		a.Calls = append(a.Calls, d.Calls...)
		a.Problems = append(a.Problems, d.Problems...)
	}
	for len(text) > n {
		add(s.Push(text[:n]))
		text = text[n:]
	}
	add(s.Push(text))
	add(s.End())
	return a
}

// TestStreamInPieces: how an answer is cut makes no difference.
func TestStreamInPieces(t *testing.T) {
	for _, c := range answers {
		whole := pieces(c.text, c.format, len(c.text)+1)
		for n := 1; n <= len(c.text); n++ {
			if diff := cmp.Diff(whole, pieces(c.text, c.format, n)); diff != "" {
				t.Errorf("%s, pieces of %d: -whole +pieces\n%s", c.name, n, diff)
				break
			}
		}
	}
}

// TestStreamHoldsBack: text goes out as soon as it cannot belong to a tag.
func TestStreamHoldsBack(t *testing.T) {
	for _, c := range []struct {
		format chat.Format
		pushes string // pieces, with | between
		want   string // contents after each; what comes at the end is behind the last
	}{
		{hermes, "He|llo| wor|ld\n|!", "He|llo| wor|ld|\n!|"},
		{hermes, "a <|too|l!", "a|| <tool!|"},
		{hermes, "1 < 2", "1 < 2|"},
		{hermes, "a\n<tool_call>|{\"name\": \"n\"}|</tool_call>|\n|b", "a||||\nb|"},
		{hermes, "<thi|nk>", "||"},
		{hermes, "<thi|s", "|<this|"},
		{llama, "{\"a\"|: 1}|, ok", "|{\"a\": 1}|, ok|"},
		{llama, "Hi| {", "Hi| {|"},
		{mistral, "ok [|TOOL|_X", "ok|| [TOOL_X|"},
		{chat.Format{}, "<tool| _call", "<tool| _call|"},
	} {
		s := chat.NewStream(c.format)
		var got []string
		for _, p := range strings.Split(c.pushes, "|") {
			got = append(got, s.Push(p).Content)
		}
		got = append(got, s.End().Content)
		if diff := cmp.Diff(c.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%q: -want +got\n%s", c.pushes, diff)
		}
	}
}

func TestStreamOpened(t *testing.T) {
	f := hermes.After("<|im_start|>assistant\n<think>\n")
	if !f.Opened || hermes.After("<think>\n\n</think>\n\n").Opened || llama.After("<think>").Opened {
		t.Error("After does not see whether the prompt opened the reasoning")
	}
	s := chat.NewStream(f)
	if d := s.Push("\nI wonder"); d.Reasoning != "I wonder" {
		t.Errorf("got %+v", d)
	}
	if d := s.Push(".</think>So"); d.Reasoning != "." || d.Content != "So" {
		t.Errorf("got %+v", d)
	}
}

func TestDetectFormat(t *testing.T) {
	want := map[string]chat.Format{
		"qwen2_5": {Calls: chat.Hermes}, "qwen3": hermes, "qwen3_2507": {Calls: chat.Hermes}, "qwq": hermes, "hermes": {Calls: chat.Hermes},
		"llama3_1": llama, "llama3_2": llama, "mistral_v3": mistral, "mistral_nemo": mistral,
		"deepseek_r1_distill": {Thinks: true}, "smollm2": {}, "llama3": {}, "llama2": {}, "zephyr": {}, "mistral_v1": {},
	}
	v := readVectors(t)
	for name, f := range want {
		if got := chat.DetectFormat(v.Templates[name]); got != f {
			t.Errorf("%s: got %+v, want %+v", name, got, f)
		}
	}
}

// TestCallRoundTrip: what a template writes for an assistant's turn is parsed back to the same turn.
func TestCallRoundTrip(t *testing.T) {
	v := readVectors(t)
	for _, name := range []string{"qwen2_5", "qwen3", "qwen3_2507", "hermes", "llama3_1", "llama3_2", "mistral_v3", "mistral_nemo"} {
		tmpl, err := chat.Parse(v.Templates[name])
		if err != nil {
			t.Fatal(err)
		}
		f := chat.DetectFormat(v.Templates[name])
		rapid.Check(t, func(t *rapid.T) {
			most := 3
			if f.Calls == chat.Llama3 {
				most = 1
			}
			calls := rapid.SliceOfN(rapid.Custom(drawCall), 1, most).Draw(t, "calls")
			content := ""
			if name == "qwen2_5" || name == "qwen3" || name == "qwen3_2507" {
				content = rapid.SampledFrom([]string{"", "I look.", "a < b"}).Draw(t, "content")
			}
			in := chat.Input{Messages: []because.Message{{Role: "user", Content: "Go"}}, BOS: "<s>", EOS: "</s>"}
			before, err := tmpl.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			in.Messages = append(in.Messages, because.Message{Role: "assistant", Content: content, ToolCalls: calls})
			spans, err := tmpl.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			got := chat.ParseAnswer(answerIn(chat.Text(spans), chat.Text(before)), f)
			if f.Calls != chat.Mistral {
				for i := range calls {
					calls[i].ID = ""
				}
			}
			if diff := cmp.Diff(chat.Answer{Content: content, Calls: calls}, got, cmp.Transformer("json", compact)); diff != "" {
				t.Fatalf("%s: %q: -want +got\n%s", name, chat.Text(spans), diff)
			}
		})
	}
}

// answerIn cuts the assistant's answer out of a rendered conversation.
func answerIn(text, before string) string {
	text = strings.TrimPrefix(text, before)
	for _, head := range []string{"<|im_start|>assistant", "<|start_header_id|>assistant<|end_header_id|>\n\n"} {
		text = strings.TrimPrefix(text, head)
	}
	for _, end := range []string{"<|im_end|>\n", "<|eot_id|>", "</s>"} {
		text = strings.TrimSuffix(text, end)
	}
	return strings.TrimPrefix(text, "\n")
}

func drawCall(t *rapid.T) because.ToolCall {
	args := rapid.MapOf(rapid.StringMatching(`[a-z]{1,4}`), rapid.OneOf(
		rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "s") }),
		rapid.Custom(func(t *rapid.T) any { return float64(rapid.Int32().Draw(t, "n")) }),
		rapid.SampledFrom([]any{nil, true, []any{"</tool_call>", "\""}, map[string]any{"k": "}]; {"}}),
	)).Draw(t, "arguments")
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	return because.ToolCall{ID: "abcdefghi", Name: rapid.StringMatching(`[a-z_]{1,8}`).Draw(t, "name"), Arguments: raw}
}

// compact makes JSON comparable whatever its white space and escapes.
func compact(raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err.Error()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// FuzzAnswer: no answer is too odd to be taken apart, however it is cut, and nothing is lost but tags and blanks.
func FuzzAnswer(f *testing.F) {
	for _, c := range answers {
		f.Add(c.text, uint8(3), uint8(len(c.format.Calls)))
	}
	f.Fuzz(func(t *testing.T, text string, n, syntax uint8) {
		format := chat.Format{Calls: []chat.Syntax{chat.NoCalls, chat.Hermes, chat.Llama3, chat.Mistral}[syntax%4], Thinks: syntax&4 != 0, Opened: syntax&8 != 0}
		whole := pieces(text, format, len(text)+1)
		if diff := cmp.Diff(whole, pieces(text, format, int(n)+1)); diff != "" {
			t.Fatalf("-whole +pieces of %d\n%s", int(n)+1, diff)
		}
		if whole.Calls == nil && !format.Thinks && whole.Content != text {
			t.Fatalf("got %q", whole.Content)
		}
		for _, c := range whole.Calls {
			if c.Name == "" || !json.Valid(c.Arguments) {
				t.Fatalf("got %+v", c)
			}
		}
		chat.ParseAnswer(text, format)
	})
}
