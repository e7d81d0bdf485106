package gguf

import (
	"fmt"
	"math"
	"strings"
)

// TokenizerFields are the parts of a tokenizer as a file holds them. Ids are -1 where there is none.
type TokenizerFields struct {
	Model  string    // "gpt2" (byte-level BPE) or "llama" (sentencepiece)
	Pre    string    // name of the pre-tokenizer, "" if the file has none
	Tokens []string  // text by id
	Scores []float32 // by id; nil if the file has none
	Types  []int32   // by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; nil if the file has none
	Merges []string  // pairs with a space between, best first

	BOS, EOS, UNK, PAD, EOT int32
	// Where the file does not say, these are llama.cpp's defaults for the model and the pre-tokenizer.
	AddBOS, AddEOS, AddSpacePrefix bool
}

const tokenizerKeys = "tokenizer.ggml."

// Tokenizer reads the tokenizer of the file and checks that its parts fit one another.
func (f *File) Tokenizer() (TokenizerFields, error) {
	t, err := f.tokenizer()
	if err != nil {
		return TokenizerFields{}, fmt.Errorf("gguf: tokenizer in %s: %w", f.Path(), err)
	}
	return t, nil
}

func (f *File) tokenizer() (t TokenizerFields, err error) {
	if t.Model, err = f.String(tokenizerKeys + "model"); err != nil {
		return t, err
	}
	if t.Model != "gpt2" && t.Model != "llama" {
		return t, fmt.Errorf("its model is %q, supported are gpt2 and llama", t.Model)
	}
	if f.Has(tokenizerKeys + "pre") {
		if t.Pre, err = f.String(tokenizerKeys + "pre"); err != nil {
			return t, err
		}
	}
	for _, step := range []func(*TokenizerFields) error{f.tokens, f.merges, f.specialIDs, f.tokenizerFlags} {
		if err := step(&t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// tokens reads the arrays by id.
func (f *File) tokens(t *TokenizerFields) (err error) {
	if t.Tokens, err = f.Strings(tokenizerKeys + "tokens"); err != nil {
		return err
	}
	if len(t.Tokens) == 0 || len(t.Tokens) > math.MaxInt32 {
		return fmt.Errorf("it has %d tokens", len(t.Tokens))
	}
	if key := tokenizerKeys + "scores"; f.Has(key) {
		if t.Scores, err = f.Floats(key); err != nil {
			return err
		}
		if len(t.Scores) != len(t.Tokens) {
			return fmt.Errorf("it has %d tokens and %d scores", len(t.Tokens), len(t.Scores))
		}
	}
	if key := tokenizerKeys + "token_type"; f.Has(key) {
		types, err := f.Ints(key)
		if err != nil {
			return err
		}
		if len(types) != len(t.Tokens) {
			return fmt.Errorf("it has %d tokens and %d token types", len(t.Tokens), len(types))
		}
		t.Types = make([]int32, len(types))
		for i, v := range types {
			if v < 0 || v > 6 {
				return fmt.Errorf("token %d is of type %d, want 0 to 6", i, v)
			}
			t.Types[i] = int32(v)
		}
	}
	return nil
}

func (f *File) merges(t *TokenizerFields) (err error) {
	key := tokenizerKeys + "merges"
	if !f.Has(key) {
		if t.Model == "gpt2" {
			return fmt.Errorf("metadata %q is missing", key)
		}
		return nil
	}
	if t.Merges, err = f.Strings(key); err != nil {
		return err
	}
	for i, m := range t.Merges {
		if left, right, ok := strings.Cut(m, " "); !ok || left == "" || right == "" {
			return fmt.Errorf("merge %d is %q, want two tokens with a space between", i, m)
		}
	}
	return nil
}

func (f *File) specialIDs(t *TokenizerFields) error {
	for _, k := range []struct {
		key string
		to  *int32
	}{
		{"bos_token_id", &t.BOS}, {"eos_token_id", &t.EOS}, {"unknown_token_id", &t.UNK}, {"padding_token_id", &t.PAD}, {"eot_token_id", &t.EOT},
	} {
		*k.to = -1
		key := tokenizerKeys + k.key
		if !f.Has(key) {
			continue
		}
		id, err := f.Int(key)
		if err != nil {
			return err
		}
		if id == math.MaxUint32 {
			continue // how some writers say that there is none
		}
		if id < 0 || id >= len(t.Tokens) {
			return fmt.Errorf("metadata %q is %d, but there are %d tokens", key, id, len(t.Tokens))
		}
		*k.to = int32(id)
	}
	return nil
}

func (f *File) tokenizerFlags(t *TokenizerFields) (err error) {
	switch {
	case t.Model == "llama":
		t.AddBOS, t.AddSpacePrefix = true, true
	case t.Pre == "llama3" || t.Pre == "llama-v3" || t.Pre == "llama-bpe":
		t.AddBOS = true
	}
	for _, k := range []struct {
		key string
		to  *bool
	}{{"add_bos_token", &t.AddBOS}, {"add_eos_token", &t.AddEOS}, {"add_space_prefix", &t.AddSpacePrefix}} {
		if key := tokenizerKeys + k.key; f.Has(key) {
			if *k.to, err = f.Bool(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// ChatTemplate gives the Jinja template of the file, "" if it has none.
func (f *File) ChatTemplate() (string, error) {
	const key = "tokenizer.chat_template"
	if !f.Has(key) {
		return "", nil
	}
	s, err := f.String(key)
	if err != nil {
		return "", fmt.Errorf("gguf: tokenizer in %s: %w", f.Path(), err)
	}
	return s, nil
}
