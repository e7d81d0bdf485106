// Command dump writes what the engine computes for a checkpoint, for
// check_checkpoint.py to compare with transformers:
//
//	go run ./tools/parity/dump -checkpoint DIR -out OUT   # an existing checkpoint
//	go run ./tools/parity/dump -out OUT                   # a small random one, saved to OUT/checkpoint
//
// OUT gets ours.safetensors (tokens, starts, logits) and, if the checkpoint has
// a tokenizer, texts.json: texts with their token ids.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/tokenizer"
	"github.com/because-lab/because/engine/weights"
)

func main() {
	checkpoint := flag.String("checkpoint", "", "checkpoint folder; empty makes a random one")
	out := flag.String("out", "", "folder to write to")
	tied := flag.Bool("tied", true, "tie the head of the random checkpoint")
	flag.Parse()
	if *out == "" {
		fmt.Fprintln(os.Stderr, "dump: -out is missing")
		os.Exit(2)
	}
	if err := dump(*checkpoint, *out, *tied); err != nil {
		fmt.Fprintln(os.Stderr, "dump:", err)
		os.Exit(1)
	}
}

func dump(dir, out string, tied bool) error {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	if dir == "" {
		dir = filepath.Join(out, "checkpoint")
		if err := saveRandom(dir, tied); err != nil {
			return err
		}
	}
	c, err := weights.Load(dir)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	if err := dumpLogits(filepath.Join(out, "ours.safetensors"), c.Model, r); err != nil {
		return err
	}
	if c.Tokenizer == nil {
		return nil
	}
	return dumpTexts(filepath.Join(out, "texts.json"), c.Tokenizer, r)
}

// saveRandom makes a checkpoint with every feature: grouped queries, a head
// width of its own, special tokens, a chat template.
func saveRandom(dir string, tied bool) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", dir)
	}
	words := []string{"naïve", "<x", "\"quoted\"", "a\\b", "日本", "é", ".", ","}
	for i := range 80 {
		words = append(words, fmt.Sprintf("word%d", i))
	}
	tok, err := tokenizer.New(words, []string{"<pad>", "<eos>", "<user>", "<user>2", "<turn>"})
	if err != nil {
		return err
	}
	m, err := llama.New(llama.Config{
		VocabSize: tok.Len() + 3, HiddenSize: 48, IntermediateSize: 72, Layers: 3, Heads: 6, KVHeads: 2, HeadDim: 16,
		MaxPositions: 200, RopeTheta: 20000, NormEps: 1e-6, TieEmbeddings: tied,
	}, 1)
	if err != nil {
		return err
	}
	return weights.Save(dir, &weights.Checkpoint{
		Model: m, Tokenizer: tok, Special: weights.Special{EOS: "<eos>", Pad: "<pad>"},
		ChatTemplate: "{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}<turn> {{ m.content }} <eos> {% endif %}{% endfor %}",
	})
}

func dumpLogits(path string, m *llama.Model, r *rand.Rand) error {
	c := m.Config()
	tokens, starts := []int32{}, []int32{0}
	for _, n := range []int{1, 7, 60, min(190, c.MaxPositions)} {
		for range n {
			tokens = append(tokens, int32(r.IntN(c.VocabSize)))
		}
		starts = append(starts, int32(len(tokens)))
	}
	logits, err := m.Logits(llama.NewWorkspace(c, 0, nil), tokens, starts)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = weights.WriteSafetensors(f, []weights.Tensor{
		{Name: "tokens", Shape: []int{len(tokens)}, Data: floats(tokens)},
		{Name: "starts", Shape: []int{len(starts)}, Data: floats(starts)},
		{Name: "logits", Shape: []int{len(tokens), c.VocabSize}, Data: logits},
	}, nil)
	return errors.Join(err, f.Close())
}

func floats(x []int32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// text is a text and the tokens that the engine makes of it.
type text struct {
	Text    string  `json:"text"`
	IDs     []int32 `json:"ids"`
	Decoded string  `json:"decoded"`
}

// dumpTexts joins random words by various white space, and special tokens by none.
func dumpTexts(path string, tok *tokenizer.Tokenizer, r *rand.Rand) error {
	spaces := []string{" ", " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u0085"}
	texts := []text{}
	for range 200 {
		var b strings.Builder
		previousSpecial := true
		for range r.IntN(30) {
			id := int32(r.IntN(tok.Len()))
			special := tok.IsSpecial(id)
			if !(special || previousSpecial) || r.IntN(2) == 0 {
				b.WriteString(spaces[r.IntN(len(spaces))])
			}
			b.WriteString(tok.Word(id))
			previousSpecial = special
		}
		s := b.String()
		ids, err := tok.Encode(s)
		var unknown *tokenizer.UnknownWordError
		if errors.As(err, &unknown) {
			continue // words that grew together: not part of the language
		}
		if err != nil {
			return err
		}
		decoded, err := tok.Decode(ids)
		if err != nil {
			return err
		}
		texts = append(texts, text{s, append([]int32{}, ids...), decoded})
	}
	data, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}
