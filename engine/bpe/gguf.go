package bpe

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// GGUF holds the tokenizer's fields of a GGUF file, under llama.cpp's keys tokenizer.ggml.*.
type GGUF struct {
	Model  string    // model: "gpt2" for byte-level BPE, "llama" for SentencePiece BPE
	Pre    string    // pre: the pre-tokenizer of a gpt2 model
	Tokens []string  // tokens, by id
	Scores []float32 // scores, of a llama model: of two merges the one that makes the token with the better score is done
	Types  []int32   // token_type, by id: see below; may be empty
	Merges []string  // merges of a gpt2 model, best first

	BOS, EOS, UNK, PAD int32 // ids, -1 where the file has none
	AddBOS, AddEOS     bool  // add_bos_token, add_eos_token: what Options.AddSpecial adds
	AddSpacePrefix     bool  // add_space_prefix, of a llama model: a space is put before every text
}

// Values of GGUF.Types.
const (
	typeNormal      = 1
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
	typeByte        = 6
)

// preTokenizers maps the names of pre-tokenizers in GGUF files to the configuration that the models have.
var preTokenizers = map[string]struct {
	steps        string // before ByteLevel
	useRegex     bool
	nfc          bool
	ignoreMerges bool
}{
	"":                 {useRegex: true},
	"default":          {useRegex: true},
	"gpt-2":            {useRegex: true},
	"smollm":           {steps: `{"type":"Digits","individual_digits":true},`, useRegex: true},
	"llama-bpe":        {steps: splitStep(patternLlama3), ignoreMerges: true},
	"llama3":           {steps: splitStep(patternLlama3), ignoreMerges: true},
	"llama-v3":         {steps: splitStep(patternLlama3), ignoreMerges: true},
	"qwen2":            {steps: splitStep(patternQwen2), nfc: true},
	"deepseek-r1-qwen": {steps: splitStep(patternQwen2), nfc: true},
	"tekken":           {steps: splitStep(patternTekken), ignoreMerges: true},
}

// splitStep is a Split in JSON, followed by a comma.
func splitStep(pattern string) string {
	return fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false},`, quote(pattern))
}

// quote writes a text in JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a text can always be written
	}
	return string(b)
}

// FromGGUF builds the tokenizer that a GGUF file describes: the one that the model's tokenizer.json gives. Control
// tokens become special ones, user-defined tokens become added ones.
func FromGGUF(g GGUF) (*Tokenizer, error) {
	f, err := g.file()
	if err != nil {
		return nil, fmt.Errorf("bpe: tokenizer of GGUF: %w", err)
	}
	t, err := build(f)
	if err != nil {
		return nil, fmt.Errorf("bpe: tokenizer of GGUF: %w", err)
	}
	return t, nil
}

// file writes the fields as a tokenizer.json.
func (g *GGUF) file() (file, error) {
	if err := g.check(); err != nil {
		return file{}, err
	}
	f := file{Model: &modelFile{Type: "BPE", Vocab: make(map[string]int32, len(g.Tokens)), Merges: merges{}}}
	for id, token := range g.Tokens {
		if old, ok := f.Model.Vocab[token]; ok {
			return f, fmt.Errorf("tokens[%d] and tokens[%d] are both %q", old, id, token)
		}
		f.Model.Vocab[token] = int32(id)
		if kind := g.kind(id); token != "" && (kind == typeControl || kind == typeUnknown || kind == typeUserDefined) {
			f.AddedTokens = append(f.AddedTokens, Added{ID: int32(id), Content: token, Special: kind != typeUserDefined})
		}
	}
	f.PostProcessor = g.postProcessor()
	if g.Model == "llama" {
		return f, g.sentencePiece(&f)
	}
	return f, g.gpt2(&f)
}

// check looks at what the fields say of each other.
func (g *GGUF) check() error {
	if len(g.Tokens) == 0 {
		return errors.New("tokens is empty")
	}
	if len(g.Types) != 0 && len(g.Types) != len(g.Tokens) {
		return fmt.Errorf("token_type has %d entries for %d tokens", len(g.Types), len(g.Tokens))
	}
	for _, t := range []struct {
		name     string
		id       int32
		required bool
	}{{"bos_token_id", g.BOS, g.AddBOS}, {"eos_token_id", g.EOS, g.AddEOS}, {"unknown_token_id", g.UNK, false}, {"padding_token_id", g.PAD, false}} {
		if int(t.id) >= len(g.Tokens) || t.id < -1 {
			return fmt.Errorf("%s is %d, with %d tokens", t.name, t.id, len(g.Tokens))
		}
		if t.id < 0 && t.required {
			return fmt.Errorf("%s is missing, but is to be added to every text", t.name)
		}
	}
	for id, token := range g.Tokens {
		if !utf8.ValidString(token) {
			return fmt.Errorf("tokens[%d] %q is no UTF-8", id, token)
		}
	}
	return nil
}

// kind gives the type of a token.
func (g *GGUF) kind(id int) int32 {
	switch {
	case len(g.Types) != 0:
		return g.Types[id]
	case id == int(g.BOS) || id == int(g.EOS) || id == int(g.UNK) || id == int(g.PAD):
		return typeControl // older files have no types
	}
	return typeNormal
}

// postProcessor writes the template that puts BOS and EOS around a text; nil where none is wanted.
func (g *GGUF) postProcessor() json.RawMessage {
	var single, pair, special []string
	add := func(id int32, wanted bool) {
		if !wanted {
			return
		}
		token := quote(g.Tokens[id])
		single = append(single, fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":0}}`, token))
		pair = append(pair, fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":1}}`, token))
		special = append(special, fmt.Sprintf(`%s:{"id":%s,"ids":[%d],"tokens":[%s]}`, token, token, id, token))
	}
	add(g.BOS, g.AddBOS)
	single = append(single, `{"Sequence":{"id":"A","type_id":0}}`)
	pair = append(pair, `{"Sequence":{"id":"B","type_id":1}}`)
	add(g.EOS, g.AddEOS && !(g.AddBOS && g.EOS == g.BOS))
	if g.AddBOS && g.AddEOS && g.EOS == g.BOS {
		single, pair = append(single, single[0]), append(pair, pair[0])
	}
	if len(special) == 0 {
		return nil
	}
	return json.RawMessage(fmt.Sprintf(`{"type":"TemplateProcessing","single":[%s],"pair":[%s],"special_tokens":{%s}}`,
		strings.Join(single, ","), strings.Join(slices.Concat(single, pair), ","), strings.Join(special, ",")))
}

