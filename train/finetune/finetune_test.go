package finetune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

var tiny = llama.Config{VocabSize: 23, HiddenSize: 16, IntermediateSize: 24, Layers: 2, Heads: 2, MaxPositions: 24, TieEmbeddings: true, QKVBias: true}

func tinyModel(t testing.TB) *llama.Model {
	t.Helper()
	m, err := llama.New(tiny, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tinyRows have lengths from 3 to 20 and loss on their second half.
func tinyRows(n int) Sequences {
	r := rand.New(rand.NewPCG(1, 2))
	var out Sequences
	for i := range n {
		s := Sequence{Name: fmt.Sprintf("data.jsonl:%d", i+1)}
		for j := range 3 + r.IntN(18) {
			s.Tokens = append(s.Tokens, int32((j*j+r.IntN(2))%23))
		}
		s.Weights = make([]float32, len(s.Tokens))
		for j := len(s.Tokens) / 2; j < len(s.Tokens); j++ {
			s.Weights[j] = 1
		}
		out = append(out, s)
	}
	return out
}

func tinyOptions(out string) Options {
	return Options{Out: out, Batch: 2, SeqLen: 20, Accumulate: 2, Epochs: 3, Seed: 5, LR: 1e-2, Warmup: 2, Decay: 0.01, Clip: 1, CheckpointEvery: 4}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tree gives the files of an output folder, speeds left out.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	speed, out := regexp.MustCompile(`"tokens_per_second":[^}]*`), map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(speed.ReplaceAll(read(t, path), nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameTree fails where two outputs differ, naming files alone: their bytes say little.
func sameTree(t testing.TB, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs (%d bytes, want %d)", name, len(got[name]), len(want[name]))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

func lora() *LoRA {
	return &LoRA{Rank: 3, Targets: []string{"q_proj", "v_proj", "down_proj"}, Base: "base"}
}

// TestRunDoesNotDependOnExecution trains twice, with other workers and with recomputation.
func TestRunDoesNotDependOnExecution(t *testing.T) {
	pool := kernel.NewPool(3)
	defer pool.Close()
	for name, adapter := range map[string]*LoRA{"full": nil, "lora": lora()} {
		t.Run(name, func(t *testing.T) {
			var want map[string]string
			for i, change := range []func(o *Options){func(*Options) {}, func(o *Options) { o.Pool = pool }, func(o *Options) { o.Recompute = true }} {
				m, o := tinyModel(t), tinyOptions(filepath.Join(t.TempDir(), "new"))
				o.LoRA, o.Merge = adapter, true
				o.Save.Files = map[string][]byte{"tokenizer.json": []byte("{}")}
				change(&o)
				steps := 0.0
				res, err := Run(context.Background(), m, tinyRows(40), o, func(done, total float64, unit, note string) {
					if steps++; done != steps || total < done || unit != "steps" || !strings.HasPrefix(note, "loss ") {
						t.Errorf("progress %v of %v %s: %s", done, total, unit, note)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if res.Loss >= res.First || res.Steps != int(steps) || res.Rows != 40 || res.Tokens != 3*tokens(tinyRows(40)) {
					t.Errorf("result %+v", res)
				}
				if i == 0 {
					want = tree(t, o.Out)
					for _, name := range []string{"model/model.safetensors", "model/config.json", "model/tokenizer.json", "result.json", "run.json", "metrics.jsonl"} {
						if want[name] == "" {
							t.Errorf("%s is missing", name)
						}
					}
				}
				sameTree(t, tree(t, o.Out), want)
				checkOutput(t, m, o, adapter != nil)
			}
		})
	}
}

func tokens(rows Sequences) int {
	n := 0
	for _, s := range rows {
		n += len(s.Tokens)
	}
	return n
}

// checkOutput reads the final model back: it is m where m was trained, else m with the adapter merged.
func checkOutput(t *testing.T, m *llama.Model, o Options, adapted bool) {
	t.Helper()
	got, err := weights.LoadModel(filepath.Join(o.Out, modelDir))
	if err != nil {
		t.Fatal(err)
	}
	if !adapted {
		if !slices.Equal(got.Params(), m.Params()) {
			t.Error("the saved model is not the trained one")
		}
		return
	}
	if !slices.Equal(m.Params(), tinyModel(t).Params()) {
		t.Error("the base model has changed")
	}
	l, err := LoadAdapter(filepath.Join(o.Out, adapterDir), m)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Merge().Params(), got.Params()) {
		t.Error("the merged model is not the base with the adapter")
	}
	if want := (llama.LoRAOptions{Rank: 3, Alpha: 6, Targets: []string{"q_proj", "v_proj", "down_proj"}}); !cmp.Equal(l.Options(), want) {
		t.Errorf("adapter %+v, want %+v", l.Options(), want)
	}
}

// TestInterruptAndResume stops a run at many places by its context; the run goes on to the bytes of an uninterrupted one.
func TestInterruptAndResume(t *testing.T) {
	for name, adapter := range map[string]*LoRA{"full": nil, "lora": lora()} {
		t.Run(name, func(t *testing.T) {
			whole := tinyOptions(t.TempDir())
			whole.LoRA = adapter
			want, err := Run(context.Background(), tinyModel(t), tinyRows(40), whole, nil)
			if err != nil {
				t.Fatal(err)
			}
			o := tinyOptions(t.TempDir())
			o.LoRA = adapter
			var res Result
			for runs, at := 0, 0; ; runs++ {
				ctx, cancel := context.WithCancel(context.Background())
				from := at
				res, err = Run(ctx, tinyModel(t), tinyRows(40), o, func(done, _ float64, _, _ string) {
					if at = int(done); at == from+5 {
						cancel()
					}
				})
				cancel()
				if res.Resumed != from && err == nil {
					t.Errorf("resumed at step %d, want %d", res.Resumed, from)
				}
				if err == nil {
					break
				}
				if !errors.Is(err, because.ErrInterrupted) || runs > 20 {
					t.Fatal(err)
				}
			}
			want.Resumed = res.Resumed
			if res != want {
				t.Errorf("result %+v, want %+v", res, want)
			}
			got, all := tree(t, o.Out), tree(t, whole.Out)
			for _, files := range []map[string]string{got, all} {
				for name := range files {
					if strings.HasPrefix(name, checkpointDir) {
						delete(files, name)
					}
				}
			}
			sameTree(t, got, all)
			again, err := Run(context.Background(), tinyModel(t), tinyRows(40), o, func(float64, float64, string, string) { t.Error("a finished run goes on") })
			if err != nil || again.Loss != res.Loss {
				t.Errorf("a finished run gives %+v, %v", again, err)
			}
		})
	}
}

// TestBadRows names the row and leaves nothing behind.
func TestBadRows(t *testing.T) {
	for want, change := range map[string]func(s *Sequence){
		"fine-tune: data.jsonl:7: longer than the context: 21 tokens, at most 20":            func(s *Sequence) { s.Tokens, s.Weights = make([]int32, 21), nil },
		"fine-tune: data.jsonl:7: token 23 at position 1 is outside the vocabulary of 23":    func(s *Sequence) { s.Tokens[1] = 23 },
		"fine-tune: data.jsonl:7: token -1 at position 0 is outside the vocabulary of 23":    func(s *Sequence) { s.Tokens[0] = -1 },
		"fine-tune: data.jsonl:7: 2 weights for 3 tokens":                                    func(s *Sequence) { s.Tokens, s.Weights = make([]int32, 3), make([]float32, 2) },
		"fine-tune: data.jsonl:7: no token carries loss":                                     func(s *Sequence) { clear(s.Weights[1:]); s.Weights[0] = 1 },
		"fine-tune: data.jsonl:7: weight -1 at position 1 is not a finite number from 0 on":  func(s *Sequence) { s.Weights[1] = -1 },
		"fine-tune: data.jsonl:7: weight NaN at position 2 is not a finite number from 0 on": func(s *Sequence) { s.Weights[2] = float32(math.NaN()) },
		"fine-tune: row 7: no token carries loss":                                            func(s *Sequence) { *s = Sequence{Tokens: []int32{1}} },
	} {
		rows, out := tinyRows(10), filepath.Join(t.TempDir(), "out")
		change(&rows[6])
		_, err := Run(context.Background(), tinyModel(t), rows, tinyOptions(out), nil)
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the output folder was made", want)
		}
	}
	if _, err := Run(context.Background(), tinyModel(t), Sequences{}, tinyOptions(t.TempDir()), nil); err == nil || err.Error() != "fine-tune: data: there are no sequences to train on" {
		t.Errorf("error %v for no data", err)
	}
}

func TestBadOptions(t *testing.T) {
	for want, change := range map[string]func(o *Options){
		"fine-tune: options: batch is -1; it must be at least 1":                                     func(o *Options) { o.Batch = -1 },
		"fine-tune: options: sequence length is 25; the model takes at most 24 tokens":               func(o *Options) { o.SeqLen = 25 },
		"fine-tune: options: both epochs and steps are given; choose one":                            func(o *Options) { o.Steps = 3 },
		`fine-tune: options: unknown way "wrap" with long sequences; want "error", "cut" or "split"`: func(o *Options) { o.Long = "wrap" },
		"fine-tune: options: gradient limit is NaN; want 0 or a positive number":                     func(o *Options) { o.Clip = math.NaN() },
		"fine-tune: options: no output folder is given":                                              func(o *Options) { o.Out = "" },
		"fine-tune: optim: schedule: peak rate is NaN, want a positive number":                       func(o *Options) { o.LR = math.NaN() },
		"fine-tune: llama: lora: rank is 17, want a number from 1 to the hidden size 16":             func(o *Options) { o.LoRA = &LoRA{Rank: 17} },
	} {
		o := tinyOptions(t.TempDir())
		change(&o)
		if _, err := Run(context.Background(), tinyModel(t), tinyRows(5), o, nil); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestNotFinite wants an error with step and rows, and the model as it was.
func TestNotFinite(t *testing.T) {
	m := tinyModel(t)
	m.Params()[5] = float32(math.Inf(1))
	before := slices.Clone(m.Params())
	_, err := Run(context.Background(), m, tinyRows(2), tinyOptions(t.TempDir()), nil)
	if want := "fine-tune: step 1 of 3: not finite: the loss is NaN on data.jsonl:"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s...", err, want)
	}
	if because.Hint(err) == "" {
		t.Error("no hint")
	}
	if !slices.Equal(before, m.Params()) {
		t.Error("the model was changed")
	}
}

// TestFolderOfAnotherRun is refused and named by what differs; so is one in use or with other contents.
func TestFolderOfAnotherRun(t *testing.T) {
	o := tinyOptions(t.TempDir())
	o.Steps, o.Epochs = 2, 0
	if _, err := Run(context.Background(), tinyModel(t), tinyRows(9), o, nil); err != nil {
		t.Fatal(err)
	}
	before := tree(t, o.Out)
	other := o
	other.LR, other.Seed = 1, 6
	_, err := Run(context.Background(), tinyModel(t), tinyRows(8), other, nil)
	if want := "fine-tune: " + o.Out + ": the folder holds another run: data, lr, rows, seed differ"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	sameTree(t, tree(t, o.Out), before)

	o.Out = t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Out, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), tinyModel(t), tinyRows(9), o, nil); err == nil || !strings.Contains(err.Error(), "the folder is not empty and holds no run") {
		t.Errorf("error %v for a folder with something else", err)
	}
	if got := tree(t, o.Out); len(got) != 1 {
		t.Errorf("%d files in it", len(got))
	}

	o.Out = t.TempDir()
	_, err = Run(context.Background(), tinyModel(t), tinyRows(9), o, func(done, _ float64, _, _ string) {
		if done > 1 {
			return
		}
		if _, err := Run(context.Background(), tinyModel(t), tinyRows(9), o, nil); !errors.Is(err, errLocked) {
			t.Errorf("error %v while another run has the folder", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDamagedCheckpoint is an error that names it; without it the run goes on from the one before.
func TestDamagedCheckpoint(t *testing.T) {
	o := tinyOptions(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, tinyModel(t), tinyRows(40), o, func(done, _ float64, _, _ string) {
		if done == 9 {
			cancel()
		}
	})
	if !errors.Is(err, because.ErrInterrupted) {
		t.Fatal(err)
	}
	last := filepath.Join(o.Out, checkpointDir+"0000009")
	if err := os.Truncate(filepath.Join(last, optimizerName), 3000); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), tinyModel(t), tinyRows(40), o, nil); err == nil || !strings.Contains(err.Error(), last) || because.Hint(err) == "" {
		t.Errorf("error %v for a damaged checkpoint", err)
	}
	if err := os.RemoveAll(last); err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), tinyModel(t), tinyRows(40), o, nil)
	if err != nil || res.Resumed != 8 {
		t.Errorf("%+v, %v; want to go on from step 8", res, err)
	}
}
