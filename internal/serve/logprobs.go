package serve

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// chatLogProbs are the tokens of an answer in the form of chats.
type chatLogProbs struct {
	Content []chatLogProb `json:"content"`
	Refusal *struct{}     `json:"refusal"`
}

// chatLogProb is a token with its alternatives. Bytes are exact where Token replaces parts of characters.
type chatLogProb struct {
	chatToken
	Top []chatToken `json:"top_logprobs"`
}

type chatToken struct {
	Token   string  `json:"token"`
	LogProb float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

func (s *Server) chatScores(tokens []scored) []chatLogProb {
	var out []chatLogProb
	for _, t := range tokens {
		p := chatLogProb{chatToken: s.chatToken(t.ID, t.LogProb), Top: []chatToken{}}
		for _, o := range t.Top {
			p.Top = append(p.Top, s.chatToken(o.ID, o.LogProb))
		}
		out = append(out, p)
	}
	return out
}

func (s *Server) chatToken(id int32, p float32) chatToken {
	b := s.backend.Bytes(id)
	t := chatToken{Token: lossy(b), LogProb: finite(p), Bytes: make([]int, len(b))}
	for i, c := range b {
		t.Bytes[i] = int(c)
	}
	return t
}

// finite is a log-probability that JSON can hold: -9999 stands for minus infinity, as in the API.
func finite(p float32) float64 {
	if math.IsNaN(float64(p)) || p < -9999 {
		return -9999
	}
	return float64(p)
}

// textLogProbs are the tokens of an answer in the form of completions. Offsets count characters from the start of
// the answer, an echoed prompt included.
type textLogProbs struct {
	Tokens   []string             `json:"tokens"`
	LogProbs []*float64           `json:"token_logprobs"`
	Top      []map[string]float64 `json:"top_logprobs"`
	Offsets  []int                `json:"text_offset"`

	chars   int    // characters before the next token
	partial []byte // the beginning of a character
}

func newTextLogProbs() *textLogProbs {
	return &textLogProbs{Tokens: []string{}, LogProbs: []*float64{}, Top: []map[string]float64{}, Offsets: []int{}}
}

// add appends a token. A token that nothing comes before has no probability.
func (l *textLogProbs) add(s *Server, t Token, top int, first bool) {
	b := s.backend.Bytes(t.ID)
	l.Tokens = append(l.Tokens, tokenName(b))
	l.Offsets = append(l.Offsets, l.chars)
	l.partial = append(l.partial, b...)
	whole := len(l.partial) - unfinished(l.partial)
	l.chars += utf8.RuneCountInString(lossy(l.partial[:whole]))
	l.partial = l.partial[whole:]
	if first {
		l.LogProbs, l.Top = append(l.LogProbs, nil), append(l.Top, nil)
		return
	}
	p := finite(t.LogProb)
	l.LogProbs = append(l.LogProbs, &p)
	if top == 0 {
		l.Top = append(l.Top, nil)
		return
	}
	// The token itself is among the alternatives even where it is not one of the most probable.
	alternatives := map[string]float64{}
	for _, o := range append([]TopToken{{t.ID, t.LogProb}}, t.Top...) {
		name, p := tokenName(s.backend.Bytes(o.ID)), finite(o.LogProb)
		if before, ok := alternatives[name]; !ok || p > before {
			alternatives[name] = p
		}
	}
	l.Top = append(l.Top, alternatives)
}

// take gives the tokens added since the last call, for a piece of a stream.
func (l *textLogProbs) take() *textLogProbs {
	out := &textLogProbs{Tokens: l.Tokens, LogProbs: l.LogProbs, Top: l.Top, Offsets: l.Offsets}
	l.Tokens, l.LogProbs, l.Top, l.Offsets = []string{}, []*float64{}, []map[string]float64{}, []int{}
	return out
}

// tokenName is a token's text, or "bytes:\xe2\x80" where it is no whole characters, as in the API.
func tokenName(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	out.WriteString("bytes:")
	for _, c := range b {
		fmt.Fprintf(&out, `\x%02x`, c)
	}
	return out.String()
}
