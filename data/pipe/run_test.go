package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/model"
)

func TestRun(t *testing.T) {
	out := into(t)
	res, err := Run(t.Context(), testRecipe(t, 4, testPrompts), Options{Out: out, Seed: 7, Models: models(good())})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 12 || res.Records != 12 || res.Asked != 4+3*12 || res.Kept != 0 || res.Card.Records != 12 {
		t.Errorf("%d rows, %+v", len(rows), res)
	}
	for i, r := range rows {
		if want := fmt.Sprintf(`"p%d/%02d"`, i/3, i%3+1); string(r.Extra["id"]) != want {
			t.Errorf("row %d has the id %s, want %s", i+1, r.Extra["id"], want)
		}
		if !strings.Contains(r.Messages[2].Content, " better ") {
			t.Errorf("row %d is not rewritten: %s", i+1, r.Messages[2].Content)
		}
		if place, span, found := r.Repeats(injection); found {
			t.Errorf("row %d holds the injection in %s: %s", i+1, place, span)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*.tmp")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// TestSameBytes draws concurrency, delays and failures that pass, and wants the same bytes.
func TestSameBytes(t *testing.T) {
	faulty := func(seed uint64, r because.Request) string { // some answers are bad, by seed and request
		text := reply(seed, r)
		switch seed % 7 {
		case 0:
			return ""
		case 1:
			return "I'm sorry, but I can't help with that."
		}
		return text
	}
	var want map[string]string
	for _, inFlight := range []int{1, 2, 64} {
		out := into(t)
		m := scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
			if inFlight > 1 {
				time.Sleep(time.Duration(seed%3) * 100 * time.Microsecond)
			}
			return because.Response{Text: faulty(seed, r), Stop: because.StopEnd, Usage: because.Usage{Output: 1}}, nil
		}}
		_, err := Run(t.Context(), testRecipe(t, 30, testPrompts), Options{Out: out, Seed: 3, Models: models(m), InFlight: inFlight})
		if err != nil {
			t.Fatal(err)
		}
		got := contents(t, out)
		if want == nil {
			want = got
			if !strings.Contains(got[CardSuffix], FlawRefused) || !strings.Contains(got[CardSuffix], FlawEmpty) || !strings.Contains(got[LineageSuffix], `"line":"drop"`) {
				t.Error("the test's writer gave no bad answers, or none was counted")
			}
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("with %d in flight (-one +many):\n%.2000s", inFlight, d)
		}
	}
}

// TestResume stops runs at random answers and starts them again: the bytes are those of a run without a stop, and nothing that was
// answered is asked again.
func TestResume(t *testing.T) {
	whole := into(t)
	if _, err := Run(t.Context(), testRecipe(t, 10, testPrompts), Options{Out: whole, Models: models(good())}); err != nil {
		t.Fatal(err)
	}
	want := contents(t, whole)
	for seed := range uint64(12) {
		draw := rand.New(rand.NewPCG(seed, 0))
		out, inFlight := into(t), 1+draw.IntN(20)
		answered, sent := atomic.Int64{}, atomic.Int64{}
		for stops := 0; ; stops++ {
			ctx, cancel := context.WithCancel(t.Context())
			until := sent.Load() + 1 + draw.Int64N(60)
			m := scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
				if sent.Add(1) >= until && stops < 4 {
					cancel()
				}
				if ctx.Err() != nil {
					return because.Response{}, ctx.Err()
				}
				answered.Add(1)
				return good().answer(ctx, seed, r)
			}}
			_, err := Run(ctx, testRecipe(t, 10, testPrompts), Options{Out: out, Models: models(m), InFlight: inFlight})
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, because.ErrInterrupted) {
				t.Fatalf("stopped with %v", err)
			}
			if _, err := os.Stat(out); err == nil {
				t.Fatal("a stopped run wrote records")
			}
		}
		if n := answered.Load(); n != 100 {
			t.Errorf("seed %d: %d answers were given, want 100: each once", seed, n)
		}
		if d := cmp.Diff(want, contents(t, out)); d != "" {
			t.Fatalf("seed %d (-whole +resumed):\n%.2000s", seed, d)
		}
	}
}

func TestChangedPromptAsksFromThereOn(t *testing.T) {
	out := into(t)
	asked := map[string]int{}
	m := func() because.Chat {
		return scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
			asked[strings.Fields(r.Messages[len(r.Messages)-1].Content)[0]]++
			return good().answer(ctx, seed, r)
		}}
	}
	o := Options{Out: out, Models: models(m()), InFlight: 1}
	if _, err := Run(t.Context(), testRecipe(t, 2, testPrompts), o); err != nil {
		t.Fatal(err)
	}
	changed := maps.Clone(testPrompts)
	text := strings.Replace(string(testPrompts["prompts/pair.md"].Data), "Write a system prompt", "Write a system prompt, soberly,", 1)
	changed["prompts/pair.md"] = &fstest.MapFile{Data: []byte(text)}
	clear(asked)
	if _, err := Run(t.Context(), testRecipe(t, 2, changed), o); err != nil {
		t.Fatal(err)
	}
	if asked["Three"] != 0 || asked["Write"] != 6 || asked["Improve"] != 6 {
		t.Errorf("asked %v", asked)
	}
}

