package sizing

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

func gpu(t testing.TB, name string) GPU {
	t.Helper()
	g, err := ShippedGPUs().Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func plan(t testing.TB, r Run) Plan {
	t.Helper()
	p, err := Make(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// base is full SFT of Qwen3-8B on eight workers.
func base(t testing.TB) Run {
	c, _ := Known("Qwen3-8B")
	return Run{Model: "Qwen/Qwen3-8B", Config: c, Strategy: FSDP, Workers: 8, SeqLen: 4096, Micro: 2, Recompute: true, Tokens: 100_000_000, GPU: gpu(t, "H100-80GB")}
}

// Model states are 16 bytes per parameter (ZeRO, section 3.1), on every worker or shared by all.
func TestStates(t *testing.T) {
	const n = 8_190_735_360
	for _, c := range []struct {
		dtype               DType
		strategy            Strategy
		workers             int64
		weights, grads, opt float64
	}{
		{BF16, DDP, 8, 2 * n, 2 * n, 12 * n}, {FP32, DDP, 8, 4 * n, 4 * n, 8 * n}, {BF16, FSDP, 1, 2 * n, 2 * n, 12 * n},
		{BF16, FSDP, 8, n / 4, n / 4, 3 * n / 2}, {FP32, FSDP, 64, n / 16, n / 16, n / 8},
	} {
		r := base(t)
		r.DType, r.Strategy, r.Workers = c.dtype, c.strategy, c.workers
		m := plan(t, r).Memory
		if m.Weights != c.weights || m.Gradients != c.grads || m.Optimizer != c.opt {
			t.Errorf("%v %v over %d: %+v", c.dtype, c.strategy, c.workers, m)
		}
	}
	r := base(t)
	r.Workers, r.LoRA = 7, &LoRA{Rank: 16}
	m, a := plan(t, r).Memory, float64(r.LoRA.Params(r.Config))
	if m.Weights != math.Ceil(2*(n+a)/7) || m.Gradients != math.Ceil(2*a/7) || m.Optimizer != math.Ceil(12*a/7) {
		t.Errorf("an adapter: %+v", m)
	}
	// By hand: per layer 16 (3 projections of the MLP: 3 x (4096+12288); q and o: 2 x 8192; k and v: 2 x (4096+1024)).
	if want := float64(36 * 16 * (3*16384 + 2*8192 + 2*5120)); a != want {
		t.Errorf("the adapter has %v parameters, want %v", a, want)
	}
}

// The formulas by hand on a model small enough for that: h 8, f 16, a 2, g 1, d 4, 3 layers, 32 words.
func TestFormulasByHand(t *testing.T) {
	c := Config{Type: "llama", Vocab: 32, Hidden: 8, Intermediate: 16, Layers: 3, Heads: 2, KVHeads: 1, HeadDim: 4, MaxPositions: 100}
	r := Run{Config: c, SeqLen: 10, Micro: 2, Tokens: 1000, GPU: GPU{"X", 1, 1e-3, 1e-4, 2}, Workers: 2, Utilization: 0.5}
	p := plan(t, r)
	// Two norms of (4 + 2*2) h = 64 bytes; 2ad + 2gd + 4f = 16 + 8 + 64 = 88 elements of 2 bytes; 4a = 8 bytes: 312 per token and layer; one more norm.
	if got, want := p.Memory.Activations, 20.0*(3*312+64); got != want {
		t.Errorf("activations %v, want %v", got, want)
	}
	if got, want := p.Memory.Logits, 20.0*32*10; got != want {
		t.Errorf("logits %v, want %v", got, want)
	}
	// N: per layer 2*8*8 + 2*8*4 + 3*8*16 = 576, the head 256. Forward 2N + 2 L a d s.
	n, attention := 3*576+256.0, 2.0*3*8*10
	if got, want := p.Compute.TrainFLOPs, 1000*(6*n+3*attention); got != want {
		t.Errorf("operations %v, want %v", got, want)
	}
	if got, want := p.Compute.GPUHours, 1000*(6*n+3*attention)/(1e9*0.5)/3600; math.Abs(got/want-1) > 1e-12 {
		t.Errorf("GPU-hours %v, want %v", got, want)
	}
	if c := p.Compute; c.Hours != c.GPUHours/2 || c.USD != c.GPUHours*2 {
		t.Errorf("%+v", c)
	}
	r.Recompute = true
	p = plan(t, r)
	if got, want := p.Memory.Activations, 20.0*(3*16+312+64); got != want {
		t.Errorf("recomputed activations %v, want %v", got, want)
	}
	if got, want := p.Compute.TrainFLOPs, 1000*(6*n+3*attention+2*3*576+attention); got != want {
		t.Errorf("operations with recomputation %v, want %v", got, want)
	}
	r.Recompute, r.Scores = false, true
	if got, want := plan(t, r).Memory.Activations, 20.0*(3*(312+2*10*6)+64); got != want {
		t.Errorf("activations with scores %v, want %v", got, want)
	}
	r.Scores, r.Method, r.Steps, r.Prompts, r.Group, r.Answer, r.Tokens = false, GRPO, 5, 3, 4, 6, 0
	p = plan(t, r)
	// 12 answers in an update, 6 per worker, of 10 tokens with a key and a value of 4 in 3 layers, 2 bytes each.
	if got, want := p.Memory.KVCache, 6.0*10*2*4*3*2; got != want {
		t.Errorf("cache %v, want %v", got, want)
	}
	if got, want := p.Memory.Logits, 2.0*6*32*10; got != want {
		t.Errorf("GRPO's logits %v, want %v", got, want)
	}
	if c := p.Compute; c.Tokens != 600 || c.Sampled != 360 || c.SamplingFLOPs != 600*(2*n+attention) || c.TrainFLOPs != 600*(6*n+3*attention) {
		t.Errorf("%+v", c)
	}
}

// What autograd keeps of one forward pass of transformers 5.x and PyTorch on a CPU (the storages that torch.autograd.graph.saved_tensors_hooks
// shows, without parameters and without the logits), for 2 sequences of 512 tokens in a model of 6 layers.
func TestActivationsAsTransformers(t *testing.T) {
	c := Config{Vocab: 512, Hidden: 256, Intermediate: 704, Layers: 6, Heads: 8, KVHeads: 4, HeadDim: 32}
	for _, x := range []struct {
		kind   string
		dtype  DType
		scores bool // "eager" attention, against "sdpa"
		kept   float64
	}{
		{"llama", BF16, false, 71102464}, {"llama", FP32, false, 128315392}, {"qwen3", BF16, false, 85553152}, {"qwen3", FP32, false, 147484672}, {"llama", BF16, true, 225046528},
	} {
		r := Run{Config: c, DType: x.dtype, Scores: x.scores, SeqLen: 512, Micro: 2, Tokens: 1, GPU: GPU{"X", 1, 1, 1, 1}}
		r.Config.Type = x.kind
		if got := plan(t, r).Memory.Activations / x.kept; got < 0.97 || got > 1.03 {
			t.Errorf("%s %s scores %v: the formula gives %.3f of what is kept", x.kind, x.dtype, x.scores, got)
		} else {
			t.Logf("%s %s scores %v: %.3f", x.kind, x.dtype, x.scores, got)
		}
	}
}

// What strategy, reference and adapter add, on the same small model: 576 + 2*8 parameters per layer, 2 x 256 outside, 8 of the last norm.
func TestAdditionsByHand(t *testing.T) {
	c := Config{Type: "llama", Vocab: 32, Hidden: 8, Intermediate: 16, Layers: 3, Heads: 2, KVHeads: 1, HeadDim: 4, MaxPositions: 100}
	const layer, outer, all = 592.0, 520.0, 3*592.0 + 520
	r := Run{Config: c, SeqLen: 10, Tokens: 1000, GPU: GPU{"X", 1, 1e-3, 1e-4, 2}, Workers: 4}
	if got := plan(t, r).Memory.Buffers; got != 2*all {
		t.Errorf("DDP's buckets take %v, want %v", got, 2*all)
	}
	r.Strategy = FSDP
	if got, want := plan(t, r).Memory.Buffers, 2*(outer+2*layer+outer+layer); got != want {
		t.Errorf("FSDP's buffers take %v, want %v", got, want)
	}
	r.LoRA = &LoRA{Rank: 2, Targets: []string{"q_proj", "down_proj"}}
	const adapter = 3 * 2 * (8 + 8 + 16 + 8.0)
	p := plan(t, r)
	if p.Trained != adapter || p.Memory.Buffers != 2*(outer+2*layer) {
		t.Errorf("an adapter of %d parameters with buffers of %v", p.Trained, p.Memory.Buffers)
	}
	n, attention := 3*576+256.0, 2.0*3*8*10
	if got, want := p.Compute.TrainFLOPs, 1000*(4*n+6*adapter+3*attention); got != want {
		t.Errorf("with an adapter %v operations, want %v", got, want)
	}
	r.Method, r.Steps, r.Prompts, r.Group, r.Reference = GRPO, 1, 10, 10, true
	if m := plan(t, r).Memory; m.Reference != 0 || m.Sampling != 2*(all+adapter) {
		t.Errorf("with an adapter the reference takes %v, gathered weights %v", m.Reference, m.Sampling)
	}
	r.LoRA = nil
	p = plan(t, r)
	if m := p.Memory; m.Reference != 2*all/4 || m.Sampling != 2*all {
		t.Errorf("the reference takes %v, gathered weights %v", m.Reference, m.Sampling)
	}
	if got, want := p.Compute.TrainFLOPs, 1000*(6*n+3*attention+2*n+attention); got != want {
		t.Errorf("with a reference %v operations, want %v", got, want)
	}
	if m := p.Memory; m.Total != m.Weights+m.Gradients+m.Optimizer+m.Reference+max(m.Buffers+m.Activations+m.Logits, m.KVCache+m.Sampling) {
		t.Errorf("%+v", m)
	}
	r.Strategy = DDP
	if m := plan(t, r).Memory; m.Reference != 2*all || m.Sampling != 0 {
		t.Errorf("DDP: the reference takes %v, gathered weights %v", m.Reference, m.Sampling)
	}
}

// Llama 3.1 8B on its 15 T tokens is 6 N D = 7.2e23 operations; without the embedding's look-up and with attention it stays near that.
func TestOperationsOfLlama(t *testing.T) {
	c, _ := Known("Llama-3.1-8B")
	p := plan(t, Run{Config: c, SeqLen: 8192, Tokens: 15e12, GPU: gpu(t, "H100-80GB"), Strategy: FSDP, Workers: 1024})
	if got := p.Compute.TrainFLOPs; got < 6.5e23 || got > 8.5e23 {
		t.Errorf("Llama 3.1 8B on 15 T tokens: %.3g operations", got)
	}
}

// draw makes any run that can be planned.
func draw(t *rapid.T) Run {
	c, _ := tiny(t)
	r := Run{
		Config: c, Method: rapid.SampledFrom([]Method{SFT, SDF, GRPO}).Draw(t, "method"), DType: rapid.SampledFrom([]DType{BF16, FP32}).Draw(t, "dtype"),
		Strategy: rapid.SampledFrom([]Strategy{DDP, FSDP}).Draw(t, "strategy"), Workers: rapid.Int64Range(1, 16).Draw(t, "workers"), SeqLen: rapid.Int64Range(1, 32).Draw(t, "seq"),
		Micro: rapid.Int64Range(1, 8).Draw(t, "micro"), Recompute: rapid.Bool().Draw(t, "recompute"), Scores: rapid.Bool().Draw(t, "scores"), Tokens: rapid.Int64Range(1, 1e9).Draw(t, "tokens"),
		Steps: rapid.Int64Range(1, 100).Draw(t, "steps"), Prompts: rapid.Int64Range(1, 100).Draw(t, "prompts"), Reference: rapid.Bool().Draw(t, "reference"),
		GPU: GPU{"X", 1, 100, 10, 1},
	}
	if rapid.Bool().Draw(t, "adapter") {
		r.LoRA = &LoRA{Rank: rapid.Int64Range(1, c.Hidden/2).Draw(t, "rank")}
	}
	return r
}

// More of anything never takes less memory or fewer operations, and what shares or saves never takes more.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t)
		p, err := Make(r)
		if err != nil {
			t.Fatal(err)
		}
		for name, grow := range map[string]func(r *Run){
			"layers": func(r *Run) { r.Config.Layers++ }, "vocab": func(r *Run) { r.Config.Vocab++ }, "hidden": func(r *Run) { r.Config.Hidden += 4 }, "mlp": func(r *Run) { r.Config.Intermediate++ },
			"seq_len": func(r *Run) { r.SeqLen++; r.Answer = p.Run.Answer }, "micro": func(r *Run) { r.Micro++ }, "tokens": func(r *Run) { r.Tokens++ }, "steps": func(r *Run) { r.Steps++ },
			"scores": func(r *Run) { r.Scores = true }, "reference": func(r *Run) { r.Reference = true }, "no recompute": func(r *Run) { r.Recompute = false },
			"ddp": func(r *Run) { r.Strategy = DDP },
		} {
			big := r
			grow(&big)
			q, err := Make(big)
			if err != nil {
				t.Fatal(err)
			}
			a, b := p.Memory, q.Memory
			states := func(m Memory) float64 { return m.Weights + m.Gradients + m.Optimizer + m.Reference }
			if states(b) < states(a) || b.Activations < a.Activations || b.Logits < a.Logits || b.KVCache < a.KVCache || name != "ddp" && b.Total < a.Total {
				t.Fatalf("more %s takes less memory: %+v, then %+v", name, a, b)
			}
			if name != "no recompute" && (q.Compute.TrainFLOPs < p.Compute.TrainFLOPs || q.Compute.USD < p.Compute.USD) {
				t.Fatalf("more %s takes fewer operations: %+v, then %+v", name, p.Compute, q.Compute)
			}
		}
		m := p.Memory
		if m.Fits != (m.Total <= m.Available) || m.Total < m.Weights+m.Gradients+m.Optimizer+m.Activations+m.Logits || m.Total <= 0 {
			t.Fatalf("%+v", m)
		}
	})
}

