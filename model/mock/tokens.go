package mock

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// A token of the mock model is a run of letters and digits, or any other character, with the white space before it. White space
// at the end of a text is a token of its own.

// nextToken gives the length in bytes of a text's first token; 0 for an empty text.
func nextToken(s string) int {
	at := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
	if at == len(s) {
		return at
	}
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
	r, size := utf8.DecodeRuneInString(s[at:])
	at += size
	for word(r) && at < len(s) {
		next, size := utf8.DecodeRuneInString(s[at:])
		if !word(next) {
			break
		}
		at += size
	}
	return at
}

// Tokens counts the tokens of a text as the mock model does.
func Tokens(s string) int {
	n := 0
	for s != "" {
		s = s[nextToken(s):]
		n++
	}
	return n
}

// promptTokens counts what a model reads: messages with their calls, tools, the schema, and the start of the answer.
func promptTokens(r because.Request) int {
	n := Tokens(r.Prefill)
	for _, m := range r.Messages {
		n += 1 + Tokens(m.Content) // one for the role
		n += callTokens(m.ToolCalls)
	}
	for _, t := range r.Tools {
		n += Tokens(t.Name) + Tokens(t.Description) + Tokens(string(t.Parameters))
	}
	if r.Format != nil {
		n += Tokens(string(r.Format.Schema))
	}
	return n
}

func callTokens(calls []because.ToolCall) int {
	n := 0
	for _, c := range calls {
		n += Tokens(c.Name) + Tokens(string(c.Arguments))
	}
	return n
}

// cutAtStop ends an answer before the first stop string in its text; then nothing follows.
func cutAtStop(out *because.Response, stops []string) {
	at := len(out.Text)
	for _, s := range stops {
		if i := strings.Index(out.Text, s); s != "" && i >= 0 && i < at {
			at = i
		}
	}
	if at < len(out.Text) {
		out.Text, out.Calls, out.Stop = out.Text[:at], nil, because.StopEnd
	}
}

// cutAtLimit ends an answer after so many tokens, of reasoning, text and calls in this order, and counts them. A call that does not
// fit is not made. Limit 0 is none.
func cutAtLimit(out *because.Response, limit int) {
	reasoning, text, calls := Tokens(out.Reasoning), Tokens(out.Text), callTokens(out.Calls)
	if limit > 0 && reasoning+text+calls > limit {
		out.Reasoning, reasoning = firstTokens(out.Reasoning, limit)
		out.Text, text = firstTokens(out.Text, limit-reasoning)
		for calls > limit-reasoning-text {
			out.Calls = out.Calls[:len(out.Calls)-1]
			calls = callTokens(out.Calls)
		}
		if len(out.Calls) == 0 {
			out.Calls = nil
		}
		out.Stop = because.StopLength
	}
	out.Usage.Reasoning, out.Usage.Output = reasoning, reasoning+text+calls
}

// firstTokens gives at most so many tokens of a text, and how many they are.
func firstTokens(s string, most int) (string, int) {
	at, n := 0, 0
	for n < most && at < len(s) {
		at += nextToken(s[at:])
		n++
	}
	return s[:at], n
}
