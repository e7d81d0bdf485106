// Package bpe provides the tokenizers of real checkpoints: byte-level BPE as in GPT-2, Llama 3, Qwen2 and SmolLM, and
// BPE with byte fallback as SentencePiece writes it for Llama 2, Mistral and TinyLlama. They are read from a
// tokenizer.json (Parse) or from the fields of a GGUF file (FromGGUF), or trained (Train).
//
// Tokens are those of Hugging Face tokenizers, the reference implementation, for every text that is UTF-8. A text
// passes these stations, each in a file of its own: added tokens are cut out (added.go), the rest is normalized
// (normalize.go, nfc.go), split (pretokenize.go, scan.go), and merged from characters (model.go); special tokens may
// be put around the whole (post.go). decode.go is the way back.
//
// Special tokens never come from plain text unless the caller says that a text may contain them. That holds even where
// a file's merges would spell one.
package bpe

import (
	"strings"
	"sync"
)

// Tokenizer turns text into tokens and back. It is immutable, and many goroutines may use it at once.
type Tokenizer struct {
	file    file             // what JSON writes beside the vocabulary
	tokens  []string         // by id, as the vocabulary spells them
	ids     map[string]int32 // of all tokens, added ones too
	known   []bool           // by id: is a token
	inModel []bool           // by id: is in the model's vocabulary, not only an added token
	special []bool           // by id
	spelled map[int32]string // added tokens that the decoder sees in their normalized form

	raw, normalized *finder // added tokens to find in the text itself, and in the normalized text
	normalizers     []normalizer
	pre             preTokenizer
	model           *model
	post            postProcessor
	decoding        *decoding
	scratch         sync.Pool
}

// Options say how a text is encoded.
type Options struct {
	// Special makes special tokens of their text. Without it that text is text like any other. Added tokens that
	// are not special, such as <think> of Qwen3, are found either way.
	Special bool
	// AddSpecial puts the tokens around the text that the tokenizer's post-processor wants there, such as a
	// beginning of sequence.
	AddSpecial bool
}

// Span is a part of a text that comes from one source.
type Span struct {
	Text    string
	Special bool // special tokens in it are recognized
}

// Encode gives the tokens of a text. Characters for which the vocabulary has no token, not even an unknown one, are
// left out, as the reference implementation does; bytes that are no UTF-8 are encoded as bytes where the vocabulary
// has them.
func (t *Tokenizer) Encode(text string, o Options) []int32 {
	ids := t.encode(text, mask{all: o.Special})
	if o.AddSpecial {
		ids = append(append(append([]int32(nil), t.post.before...), ids...), t.post.after...)
	}
	return ids
}

// EncodeSpans gives the tokens of the spans' texts put together. A special token is recognized where all of it lies
// in spans with Special; for everything else the borders between spans do not matter.
func (t *Tokenizer) EncodeSpans(spans []Span) []int32 {
	var text strings.Builder
	mixed := false
	for _, s := range spans {
		text.WriteString(s.Text)
		mixed = mixed || s.Special != spans[0].Special
	}
	if !mixed {
		return t.encode(text.String(), mask{all: len(spans) > 0 && spans[0].Special})
	}
	m := mask{bytes: make([]bool, 0, text.Len())}
	for _, s := range spans {
		for range len(s.Text) {
			m.bytes = append(m.bytes, s.Special)
		}
	}
	return t.encode(text.String(), m)
}

// encode takes a text through all stations but the last. The mask tells where special tokens may be.
func (t *Tokenizer) encode(text string, m mask) []int32 {
	w := t.scratch.Get().(*scratch)
	defer t.scratch.Put(w)
	w.ids = w.ids[:0]
	token := func(id int32) { w.ids = append(w.ids, id) }
	emit := func(piece string) { t.model.encode(piece, w) }
	t.raw.split(text, m, func(start, end int) {
		s, m := text[start:end], m.cut(start, end)
		for _, normalize := range t.normalizers {
			s, m = normalize(s, m)
		}
		t.normalized.split(s, m, func(from, to int) {
			t.pre.run(0, s[from:to], start == 0 && from == 0, emit)
		}, token)
	}, token)
	return append([]int32(nil), w.ids...)
}

// Bytes gives the bytes that a token stands for amid others; part of a character, perhaps. It is nil for an id that
// is no token.
func (t *Tokenizer) Bytes(id int32) []byte {
	if !t.has(id) {
		return nil
	}
	text, _ := t.decoding.text(t.decoded(id), false)
	return []byte(text)
}

// ID finds a token by its spelling in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token gives the spelling of a token in the vocabulary; empty for an id that is no token.
func (t *Tokenizer) Token(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.tokens[id]
}

// IsSpecial tells whether a token is special: no text, but a mark such as the end of a turn.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.has(id) && t.special[id] }

// Len gives the number of ids: one more than the largest. A model's embedding may have more rows.
func (t *Tokenizer) Len() int { return len(t.tokens) }

// has tells whether an id is a token.
func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.known) && t.known[id] }

// decoded gives the spelling of a token that the decoder works on.
func (t *Tokenizer) decoded(id int32) string {
	if s, ok := t.spelled[id]; ok {
		return s
	}
	return t.tokens[id]
}