// All workers of FSDP together hold each state once, but for rounding, and more workers never hold more each.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t)
		r.Strategy = DDP
		one, err := Make(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Strategy = FSDP
		all, err := Make(r)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(r.Workers)
		for name, x := range map[string][2]float64{"weights": {one.Memory.Weights, all.Memory.Weights}, "gradients": {one.Memory.Gradients, all.Memory.Gradients},
			"optimizer": {one.Memory.Optimizer, all.Memory.Optimizer}, "reference": {one.Memory.Reference, all.Memory.Reference}} {
			if whole, held := x[0], x[1]*n; held < whole || held >= whole+n {
				t.Fatalf("%s: %v workers hold %v of %v", name, n, held, whole)
			}
		}
	})
}

// Changes that are proposed make the run fit.
func TestInstead(t *testing.T) {
	c, _ := Known("Qwen3-32B")
	r := Run{Config: c, Workers: 8, SeqLen: 4096, Micro: 4, Tokens: 1e6, GPU: gpu(t, "H100-80GB")}
	p := plan(t, r)
	if want := []string{"micro_batch 1", "recompute", "fsdp"}; p.Memory.Fits || len(p.Instead) < 3 || !slices.Equal(p.Instead[:3], want) {
		t.Fatalf("%v %v", p.Memory.Fits, p.Instead)
	}
	r.Micro, r.Recompute, r.Strategy = 1, true, FSDP
	for _, change := range p.Instead[3:] {
		if change != "lora of rank 16" {
			t.Fatalf("an unknown change %q", change)
		}
		r.LoRA = &LoRA{Rank: 16}
	}
	if q := plan(t, r); !q.Memory.Fits || q.Instead != nil {
		t.Errorf("with all of %v: %+v", p.Instead, q.Memory)
	}
	big := base(t)
	big.Config.Layers, big.GPU = 4000, gpu(t, "L4")
	big.GPU.MemoryGiB = 0.01
	if p := plan(t, big); p.Memory.Fits || p.Instead != nil {
		t.Errorf("nothing can help, but %v is said to", p.Instead)
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(r *Run){
		"method": func(r *Run) { r.Method = "dpo" }, "dtype": func(r *Run) { r.DType = "fp8" }, "strategy": func(r *Run) { r.Strategy = "tp" }, "workers": func(r *Run) { r.Workers = -1 },
		"seq_len": func(r *Run) { r.SeqLen = 1 << 20 }, "tokens": func(r *Run) { r.Tokens = 0 }, "steps": func(r *Run) { r.Method = GRPO }, "gpu": func(r *Run) { r.GPU = GPU{} },
		"answer": func(r *Run) { r.Method, r.Steps, r.Prompts, r.Answer = GRPO, 1, 1, r.SeqLen+1 }, "utilization": func(r *Run) { r.Utilization = 1.5 }, "reserve": func(r *Run) { r.Reserve = math.NaN() },
		"lora": func(r *Run) { r.LoRA = &LoRA{Rank: 0} }, "named twice": func(r *Run) { r.LoRA = &LoRA{Rank: 4, Targets: []string{"q_proj", "q_proj"}} },
		"unknown target": func(r *Run) { r.LoRA = &LoRA{Rank: 4, Targets: []string{"qkv"}} }, "hidden_size": func(r *Run) { r.Config.Hidden = 0 },
	} {
		r := base(t)
		change(&r)
		var e *because.Error
		if _, err := Make(r); !errors.As(err, &e) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGPUs(t *testing.T) {
	if g := ShippedGPUs(); g.AsOf == "" || !strings.Contains(g.Note, "estimate") {
		t.Errorf("the table does not say what its prices are: %+v", g)
	}
	if _, err := ShippedGPUs().Find("h100-80gb"); err != nil {
		t.Error(err)
	}
	if _, err := ShippedGPUs().Find("H1000"); because.Hint(err) == "" {
		t.Error(err)
	}
	for _, bad := range []string{"", "gpus: {}", "gpus: {X: {memory_gib: 1, bf16_tflops: 1, fp32_tflops: 0, usd_hour: 1}}", "gpus: {X: {memory: 1}}",
		"gpus: {X: {memory_gib: .nan, bf16_tflops: 1, fp32_tflops: 1, usd_hour: 1}}", "gpus: {X: {memory_gib: 1, bf16_tflops: .inf, fp32_tflops: 1, usd_hour: 1}}"} {
		if _, err := ReadGPUs("mine.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), "mine.yaml") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWrite(t *testing.T) {
	r := base(t)
	var out bytes.Buffer
	if err := plan(t, r).Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"8,190,735,360", "Qwen/Qwen3-8B", "8 x H100-80GB", "fits in", "GPU-hours", "an estimated $4.00 per GPU-hour", "35 % of the peak", "optimizer", "11.44 GiB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	r.Strategy, r.Method, r.Steps, r.Prompts = DDP, GRPO, 10, 16
	out.Reset()
	if err := plan(t, r).Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DOES NOT FIT", "it would fit with", "sampling", "kv cache"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	t.Log("\n" + out.String())
	text, err := json.Marshal(plan(t, r))
	if err != nil || !bytes.Contains(text, []byte(`"kv_cache":`)) || bytes.Contains(text, []byte("NaN")) {
		t.Errorf("%s %v", text, err)
	}
}
