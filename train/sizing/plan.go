package sizing

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Plan is what a run needs. Bytes are per worker.
type Plan struct {
	Run     Run     `json:"run"` // with its defaults filled in
	Params  Params  `json:"params"`
	Exact   bool    `json:"exact"` // the count of parameters, see Config.Exact
	Trained int64   `json:"trained"`
	Memory  Memory  `json:"memory"`
	Compute Compute `json:"compute"`
	// Instead are changes, one on top of the other, with which a run that does not fit would; empty if it fits or none of them helps.
	Instead []string `json:"instead,omitempty"`
}

// Make plans a run.
func Make(r Run) (Plan, error) {
	if err := r.Validate(); err != nil {
		return Plan{}, err
	}
	r = r.withDefaults()
	p := Plan{Run: r, Params: r.Config.Params(), Exact: r.Config.Exact(), Trained: r.trained(), Memory: r.memory(), Compute: r.compute()}
	if !p.Memory.Fits {
		p.Instead = r.instead()
	}
	return p, nil
}

// instead makes a run smaller step by step, cheapest change first, until it fits.
func (r Run) instead() []string {
	var done []string
	for _, change := range []struct {
		name  string
		apply func(r *Run) bool // whether that changed something
	}{
		{"micro_batch 1", func(r *Run) bool { was := r.Micro; r.Micro = 1; return was != 1 }},
		{"rollouts 1 at a time", func(r *Run) bool { was := r.Rollouts; r.Rollouts = min(was, 1); return r.Rollouts != was }},
		{"recompute", func(r *Run) bool { was := r.Recompute; r.Recompute = true; return !was }},
		{"fsdp", func(r *Run) bool { was := r.Strategy; r.Strategy = FSDP; return was != FSDP && r.Workers > 1 }},
		{"lora of rank 16", func(r *Run) bool {
			was := r.LoRA
			if was == nil {
				r.LoRA = &LoRA{Rank: min(16, r.Config.Hidden)}
			}
			return was == nil
		}},
	} {
		before := r.memory().Total
		if changed := r; change.apply(&changed) && changed.memory().Total < before {
			r, done = changed, append(done, change.name)
		}
		if r.memory().Fits {
			return done
		}
	}
	if n, ok := r.fewestWorkers(); ok {
		return append(done, fmt.Sprintf("fsdp over %d workers", n))
	}
	return nil
}

// fewestWorkers finds the smallest power of two of workers over which FSDP makes the run fit.
func (r Run) fewestWorkers() (int64, bool) {
	r.Strategy = FSDP
	for n := r.Workers; n <= 1024; n *= 2 {
		if r.Workers = n; r.memory().Fits {
			return n, true
		}
	}
	return 0, false
}

// Write prints the plan as aligned text.
func (p Plan) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	r, c := p.Run, p.Compute
	row := func(name, value, note string) { fmt.Fprintf(t, "%s\t%s\t%s\n", name, value, note) }
	count := "exact"
	if !p.Exact {
		count = fmt.Sprintf("type %q is counted as a Llama of its numbers", r.Config.Type)
	}
	row("model", r.Model, r.Config.Type)
	row("parameters", grouped(p.Params.Total), count)
	row("trained", grouped(p.Trained), share(p.Trained, p.Params.Total))
	row("run", r.describe(), "")
	row("worker", fmt.Sprintf("%d x %s", r.Workers, r.GPU.Name), fmt.Sprintf("%.1f GiB each", r.GPU.MemoryGiB))
	fmt.Fprintf(t, "\nmemory per worker\t\t\n")
	for _, x := range p.Memory.rows() {
		if x.bytes > 0 {
			row("  "+x.name, gibibytes(x.bytes), x.note)
		}
	}
	row("  most at once", gibibytes(p.Memory.Total), p.verdict())
	if len(p.Instead) > 0 {
		row("", "", "it would fit with "+strings.Join(p.Instead, ", "))
	}
	fmt.Fprintf(t, "\nwork\t\t\n")
	row("  tokens", si(c.Tokens), "")
	row("  operations", fmt.Sprintf("%.3g", c.TrainFLOPs), fmt.Sprintf("training, at %.0f %% of the peak", 100*r.Utilization))
	if r.Method == GRPO {
		row("", fmt.Sprintf("%.3g", c.SamplingFLOPs), fmt.Sprintf("sampling %s tokens, at %.0f %% of the peak", si(c.Sampled), 100*r.Sampling))
	}
	row("  time", fmt.Sprintf("%.3g h", c.Hours), fmt.Sprintf("%.3g GPU-hours", c.GPUHours))
	row("  cost", fmt.Sprintf("$%.2f", c.USD), fmt.Sprintf("at an estimated $%.2f per GPU-hour", r.GPU.USDHour))
	return t.Flush()
}

type memoryRow struct {
	name  string
	bytes float64
	note  string
}

func (m Memory) rows() []memoryRow {
	return []memoryRow{
		{"weights", m.Weights, ""}, {"gradients", m.Gradients, ""}, {"optimizer", m.Optimizer, "AdamW in float32"}, {"reference", m.Reference, "frozen"},
		{"buffers", m.Buffers, "of communication, estimated"}, {"activations", m.Activations, "estimated"}, {"logits", m.Logits, "estimated"},
		{"kv cache", m.KVCache, "while sampling"}, {"gathered weights", m.Sampling, "while sampling"},
	}
}

func (p Plan) verdict() string {
	if p.Memory.Fits {
		return fmt.Sprintf("fits in %s", gibibytes(p.Memory.Available))
	}
	return fmt.Sprintf("DOES NOT FIT in %s", gibibytes(p.Memory.Available))
}

func (r Run) describe() string {
	parts := []string{string(r.Method), string(r.DType), string(r.Strategy), fmt.Sprintf("%d x %d tokens", r.Micro, r.SeqLen)}
	if r.LoRA != nil {
		parts = append(parts, fmt.Sprintf("lora r=%d", r.LoRA.Rank))
	}
	if r.Recompute {
		parts = append(parts, "recompute")
	}
	return strings.Join(parts, ", ")
}

func gibibytes(b float64) string { return fmt.Sprintf("%.2f GiB", b/gib) }

func share(part, whole int64) string {
	return fmt.Sprintf("%.3g %%", 100*float64(part)/float64(whole))
}

// si writes a count short: 1.5M.
func si(x float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= u.size {
			return fmt.Sprintf("%.4g%s", x/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.4g", x)
}

// grouped writes an integer with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
