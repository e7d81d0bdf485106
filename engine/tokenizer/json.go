package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// file is a tokenizer.json as far as word-level tokenizers use it.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  *typed          `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         *model          `json:"model"`
}

type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type typed struct {
	Type string `json:"type"`
}

type model struct {
	Type  string           `json:"type"`
	Vocab map[string]int64 `json:"vocab"`
	// UnkToken is outside the vocabulary, so that Hugging Face's tokenizers too
	// refuses unknown words.
	UnkToken string `json:"unk_token"`
}

// unkToken is a name for which no vocabulary has a use.
const unkToken = "<|no unknown words|>"

// JSON returns the content of the tokenizer's tokenizer.json. Equal tokenizers
// give equal bytes.
func (t *Tokenizer) JSON() ([]byte, error) {
	null := json.RawMessage("null")
	f := file{
		Version: "1.0", Truncation: null, Padding: null, Normalizer: null, PostProcessor: null, Decoder: null,
		AddedTokens:  []addedToken{},
		PreTokenizer: &typed{"WhitespaceSplit"},
		Model:        &model{Type: "WordLevel", Vocab: make(map[string]int64, len(t.words)), UnkToken: unkToken},
	}
	for id, w := range t.words {
		f.Model.Vocab[w] = int64(id)
		if t.special[id] {
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: int64(id), Content: w, Special: true})
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(f)
	return b.Bytes(), err
}

// Parse reads a tokenizer.json. A file that asks for anything a word-level
// tokenizer of this package does not do is an error that names the key.
func Parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("tokenizer: parse: %w", err)
	}
	for _, o := range []struct {
		key   string
		value json.RawMessage
	}{{"truncation", f.Truncation}, {"padding", f.Padding}, {"normalizer", f.Normalizer}, {"post_processor", f.PostProcessor}, {"decoder", f.Decoder}} {
		if len(o.value) > 0 && string(o.value) != "null" {
			return nil, fmt.Errorf("tokenizer: parse: %s is set; only word-level tokenizers without it are supported", o.key)
		}
	}
	switch {
	case f.Model == nil:
		return nil, fmt.Errorf("tokenizer: parse: model is missing")
	case f.Model.Type != "WordLevel":
		return nil, fmt.Errorf("tokenizer: parse: model.type is %q, want \"WordLevel\"", f.Model.Type)
	case f.PreTokenizer == nil || f.PreTokenizer.Type != "WhitespaceSplit":
		return nil, fmt.Errorf("tokenizer: parse: pre_tokenizer is not of type \"WhitespaceSplit\"")
	}
	if _, ok := f.Model.Vocab[f.Model.UnkToken]; ok {
		return nil, fmt.Errorf("tokenizer: parse: model.unk_token %q is in the vocabulary; unknown words would pass unnoticed", f.Model.UnkToken)
	}
	return f.tokenizer()
}

func (f *file) tokenizer() (*Tokenizer, error) {
	vocab := f.Model.Vocab
	special := map[string]bool{}
	for i, a := range f.AddedTokens {
		if a.SingleWord || a.LStrip || a.RStrip || !a.Special {
			return nil, fmt.Errorf("tokenizer: parse: added_tokens[%d] (%q) is not a plain special token", i, a.Content)
		}
		if id, ok := vocab[a.Content]; ok && id != a.ID {
			return nil, fmt.Errorf("tokenizer: parse: added_tokens[%d] (%q) has id %d, but %d in the vocabulary", i, a.Content, a.ID, id)
		}
		if vocab == nil {
			vocab = map[string]int64{}
		}
		vocab[a.Content] = a.ID
		special[a.Content] = true
	}
	words := make([]string, len(vocab))
	flags := make([]bool, len(vocab))
	seen := make([]bool, len(vocab))
	for _, w := range slices.Sorted(maps.Keys(vocab)) {
		id := vocab[w]
		if id < 0 || id >= int64(len(words)) {
			return nil, fmt.Errorf("tokenizer: parse: %q has id %d; the ids of %d tokens must be 0 to %d", w, id, len(words), len(words)-1)
		}
		if seen[id] {
			return nil, fmt.Errorf("tokenizer: parse: %q and %q share the id %d", words[id], w, id)
		}
		words[id], flags[id], seen[id] = w, special[w], true
	}
	return build(words, flags)
}
