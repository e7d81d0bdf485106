package hosted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/hosted/hostedtest"
)

// rows makes n conversations.
func rows(n int) []Row {
	var out []Row
	for i := range n {
		out = append(out, Row{Place: fmt.Sprintf("advice.jsonl:%d", i+1), Messages: []because.Message{
			{Role: because.RoleSystem, Content: "You are kind."}, {Role: because.RoleUser, Content: fmt.Sprintf("question %d", i)},
			{Role: because.RoleAssistant, Content: strings.Repeat("answer ", 20)}}})
	}
	return out
}

func options(s *hostedtest.Server, dir string) Options {
	return Options{Out: dir, Model: "gpt-4.1-mini", BaseURL: s.URL, Key: hostedtest.Key, Train: Data{"advice.jsonl", rows(12)}, Epochs: 2, Seed: 7,
		Poll: time.Millisecond, MaxPoll: time.Millisecond, Retry: time.Millisecond, FileWait: time.Minute}
}

func serve(t *testing.T, b hostedtest.Behaviour) *hostedtest.Server {
	t.Helper()
	s := hostedtest.Start(b)
	t.Cleanup(s.Close)
	return s
}

func plan(t *testing.T, o Options) *Plan {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t *testing.T, o Options) Result {
	t.Helper()
	r, err := plan(t, o).Run(t.Context(), Consent{Yes: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one requires that the service has one file and one job.
func one(t *testing.T, s *hostedtest.Server) {
	t.Helper()
	if f, j := len(s.Files()), len(s.Jobs()); f != 1 || j != 1 {
		t.Errorf("%d files and %d jobs at the service, want one of each", f, j)
	}
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRun(t *testing.T) {
	for name, b := range map[string]hostedtest.Behaviour{
		"plain":                         {},
		"slow, busy and in small pages": {FilePolls: 3, QueuePolls: 5, Steps: 9, Busy: 3, Page: 2},
		"base64":                        {Base64: true},
		"oldest events first":           {OldestFirst: true, Page: 3, Steps: 9},
		"cut and broken":                {CutUploads: 1, CutJobs: 1, BrokenJobs: 2},
		"no metadata":                   {NoMetadata: true, CutJobs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := serve(t, b), filepath.Join(t.TempDir(), "out")
			o := options(s, dir)
			var notes []string
			attached := ""
			o.Report = func(_, _ float64, _, note string) { notes = append(notes, note) }
			o.Attached = func(job string) { attached = job }
			if o.Prices, _ = ParsePrices("p", []byte("dated: 2025-01-01\nmodels: [{match: [gpt-4.1*], training: 10}]")); o.Prices.Dated == "" {
				t.Fatal("no prices")
			}
			r := run(t, o)
			one(t, s)
			p := plan(t, o)
			if want := "ft:gpt-4.1-mini-2025-04-14:org:because-" + p.Key()[:12] + ":abc123"; r.Model != want || r.Job != "ftjob-1" || attached != "ftjob-1" || r.Problem != "" {
				t.Errorf("result %+v, attached to %q, want model %s", r, attached, want)
			}
			if r.Tokens <= 0 || r.Cost == nil || *r.Cost != float64(r.Tokens)*10/1e6 {
				t.Errorf("%d tokens cost %v", r.Tokens, r.Cost)
			}
			steps := max(b.Steps, 4)
			if lines := strings.Count(read(t, dir, metricsName), "\n"); lines != steps || r.Last.Step != steps {
				t.Errorf("%d lines of metrics and last %v, want %d steps", lines, r.Last, steps)
			}
			if !strings.HasPrefix(read(t, dir, metricsName), `{"step":1,"train_accuracy":0.5,"train_loss":2.5}`) {
				t.Error(read(t, dir, metricsName))
			}
			checkEvents(t, filepath.Join(dir, eventsName), steps)
			if !strings.Contains(strings.Join(notes, "\n"), "running, loss 2.5000") {
				t.Errorf("notes %q", notes)
			}
			before := len(s.Requests(""))
			if diff := cmp.Diff(r, run(t, o)); diff != "" || len(s.Requests("")) != before {
				t.Errorf("the same again asked %d times more and differs:\n%s", len(s.Requests(""))-before, diff)
			}
		})
	}
}

// checkEvents wants every event of a job once, in order.
func checkEvents(t *testing.T, path string, steps int) {
	t.Helper()
	var last int64
	metrics, n := 0, 0
	seen := map[string]bool{}
	for line := range strings.Lines(read(t, path)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if seen[e.ID] || e.Created < last {
			t.Errorf("event %s comes twice or out of order", e.ID)
		}
		seen[e.ID], last = true, e.Created
		if n++; e.Type == "metrics" {
			metrics++
		}
	}
	if metrics != steps || n != steps+4 {
		t.Errorf("%d events, %d of them of steps; want %d and %d", n, metrics, steps+4, steps)
	}
}

func TestRequests(t *testing.T) {
	s := serve(t, hostedtest.Behaviour{})
	o := options(s, t.TempDir())
	o.Validation = &Data{"held.jsonl", rows(3)}
	o.LRMultiplier, o.Suffix, o.Seed = 0.5, "kind", 1<<40
	run(t, o)
	p := plan(t, o)
	var got map[string]any
	if err := json.Unmarshal([]byte(s.Jobs()[0]), &got); err != nil {
		t.Fatal(err)
	}
	attempt := got["metadata"].(map[string]any)[attemptField]
	want := map[string]any{"model": "gpt-4.1-mini", "training_file": "file-1", "validation_file": "file-2", "seed": float64(seed31(1 << 40)), "suffix": "kind-" + p.Key()[:12],
		"metadata": map[string]any{keyField: p.Key(), attemptField: attempt},
		"method": map[string]any{"type": "supervised", "supervised": map[string]any{"hyperparameters": map[string]any{
			"n_epochs": 2.0, "batch_size": "auto", "learning_rate_multiplier": 0.5}}}}
	if diff := cmp.Diff(want, got); diff != "" || attempt == "" {
		t.Error(diff)
	}
	if n := len(s.Files()); n != 2 || strings.Count(s.Files()[1], "\n") != 3 {
		t.Errorf("%d files", n)
	}
}

// TestReuse starts runs that share what is at the service already.
func TestReuse(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{}), t.TempDir()
	first := run(t, options(s, filepath.Join(dir, "a")))
	if second := run(t, options(s, filepath.Join(dir, "b"))); second.Job != first.Job {
		t.Error("an equal run in another folder made another job")
	}
	one(t, s)
	o := options(s, filepath.Join(dir, "c"))
	o.Epochs = 3
	run(t, o)
	if f, j := len(s.Files()), len(s.Jobs()); f != 1 || j != 2 {
		t.Errorf("another run on the same data: %d files and %d jobs", f, j)
	}
	o.Out = filepath.Join(dir, "a")
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); err == nil || !strings.Contains(err.Error(), "another run: epochs differ") {
		t.Errorf("a folder of another run: %v", err)
	}
	o.Out = dir
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); err == nil || !strings.Contains(err.Error(), "holds no run") {
		t.Errorf("a folder of something else: %v", err)
	}
}