// gpt2 fills in a byte-level model.
func (g *GGUF) gpt2(f *file) error {
	if g.Model != "gpt2" {
		return fmt.Errorf("model %q is not supported; supported are gpt2 and llama", g.Model)
	}
	pre, ok := preTokenizers[g.Pre]
	if !ok {
		return fmt.Errorf("pre %q is not supported", g.Pre)
	}
	f.PreTokenizer = json.RawMessage(fmt.Sprintf(`{"type":"Sequence","pretokenizers":[%s`+
		`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":%t}]}`, pre.steps, pre.useRegex))
	f.Decoder = json.RawMessage(byteLevelDecoder)
	if pre.nfc {
		f.Normalizer = json.RawMessage(`{"type":"NFC"}`)
	}
	if pre.ignoreMerges {
		f.Model.IgnoreMerges = &pre.ignoreMerges
	}
	var err error
	f.Model.Merges, err = parseMerges(g.Merges)
	return err
}

// byteLevelDecoder is the decoder of byte-level models in JSON.
const byteLevelDecoder = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`

// sentencePiece fills in a model by scores.
func (g *GGUF) sentencePiece(f *file) error {
	if len(g.Scores) != len(g.Tokens) {
		return fmt.Errorf("scores has %d entries for %d tokens", len(g.Scores), len(g.Tokens))
	}
	for id, s := range g.Scores {
		if s != s {
			return fmt.Errorf("scores[%d] is not a number", id)
		}
	}
	mark := fmt.Sprintf(`{"type":"Replace","pattern":{"String":" "},"content":%s}`, quote(spaceMark))
	decode := fmt.Sprintf(`{"type":"Replace","pattern":{"String":%s},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`, quote(spaceMark))
	if g.AddSpacePrefix {
		mark = fmt.Sprintf(`{"type":"Prepend","prepend":%s},`, quote(spaceMark)) + mark
		decode += `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	f.Normalizer = json.RawMessage(`{"type":"Sequence","normalizers":[` + mark + `]}`)
	f.Decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + decode + `]}`)
	t := true
	f.Model.FuseUnk, f.Model.ByteFallback = &t, &t
	if g.UNK >= 0 {
		f.Model.UnkToken = &g.Tokens[g.UNK]
	}
	g.mergesByScore(f.Model)
	return nil
}

// mergesByScore derives the merges that scores imply: every split of a token into two tokens, the token with the best
// score first, and of equal ones that with the longest left part, as transformers orders them.
func (g *GGUF) mergesByScore(m *modelFile) {
	plain := func(id int32) bool {
		k := g.kind(int(id))
		return k != typeControl && k != typeUnknown && k != typeUserDefined && k != typeByte
	}
	type split struct {
		pair  [2]string
		score float32
		left  int // characters
	}
	var all []split
	for id, token := range g.Tokens {
		if !plain(int32(id)) {
			continue
		}
		chars := 0
		for i := range token {
			left, okL := m.Vocab[token[:i]]
			right, okR := m.Vocab[token[i:]]
			if i > 0 && okL && okR && plain(left) && plain(right) {
				all = append(all, split{[2]string{token[:i], token[i:]}, g.Scores[id], chars})
			}
			chars++
		}
	}
	slices.SortStableFunc(all, func(a, b split) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.left, a.left))
	})
	for _, s := range all {
		m.Merges = append(m.Merges, s.pair)
	}
}
