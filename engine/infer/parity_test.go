package infer

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/llama"
)

// variants are configs that cover what a decoder may have.
func variants() map[string]llama.Config {
	with := func(change func(c *llama.Config)) llama.Config {
		c := small
		change(&c)
		return c
	}
	return map[string]llama.Config{
		"tied":   small,
		"untied": with(func(c *llama.Config) { c.TieEmbeddings = false; c.KVHeads = 6 }),
		"bias":   with(func(c *llama.Config) { c.QKVBias = true }),
		"qknorm": with(func(c *llama.Config) { c.QKNorm = true; c.HeadDim = 20 }),
		"linear": with(func(c *llama.Config) { c.Rope = llama.RopeScaling{Kind: llama.RopeLinear, Factor: 4} }),
		"llama3": with(func(c *llama.Config) {
			c.Rope = llama.RopeScaling{Kind: llama.RopeLlama3, Factor: 8, Low: 1, High: 4, Original: 64}
		}),
		"one row": with(func(c *llama.Config) { c.KVHeads = 1 }),
	}
}

// TestParityWithTrainer compares with the implementation that trains, in
// float32 and, on weights that bfloat16 holds exactly, in bfloat16.
func TestParityWithTrainer(t *testing.T) {
	for name, c := range variants() {
		t.Run(name, func(t *testing.T) {
			exact := random(c, 1)
			for precision, src := range map[Precision]*memory{F32: exact, BF16: exact.rounded()} {
				e, m := start(t, src, Options{Precision: precision, Chunk: 50}), src.trainer(t)
				r := rand.New(rand.NewPCG(2, 2))
				for _, n := range []int{1, 2, 63, 64, 65, 200} {
					tokens := text(r, c, n)
					got, err := e.Logits(context.Background(), tokens)
					if err != nil {
						t.Fatal(err)
					}
					want, err := m.Logits(llama.NewWorkspace(c, 0, nil), tokens, []int32{0, int32(n)})
					if err != nil {
						t.Fatal(err)
					}
					if d := apart(got, want); !(d <= 1e-5) {
						t.Errorf("%s, %d tokens: logits are %.2g apart", precision, n, d)
					}
				}
				compareGenerate(t, e, m, r)
				compareScore(t, e, m, r)
			}
		})
	}
}

func compareGenerate(t *testing.T, e *Engine, m *llama.Model, r *rand.Rand) {
	t.Helper()
	for _, o := range []llama.SampleOptions{{}, {Temperature: 1}, {Temperature: 0.7, TopP: 0.8}} {
		o.MaxNew, o.Seed, o.Stop = 40, 11, []int32{7}
		prompt := text(r, e.Config(), 30)
		want, err := m.Generate(context.Background(), [][]int32{prompt}, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Generate(context.Background(), Request{
			Prompt: prompt, MaxNew: o.MaxNew, Temperature: o.Temperature, TopP: o.TopP, Seed: o.Seed, Stop: o.Stop, LogProbs: true,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids(got.Tokens), want[0].Tokens) || string(got.Stop) != string(want[0].Stop) {
			t.Fatalf("temperature %v: %v (%s), the trainer's %v (%s)", o.Temperature, ids(got.Tokens), got.Stop, want[0].Tokens, want[0].Stop)
		}
		for i, tok := range got.Tokens {
			if math.Abs(float64(tok.LogProb-want[0].LogProbs[i])) > 1e-4 {
				t.Errorf("temperature %v, token %d: log-probability %v, want %v", o.Temperature, i, tok.LogProb, want[0].LogProbs[i])
			}
		}
	}
}

func compareScore(t *testing.T, e *Engine, m *llama.Model, r *rand.Rand) {
	t.Helper()
	prompts, continuations := scoreCases(r, e.Config())
	got, err := e.Score(context.Background(), prompts, continuations)
	if err != nil {
		t.Fatal(err)
	}
	for i := range prompts {
		if len(continuations[i]) == 0 {
			if len(got[i]) != 0 {
				t.Errorf("pair %d: %v for no continuation", i, got[i])
			}
			continue
		}
		want, err := m.LogProbs(context.Background(), prompts[i:i+1], continuations[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		for j := range want[0] {
			if len(got[i]) != len(want[0]) || math.Abs(float64(got[i][j]-want[0][j])) > 1e-4 {
				t.Fatalf("pair %d: %v, want %v", i, got[i], want[0])
			}
		}
	}
}

// scoreCases are pairs of which several share a prompt or the beginning of one.
func scoreCases(r *rand.Rand, c llama.Config) (prompts, continuations [][]int32) {
	long := text(r, c, 150)
	for i, p := range [][]int32{long, long, long[:100], long, text(r, c, 1), text(r, c, 70), long[:64], long} {
		prompts = append(prompts, p)
		continuations = append(continuations, text(r, c, []int{3, 9, 30, 0, 5, 1, 64, 70}[i]))
	}
	return prompts, continuations
}

// TestLogProbs checks a whole text against its logits.
func TestLogProbs(t *testing.T) {
	e := start(t, random(small, 1), Options{})
	tokens := text(rand.New(rand.NewPCG(5, 5)), small, 90)
	logits, err := e.Logits(context.Background(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.LogProbs(context.Background(), tokens, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(tokens) || got[0].ID != tokens[0] || got[0].LogProb != 0 || got[0].Top != nil {
		t.Fatalf("%d tokens, first %+v", len(got), got[0])
	}
	for i := 1; i < len(tokens); i++ {
		if err := checkOutlook(got[i], tokens[i], logits[(i-1)*small.VocabSize:i*small.VocabSize], 3); err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
	}
}

// checkOutlook compares a judged token with the definition, in float64.
func checkOutlook(got Token, id int32, logits []float32, top int) error {
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return -int(math.Copysign(1, float64(logits[a])-float64(logits[b])))
	})
	p := func(i int) float64 { return float64(logits[i]) - math.Log(sum) }
	if got.ID != id || math.Abs(float64(got.LogProb)-p(int(id))) > 1e-5 || len(got.Top) != top {
		return fmt.Errorf("%+v, want token %d with %v", got, id, p(int(id)))
	}
	for i, x := range got.Top {
		if int(x.ID) != order[i] || math.Abs(float64(x.LogProb)-p(order[i])) > 1e-5 {
			return fmt.Errorf("candidate %d is %+v, want token %d with %v", i, x, order[i], p(order[i]))
		}
	}
	return nil
}