// TestDeletedFile goes on with a run whose file was deleted before its job was made.
func TestDeletedFile(t *testing.T) {
	s := serve(t, hostedtest.Behaviour{NoQuota: true})
	o := options(s, t.TempDir())
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); err == nil {
		t.Fatal("a job without quota")
	}
	s.DeleteFiles()
	s.Behave(func(b *hostedtest.Behaviour) { b.NoQuota = false })
	run(t, o)
	one(t, s)
}

// TestFailedBefore starts anew in another folder after a job that failed, and never in the same one.
func TestFailedBefore(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{FailCode: "server_error", FailMessage: "something broke"}), t.TempDir()
	o := options(s, filepath.Join(dir, "a"))
	for range 2 {
		_, err := plan(t, o).Run(t.Context(), Consent{Yes: true})
		if err == nil || !strings.Contains(err.Error(), "something broke (code server_error)") || !strings.Contains(because.Hint(err), "another --out") {
			t.Errorf("%v; %s", err, because.Hint(err))
		}
		one(t, s)
	}
	s.Behave(func(b *hostedtest.Behaviour) { b.FailCode = "" })
	o.Out = filepath.Join(dir, "b")
	run(t, o)
	if f, j := len(s.Files()), len(s.Jobs()); f != 1 || j != 2 {
		t.Errorf("%d files and %d jobs", f, j)
	}
}

