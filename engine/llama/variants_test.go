package llama_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

const variantsPath = "testdata/variants.safetensors"

func openVariants(t *testing.T) *reference {
	t.Helper()
	return vectors(t, variantsPath, "because parity variants", "regenerate it with: python tools/parity/train_variants.py")
}

// scaling reads transformers' rope_parameters from the file's metadata.
func (r *reference) scaling(t *testing.T, key string) llama.RopeScaling {
	t.Helper()
	var p struct {
		Kind     string  `json:"rope_type"`
		Factor   float64 `json:"factor"`
		Low      float64 `json:"low_freq_factor"`
		High     float64 `json:"high_freq_factor"`
		Original int     `json:"original_max_position_embeddings"`
	}
	if err := json.Unmarshal([]byte(r.Metadata()[key]), &p); err != nil {
		t.Fatal(err)
	}
	return llama.RopeScaling(p)
}

// model fills a model from the file; every tensor of one must be in the other.
func (r *reference) model(t *testing.T, head string, c llama.Config) *llama.Model {
	t.Helper()
	m, err := llama.Zero(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range m.Tensors() {
		copy(x.Data, r.read(t, head+"param/"+x.Name))
		if info, _ := r.Find(head + "param/" + x.Name); !slices.Equal(info.Shape, x.Shape) {
			t.Errorf("%s has shape %v, in transformers %v", x.Name, x.Shape, info.Shape)
		}
	}
	for _, x := range r.Tensors() {
		if name, ok := strings.CutPrefix(x.Name, head+"param/"); ok && !hasTensor(m, name) {
			t.Errorf("transformers' parameter %s has no counterpart", name)
		}
	}
	return m
}

func (r *reference) batch(t *testing.T, head string) llama.Batch {
	t.Helper()
	return llama.Batch{Tokens: r.ints(t, head+"tokens"), Targets: r.ints(t, head+"targets"), Weights: r.read(t, head+"weights"), Starts: r.ints(t, head+"starts")}
}

// eachKernel runs a test with every implementation that the machine has.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	active := kernel.Name()
	defer func() {
		if err := kernel.Use(active); err != nil {
			t.Fatal(err)
		}
	}()
	for _, name := range kernel.Available() {
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

// TestVariantParity compares logits, loss and every gradient with transformers
// for what Qwen2, Qwen3 and scaled rotary positions add.
func TestVariantParity(t *testing.T) {
	const limit = 1e-5
	r := openVariants(t)
	for name, change := range map[string]func(c *llama.Config){
		"qwen2":  func(c *llama.Config) { c.QKVBias = true },
		"qwen3":  func(c *llama.Config) { c.QKNorm, c.TieEmbeddings = true, false },
		"linear": func(c *llama.Config) { c.Rope = r.scaling(t, "linear") },
		"llama3": func(c *llama.Config) { c.Rope = r.scaling(t, "llama3") },
	} {
		c := r.config
		c.TieEmbeddings = true
		change(&c)
		t.Run(name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				m, b, head := r.model(t, name+"/", c), r.batch(t, name+"/"), name+"/"
				ws, g := llama.NewWorkspace(c, 0, nil), m.NewGrads()
				logits, err := m.Logits(ws, b.Tokens, b.Starts)
				if err != nil {
					t.Fatal(err)
				}
				r.compare(t, head+"logits", logits, limit)
				loss, err := m.ForwardBackward(ws, b, g)
				if err != nil {
					t.Fatal(err)
				}
				r.compare(t, head+"loss", []float32{float32(loss.Sum)}, limit)
				for _, x := range g.Tensors() {
					r.compare(t, head+"grad/"+x.Name, x.Data, limit)
				}
			})
		})
	}
}

// TestLoRAParity compares an adapted model's loss, logits after merging, and
// every factor's gradient with PEFT.
func TestLoRAParity(t *testing.T) {
	const head, limit = "lora/", 1e-5
	r := openVariants(t)
	c := r.config
	c.TieEmbeddings = true
	var o struct {
		Rank  int     `json:"r"`
		Alpha float64 `json:"lora_alpha"`
	}
	if err := json.Unmarshal([]byte(r.Metadata()["lora"]), &o); err != nil {
		t.Fatal(err)
	}
	eachKernel(t, func(t *testing.T) {
		m, b := r.model(t, head, c), r.batch(t, head)
		l, err := m.NewLoRA(llama.LoRAOptions{Rank: o.Rank, Alpha: o.Alpha})
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, x := range l.Tensors() {
			copy(x.Data, r.read(t, head+"adapter/"+x.Name))
			count++
		}
		for _, x := range r.Tensors() {
			if strings.HasPrefix(x.Name, head+"adapter/") {
				count--
			}
		}
		if count != 0 {
			t.Errorf("%d factors more than PEFT has", count)
		}
		ws, g := llama.NewWorkspace(c, 0, nil), l.NewGrads()
		loss, err := l.ForwardBackward(ws, b, g)
		if err != nil {
			t.Fatal(err)
		}
		r.compare(t, head+"loss", []float32{float32(loss.Sum)}, limit)
		for _, x := range g.Tensors() {
			r.compare(t, head+"adapter_grad/"+x.Name, x.Data, limit)
		}
		logits, err := l.Merge().Logits(ws, b.Tokens, b.Starts)
		if err != nil {
			t.Fatal(err)
		}
		r.compare(t, head+"logits", logits, limit)
	})
}
