package ray

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func stepEvent(step int, loss float64) Event {
	return Event{Kind: EventStep, Metric: &Metric{Step: step, Loss: loss, LR: 1e-5, Norm: 0.5, Tokens: 7, Total: 7 * step, Rate: 99.5}}
}

func TestRecorderWritesAsLocalTrainingDoes(t *testing.T) {
	dir := t.TempDir()
	r, err := NewRecorder(dir)
	if err != nil {
		t.Fatal(err)
	}
	reward := 0.25
	second := stepEvent(2, 1)
	second.Metric.Reward = &reward
	if err := r.Record([]Event{{Kind: EventStart}, stepEvent(1, 2), second, {Kind: EventDone}}); err != nil {
		t.Fatal(err)
	}
	want := `{"step":1,"loss":2,"lr":0.00001,"grad_norm":0.5,"tokens":7,"total_tokens":7,"tokens_per_second":99.5}
{"step":2,"loss":1,"lr":0.00001,"grad_norm":0.5,"tokens":7,"total_tokens":14,"tokens_per_second":99.5,"reward":0.25}
`
	got, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever is given again, in whatever batches and by whatever process, the file holds each step once, in order, as it was given last.
func TestRecorderIsIdempotent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		last := map[int]float64{}
		r, err := NewRecorder(dir)
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			var batch []Event
			from := rapid.IntRange(1, 10).Draw(rt, "from")
			for i := range rapid.IntRange(0, 6).Draw(rt, "steps") {
				e := stepEvent(from+i, float64(rapid.IntRange(0, 2).Draw(rt, "loss")))
				last[e.Metric.Step] = e.Metric.Loss
				batch = append(batch, e)
			}
			if err := r.Record(batch); err != nil {
				rt.Fatal(err)
			}
			got := map[int]float64{}
			before := 0
			for _, m := range metricsOf(t, dir) {
				if m.Step <= before {
					rt.Fatalf("step %d after %d", m.Step, before)
				}
				got[m.Step], before = m.Loss, m.Step
			}
			if d := cmp.Diff(last, got); d != "" {
				rt.Fatal(d)
			}
			if rapid.Bool().Draw(rt, "killed") {
				r.file.WriteString(`{"step":`) // in the middle of a line
				r.file.Close()
				if r, err = NewRecorder(dir); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := r.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestRecorderRefusesOtherFiles(t *testing.T) {
	for _, text := range []string{"x\n", "{\"step\":1}\n{\"step\":1}\n", "{\"step\":0}\n", "{\"step\":2}\n{\"step\":1}\n"} {
		dir := t.TempDir()
		path := filepath.Join(dir, metricsName)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := NewRecorder(dir); err == nil || !strings.Contains(err.Error(), "metrics.jsonl:") {
			t.Errorf("%q: %v", text, err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if _, err := NewRecorder(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there")
	}
}
