package llama_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/engine/weights"
)

const (
	referencePath = "testdata/reference.safetensors"
	regenerate    = "regenerate it with: python tools/parity/make_reference.py"
)

// reference is the file that PyTorch's results are stored in.
type reference struct {
	*weights.File
	path, hint string
	config     llama.Config
	opt        struct {
		Rate, Beta1, Beta2, Eps, Clip float64
		WeightDecay                   float64 `json:"weight_decay"`
	}
	steps int
}

// vectors opens a file of PyTorch's results.
func vectors(t *testing.T, path, magic, hint string) *reference {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatalf("%v; %s", err, hint)
	}
	t.Cleanup(func() { f.Close() })
	meta := f.Metadata()
	if meta["magic"] != magic || meta["version"] != "1" {
		t.Fatalf("%s: magic %q, version %q are not what this test reads; %s", path, meta["magic"], meta["version"], hint)
	}
	r := &reference{File: f, path: path, hint: hint}
	r.readSizes(t)
	return r
}

func openReference(t *testing.T) *reference {
	t.Helper()
	r := vectors(t, referencePath, "because parity reference", regenerate)
	meta := r.Metadata()
	if err := json.Unmarshal([]byte(meta["optimizer"]), &r.opt); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.steps, err = strconv.Atoi(meta["steps"]); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reference) readSizes(t *testing.T) {
	t.Helper()
	var sizes struct {
		Vocab        int     `json:"vocab_size"`
		Hidden       int     `json:"hidden_size"`
		Intermediate int     `json:"intermediate_size"`
		Layers       int     `json:"num_hidden_layers"`
		Heads        int     `json:"num_attention_heads"`
		KVHeads      int     `json:"num_key_value_heads"`
		HeadDim      int     `json:"head_dim"`
		Positions    int     `json:"max_position_embeddings"`
		Eps          float64 `json:"rms_norm_eps"`
		Theta        float64 `json:"rope_theta"`
	}
	if err := json.Unmarshal([]byte(r.Metadata()["sizes"]), &sizes); err != nil {
		t.Fatal(err)
	}
	r.config = llama.Config{
		VocabSize: sizes.Vocab, HiddenSize: sizes.Hidden, IntermediateSize: sizes.Intermediate, Layers: sizes.Layers,
		Heads: sizes.Heads, KVHeads: sizes.KVHeads, HeadDim: sizes.HeadDim, MaxPositions: sizes.Positions,
		NormEps: sizes.Eps, RopeTheta: sizes.Theta,
	}
}

func (r *reference) read(t *testing.T, name string) []float32 {
	t.Helper()
	info, ok := r.Find(name)
	if !ok {
		t.Fatalf("%s: %q is missing; %s", r.path, name, r.hint)
	}
	x := make([]float32, info.Len())
	if err := r.Read(info, x); err != nil {
		t.Fatal(err)
	}
	return x
}

func (r *reference) ints(t *testing.T, name string) []int32 {
	t.Helper()
	var out []int32
	for _, v := range r.read(t, name) {
		out = append(out, int32(v))
	}
	return out
}

// compare fails if got differs from the stored tensor by more than limit in
// the Euclidean norm, relative to the stored one.
func (r *reference) compare(t *testing.T, name string, got []float32, limit float64) {
	t.Helper()
	want := r.read(t, name)
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", name, len(got), len(want))
		return
	}
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	if e := math.Sqrt(diff / norm); !(e <= limit) {
		t.Errorf("%s: relative error %.3g, limit %g", name, e, limit)
	}
}

// TestParity compares logits, loss, every gradient and three optimiser steps
// with what PyTorch computed for the same parameters, with every kernel.
func TestParity(t *testing.T) {
	r := openReference(t)
	used := kernel.Name()
	defer kernel.Use(used)
	for _, name := range kernel.Available() {
		for _, head := range []string{"tied", "untied"} {
			t.Run(name+"/"+head, func(t *testing.T) {
				if err := kernel.Use(name); err != nil {
					t.Fatal(err)
				}
				r.check(t, head+"/", head == "tied")
			})
		}
	}
}

func (r *reference) check(t *testing.T, head string, tied bool) {
	const limit = 1e-5 // the project promises 1e-4
	c := r.config
	c.TieEmbeddings = tied
	m, err := llama.Zero(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range m.Tensors() {
		copy(x.Data, r.read(t, head+"param/"+x.Name))
	}
	b := llama.Batch{Tokens: r.ints(t, head+"tokens"), Targets: r.ints(t, head+"targets"), Weights: r.read(t, head+"weights"), Starts: r.ints(t, head+"starts")}
	ws, g := llama.NewWorkspace(c, len(b.Tokens), nil), m.NewGrads()
	logits, err := m.Logits(ws, b.Tokens, b.Starts)
	if err != nil {
		t.Fatal(err)
	}
	r.compare(t, head+"logits", logits, limit)

	opt, err := optim.New(m.Params(), optim.Options{Beta1: r.opt.Beta1, Beta2: r.opt.Beta2, Eps: r.opt.Eps, WeightDecay: r.opt.WeightDecay})
	if err != nil {
		t.Fatal(err)
	}
	var norms []float32
	for step := range r.steps {
		g.Zero()
		loss, err := m.ForwardBackward(ws, b, g)
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			r.checkLoss(t, head, b, loss)
			for _, x := range g.Tensors() {
				r.compare(t, head+"grad/"+x.Name, x.Data, limit)
			}
		}
		norm, scale := optim.ClipScale(g.Flat(), r.opt.Clip)
		norms = append(norms, float32(norm))
		opt.Step(g.Flat(), r.opt.Rate, scale)
	}
	r.compare(t, head+"norm", norms, limit)
	for _, x := range m.Tensors() {
		r.compare(t, head+"stepped/"+x.Name, x.Data, limit)
	}
	for _, x := range r.Tensors() {
		if name, ok := strings.CutPrefix(x.Name, head+"param/"); ok && !hasTensor(m, name) {
			t.Errorf("PyTorch's parameter %s has no counterpart", name)
		}
	}
}

func (r *reference) checkLoss(t *testing.T, head string, b llama.Batch, loss llama.Loss) {
	t.Helper()
	const limit = 1e-5
	r.compare(t, head+"loss", []float32{float32(loss.Sum)}, limit)
	want := r.read(t, head+"logprobs")
	for i, w := range b.Weights {
		if w == 0 && loss.LogProbs[i] != 0 {
			t.Errorf("position %d carries no loss but has log-probability %v", i, loss.LogProbs[i])
		}
		if d := math.Abs(float64(loss.LogProbs[i] - want[i])); w != 0 && d > limit*(1+math.Abs(float64(want[i]))) {
			t.Errorf("position %d: log-probability %v, want %v", i, loss.LogProbs[i], want[i])
		}
	}
}

func hasTensor(m *llama.Model, name string) bool {
	for _, x := range m.Tensors() {
		if x.Name == name {
			return true
		}
	}
	return false
}