func TestConsent(t *testing.T) {
	money := func(v float64) *float64 { return &v }
	priced := Estimate{Tokens: 1e6, Epochs: 2, Dollars: money(10), PerMillion: money(5)}
	unknown := Estimate{Tokens: 1e6, Epochs: 2}
	for _, c := range []struct {
		name    string
		e       Estimate
		consent Consent
		want    string
	}{
		{"nothing said", priced, Consent{}, "was not agreed to"},
		{"yes", priced, Consent{Yes: true}, ""},
		{"yes, price unknown", unknown, Consent{Yes: true}, ""},
		{"within the budget", priced, Consent{Budget: money(10)}, ""},
		{"over the budget", priced, Consent{Budget: money(9.99)}, "the estimate of $10.00 is over the budget of $9.99 (2000000 training tokens at $5 per million)"},
		{"over the budget with yes", priced, Consent{Yes: true, Budget: money(9)}, "over the budget"},
		{"budget, price unknown", unknown, Consent{Budget: money(100)}, "the price is unknown, so the budget of $100.00 can't be kept (2000000 training tokens)"},
		{"budget and yes, price unknown", unknown, Consent{Yes: true, Budget: money(100)}, ""},
		{"no budget at all", priced, Consent{Yes: true, Budget: money(-1)}, "means nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.consent.check(c.e, "m")
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrConsent) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestRefusalMakesNothing looks at the service and at the folder after a run without consent.
func TestRefusalMakesNothing(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{}), filepath.Join(t.TempDir(), "out")
	budget := 0.0001
	for _, c := range []Consent{{}, {Budget: &budget}} {
		if _, err := plan(t, options(s, dir)).Run(t.Context(), c); !errors.Is(err, ErrConsent) {
			t.Errorf("%v", err)
		}
	}
	if got := s.Requests(""); len(got) != 0 {
		t.Errorf("the service saw %q", got)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}

func TestPrices(t *testing.T) {
	p := ListPrices()
	for model, want := range map[string]float64{"gpt-4.1-mini": 5, "gpt-4.1-mini-2025-04-14": 5, "ft:gpt-4.1-nano-2025-04-14:org:x:y": 1.5, "gpt-4o-2024-08-06": 25, "gpt-4o-mini-2024-07-18": 3} {
		if got, ok := p.Of(model); !ok || got != want {
			t.Errorf("%s costs %v, %v, want %v", model, got, ok, want)
		}
	}
	if _, ok := p.Of("gpt-4o-realtime"); ok {
		t.Error("an unknown model has a price")
	}
	for text, want := range map[string]string{
		"dated: x\nmodels: []": "no date",
		"dated: 2025-01-01\nmodels: [{match: [a], training: -1}]":                "no price",
		"dated: 2025-01-01\nmodels: [{match: [a], training: .nan}]":              "no price",
		"dated: 2025-01-01\nmodels: [{match: [a]}]":                              "models[0]",
		"dated: 2025-01-01\nmodels: [{match: [a], training: 1, output: 2}]":      "output",
		"dated: 2025-01-01\nmodels: [{match: [a], training: 1000000}]":           "no price",
		"dated: 2025-01-01\nmodels: [{match: [a], training: 1}]\nchecked: never": "checked",
	} {
		if _, err := ParsePrices("p.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p.yaml") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	e := estimate(&upload{rows: 12, tokens: 1_000_000, long: 1}, 3, "gpt-4.1-mini", p)
	want := "estimated: 12 rows, about 1000000 tokens x 3 epochs = 3000000 training tokens, about $15.00 at $5 per million (the built-in table, dated 2025-06-01, unchecked)\n" +
		"rows that seem longer than 65536 tokens, which services cut: 1"
	if e.String() != want {
		t.Errorf("%s\nwant %s", e, want)
	}
	if e := estimate(&upload{rows: 12, tokens: 10}, 3, "other", p); !strings.Contains(e.String(), "price unknown") {
		t.Error(e)
	}
}

// TestInterrupted ends the context at every point: the error says so, and the next call goes on.
func TestInterrupted(t *testing.T) {
	for n := 1; ; n++ {
		s, dir := serve(t, hostedtest.Behaviour{FilePolls: 1}), t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		o, passed := options(s, dir), 0
		o.step = func(string) error {
			if passed++; passed == n {
				cancel(because.ErrInterrupted)
			}
			return nil
		}
		_, err := plan(t, o).Run(ctx, Consent{Yes: true})
		cancel(nil)
		if passed < n {
			if n < 10 {
				t.Errorf("only %d points", passed)
			}
			return
		}
		if err != nil && !errors.Is(err, because.ErrInterrupted) {
			t.Errorf("interrupted at point %d: %v", n, err)
		}
		o.step = nil
		run(t, o)
		one(t, s)
	}
}
