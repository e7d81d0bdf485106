package bpe

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// ggufOf gives a family's tokenizer as a GGUF file of the same model holds it.
func ggufOf(t *testing.T, name, model, pre string) (GGUF, *vectors) {
	t.Helper()
	var v vectors
	load(t, name, &v)
	var f file
	if err := json.Unmarshal(v.Tokenizer, &f); err != nil {
		t.Fatal(err)
	}
	g := GGUF{Model: model, Pre: pre, BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	n := len(f.Model.Vocab)
	for _, a := range f.AddedTokens {
		n = max(n, int(a.ID)+1)
	}
	g.Tokens, g.Types, g.Scores = make([]string, n), slices.Repeat([]int32{typeNormal}, n), make([]float32, n)
	for token, id := range f.Model.Vocab {
		g.Tokens[id] = token
		if _, ok := fallbackByte(token); ok {
			g.Types[id] = typeByte
		}
	}
	for _, a := range f.AddedTokens {
		g.Tokens[a.ID], g.Types[a.ID] = a.Content, typeUserDefined
		if a.Special {
			g.Types[a.ID] = typeControl
		}
	}
	for id := range g.Scores {
		g.Scores[id] = -float32(id)
	}
	for _, m := range f.Model.Merges {
		g.Merges = append(g.Merges, m[0]+" "+m[1])
	}
	return g, &v
}

// A GGUF file's fields give the tokenizer that the tokenizer.json of the same model gives, by merges and by scores.
func TestFromGGUF(t *testing.T) {
	var texts []string
	load(t, "strings", &texts)
	for _, test := range []struct{ name, model, pre string }{
		{"gpt2", "gpt2", "gpt-2"}, {"llama3", "gpt2", "llama-bpe"}, {"qwen2", "gpt2", "qwen2"}, {"smollm2", "gpt2", "smollm"}, {"tekken", "gpt2", "tekken"},
		{"llama2", "llama", "default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, v := ggufOf(t, test.name, test.model, test.pre)
			switch test.name {
			case "llama2":
				g.Merges = nil
				g.UNK, g.BOS, g.AddBOS, g.AddSpacePrefix = 0, 1, true, true
				g.Types[0] = typeUnknown
			case "llama3", "tekken":
				g.BOS = v.BOS[0][0]
				g.AddBOS = true
			}
			tok, err := FromGGUF(g)
			if err != nil {
				t.Fatal(err)
			}
			v.checkTexts(t, tok, texts)
			var want file
			if err := json.Unmarshal(v.Tokenizer, &want); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tok.file.Model.Merges, want.Model.Merges) {
				t.Error("the merges are not those of the tokenizer.json")
			}
			data, err := tok.JSON()
			if err != nil {
				t.Fatal(err)
			}
			v.checkTexts(t, parse(t, string(data)), texts[:1000:1000])
		})
	}
}

func TestAddBothEnds(t *testing.T) {
	g := GGUF{Model: "gpt2", Tokens: []string{"a", "<s>", "</s>"}, BOS: 1, EOS: 2, UNK: -1, PAD: -1, AddBOS: true, AddEOS: true}
	for _, eos := range []int32{2, 1} {
		g.EOS = eos
		tok, err := FromGGUF(g)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tok.Encode("a", Options{AddSpecial: true}), []int32{1, 0, eos}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestFromGGUFErrors(t *testing.T) {
	nan := float32(0)
	nan /= nan
	for _, test := range []struct {
		g    GGUF
		want string
	}{
		{GGUF{}, "tokens is empty"},
		{GGUF{Model: "bert", Tokens: []string{"a"}}, `model "bert"`},
		{GGUF{Model: "gpt2", Pre: "odd", Tokens: []string{"a"}}, `pre "odd"`},
		{GGUF{Model: "gpt2", Tokens: []string{"a", "a"}}, "tokens[0] and tokens[1]"},
		{GGUF{Model: "gpt2", Tokens: []string{"a"}, BOS: 1}, "bos_token_id is 1"},
		{GGUF{Model: "gpt2", Tokens: []string{"a"}, EOS: -2}, "eos_token_id is -2"},
		{GGUF{Model: "gpt2", Tokens: []string{"a"}, BOS: -1, AddBOS: true}, "bos_token_id is missing"},
		{GGUF{Model: "gpt2", Tokens: []string{"\xff"}}, "tokens[0]"},
		{GGUF{Model: "gpt2", Tokens: []string{"a"}, Types: []int32{1, 1}}, "token_type has 2"},
		{GGUF{Model: "gpt2", Tokens: []string{"a"}, Merges: []string{"a"}}, "merges[0]"},
		{GGUF{Model: "gpt2", Tokens: []string{"a", "b"}, Merges: []string{"a b"}}, `"ab" is not in the vocabulary`},
		{GGUF{Model: "llama", Tokens: []string{"a"}}, "scores has 0"},
		{GGUF{Model: "llama", Tokens: []string{"a"}, Scores: []float32{nan}}, "scores[0]"},
	} {
		_, err := FromGGUF(test.g)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "bpe: tokenizer of GGUF: ") {
			t.Errorf("%+v: %v; want an error with %q", test.g, err, test.want)
		}
	}
}