func TestN(t *testing.T) {
	for _, inFlight := range []int{1, 50} {
		out := into(t)
		res, err := Run(t.Context(), testRecipe(t, -1, testPrompts), Options{Out: out, N: 10, Models: models(good()), InFlight: inFlight})
		if err != nil {
			t.Fatal(err)
		}
		// Four sources make twelve records.
		if res.Records != 10 || res.Surplus != 2 || res.Asked != 4+3*12 {
			t.Errorf("%d in flight: %d records, %d beyond, %d requests", inFlight, res.Records, res.Surplus, res.Asked)
		}
	}
}

func TestPlanIsWhatIsAsked(t *testing.T) {
	for _, c := range []struct{ sources, n int }{{1, 0}, {7, 0}, {12, 0}, {12, 3}, {12, 21}, {3, 30}, {-1, 6}} {
		recipe := testRecipe(t, c.sources, testPrompts)
		o := Options{Out: into(t), N: c.n, Models: models(good())}
		e, err := Plan(recipe, o)
		if err != nil {
			t.Fatal(err)
		}
		res, err := Run(t.Context(), recipe, o)
		if err != nil {
			t.Fatal(err)
		}
		if int(e.Requests) != res.Asked || int(e.Records) != res.Records {
			t.Errorf("%+v: planned %v requests and %v records, made %d and %d", c, e.Requests, e.Records, res.Asked, res.Records)
		}
		for i, s := range e.Stages {
			if int(s.Requests) != res.Stages[i].Requests || int(s.Out) != res.Stages[i].Out {
				t.Errorf("%+v: stage %s: planned %+v, was %+v", c, s.Stage, s, res.Stages[i])
			}
		}
	}
}

func TestFailedRequests(t *testing.T) {
	out := into(t)
	broken := atomic.Bool{}
	broken.Store(true)
	m := scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		if broken.Load() && strings.HasPrefix(r.Messages[len(r.Messages)-1].Content, "Three ideas about principle 2.") {
			return because.Response{}, &model.Error{Kind: model.Overloaded, Model: "writer", Err: errors.New("try later")}
		}
		return good().answer(ctx, seed, r)
	}}
	o := Options{Out: out, Models: models(m)}
	_, err := Run(t.Context(), testRecipe(t, 4, testPrompts), o)
	if err == nil || !strings.Contains(err.Error(), "the requests of 1 items failed, first in stage ideas, item p2") {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("records were written though a request failed")
	}
	o.AllowFailed = true
	res, err := Run(t.Context(), testRecipe(t, 4, testPrompts), o)
	if err != nil || res.Records != 9 || res.Card.Stages[0].Dropped["request failed"] != 1 || res.Stages[0].In != 4 {
		t.Errorf("%+v, %v", res.Stages, err)
	}
	broken.Store(false)
	o.AllowFailed = false
	res, err = Run(t.Context(), testRecipe(t, 4, testPrompts), o)
	if err != nil || res.Records != 12 || res.Asked != 1+9 {
		t.Errorf("%d records, %d asked, %v", res.Records, res.Asked, err)
	}
}

func TestErrorsThatEndTheRun(t *testing.T) {
	for _, kind := range []model.Kind{model.OverBudget, model.Denied, model.Rejected} {
		n := atomic.Int64{}
		m := scripted{"writer", func(context.Context, uint64, because.Request) (because.Response, error) {
			n.Add(1)
			return because.Response{}, &model.Error{Kind: kind, Model: "writer"}
		}}
		_, err := Run(t.Context(), testRecipe(t, 1000, testPrompts), Options{Out: into(t), Models: models(m), InFlight: 4})
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: %v", kind, err)
		}
		if n.Load() > patience+8 {
			t.Errorf("%s: %d requests", kind, n.Load())
		}
	}
}

// TestWarns wants answers that could not be kept to be told, and the run to be right all the same.
func TestWarns(t *testing.T) {
	out := into(t)
	if err := os.WriteFile(out+".work", nil, 0o666); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	work := filepath.Join(t.TempDir(), "work")
	m := scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		if err := os.WriteFile(work, nil, 0o666); err != nil && !errors.Is(err, fs.ErrExist) {
			return because.Response{}, err
		}
		return good().answer(ctx, seed, r)
	}}
	res, err := Run(t.Context(), testRecipe(t, 1, testPrompts), Options{Out: out, Work: work, Models: models(m), InFlight: 1})
	if err != nil || res.Records != 3 || len(res.Warnings) == 0 {
		t.Errorf("%d records, %v, %v", res.Records, res.Warnings, err)
	}
	if _, err := Run(t.Context(), testRecipe(t, 1, testPrompts), Options{Out: out, Models: models(m)}); err == nil {
		t.Error("a file where the folder of answers should be is no error")
	}
}
