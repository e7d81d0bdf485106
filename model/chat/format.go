package chat

import "strings"

// Syntax is how a model writes tool calls.
type Syntax string

// The syntaxes of calls.
const (
	// NoCalls: everything is content. Use it for a conversation without tools, too.
	NoCalls Syntax = ""
	// Hermes: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, any number of them (NousResearch Hermes, Qwen2.5, Qwen3).
	Hermes Syntax = "hermes"
	// Llama3: the whole answer is {"name": ..., "parameters": {...}}, several with semicolons between, perhaps behind
	// <|python_tag|>, where also name.call(key="value") may stand (Llama 3.1 to 3.3).
	Llama3 Syntax = "llama3"
	// Mistral: [TOOL_CALLS] and a list of {"name": ..., "arguments": {...}, "id": ...} (Mistral 7B v0.3, Nemo).
	Mistral Syntax = "mistral"
)

// Format is how a model writes its answers.
type Format struct {
	Calls Syntax
	// Thinks tells that an answer may start with reasoning between <think> and </think>.
	Thinks bool
	// Opened tells that the prompt has written <think> already; see After.
	Opened bool
}

const (
	thinkOpen   = "<think>"
	thinkClose  = "</think>"
	hermesOpen  = "<tool_call>"
	hermesClose = "</tool_call>"
	llamaTag    = "<|python_tag|>"
	mistralTag  = "[TOOL_CALLS]"
)

// DetectFormat tells from a chat template how its model answers. Calls in a syntax that this package cannot parse are NoCalls.
func DetectFormat(template string) Format {
	has := func(s string) bool { return strings.Contains(template, s) }
	f := Format{Thinks: has(thinkClose)}
	switch {
	case has("<function=") || has("[ARGS]"): // XML of Qwen3-Coder; Mistral's later name[ARGS]{}
	case has(hermesOpen):
		f.Calls = Hermes
	case has(mistralTag):
		f.Calls = Mistral
	case has(llamaTag) || has("<|start_header_id|>") && has(`"parameters": `):
		f.Calls = Llama3
	}
	return f
}

// After gives the format of an answer to a rendered prompt, which may end by opening the reasoning.
func (f Format) After(prompt string) Format {
	f.Opened = f.Thinks && strings.HasSuffix(strings.TrimRight(prompt, blanks), thinkOpen)
	return f
}

// Tags are the words that must be in the text for a parser to see reasoning and calls. A tokenizer may hold them as special
// tokens, whose text is otherwise left out of answers.
func (f Format) Tags() []string {
	var tags []string
	if f.Thinks {
		tags = append(tags, thinkOpen, thinkClose)
	}
	switch f.Calls {
	case Hermes:
		tags = append(tags, hermesOpen, hermesClose)
	case Llama3:
		tags = append(tags, llamaTag)
	case Mistral:
		tags = append(tags, mistralTag)
	}
	return tags
}
