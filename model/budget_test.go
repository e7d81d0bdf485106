package model_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// priced is a table in which test/server costs 1 and 2 dollars for a million tokens, and nothing else has a price.
func priced(t *testing.T) model.Prices {
	t.Helper()
	return must[model.Prices](t)(model.ParsePrices("p.yaml", []byte("checked: 2025-12-01\nmodels:\n- {match: test/server, input: 1, output: 2, cache_read: 0.5}\n")))
}

func TestMeterCounts(t *testing.T) {
	m := model.NewMeter(priced(t), model.Budget{})
	m.Add("test/server", because.Usage{Input: 1000, Output: 100, CacheRead: 10, CacheWrite: 20, Reasoning: 50})
	m.Add("other", because.Usage{Input: 7})
	m.Add("test/server", because.Usage{Input: 1})
	want := []model.Spent{{Model: "other", Requests: 1, Usage: because.Usage{Input: 7}},
		{Model: "test/server", Requests: 2, Usage: because.Usage{Input: 1001, Output: 100, CacheRead: 10, CacheWrite: 20, Reasoning: 50}, USD: 0.001226, Priced: true}}
	got := m.Snapshot()
	for i := range got { // sums of floats
		if d := got[i].USD - want[i].USD; d > 1e-12 || d < -1e-12 {
			t.Errorf("%s cost %v, want %v", got[i].Model, got[i].USD, want[i].USD)
		}
		got[i].USD = want[i].USD
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However many requests come at once, no more is spent than the budget, and nearly all of it.
func TestBudgetIsKept(t *testing.T) {
	r := ask("x") // at most 105 tokens: 5 to read, 100 to write; really 15
	for name, budget := range map[string]model.Budget{"tokens": {Tokens: 1000}, "dollars": {USD: 0.0013}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				meter := model.NewMeter(priced(t), budget)
				m := must[because.Chat](t)(model.Metered(s, meter, model.MeterOptions{}))
				answered, refused := 0, 0
				for _, err := range flood(t.Context(), m, 300) {
					switch {
					case err == nil:
						answered++
					case model.KindOf(err) == model.OverBudget && because.Hint(err) != "":
						refused++
					default:
						t.Error(err)
					}
				}
				spent := meter.Snapshot()[0]
				if answered+refused != 300 || answered != len(s.order) || spent.Requests != answered {
					t.Errorf("%d answered, %d refused, %d sent, %+v", answered, refused, len(s.order), spent)
				}
				if answered < 53 || answered > 66 { // 1000/15 is 66; the last of them need 105 left. 20 millionths of a dollar for each are 65
					t.Errorf("%d requests were answered", answered)
				}
				if name == "tokens" && spent.Usage.Total() > budget.Tokens || name == "dollars" && spent.USD > budget.USD {
					t.Errorf("%+v is over the budget", spent)
				}
				before := len(s.order)
				if _, err := m.Answer(t.Context(), 1, r); model.KindOf(err) != model.OverBudget || len(s.order) != before || !strings.Contains(err.Error(), " of ") {
					t.Errorf("after all was spent: %v", err)
				}
			})
		})
	}
}

// Failures free what they reserved, and who waits for room can give up.
func TestBudgetAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{fault: func(n, _ int) error {
			if n <= 50 {
				return kind(model.Garbled)
			}
			return nil
		}}
		meter := model.NewMeter(model.Prices{}, model.Budget{Tokens: 220})
		m := must[because.Chat](t)(model.Metered(s, meter, model.MeterOptions{}))
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // two fly at once, for a second each
		defer cancel()
		kinds := map[string]int{}
		for _, err := range flood(ctx, m, 100) {
			kinds[fmt.Sprint(model.KindOf(err), errors.Is(err, context.DeadlineExceeded))]++
		}
		if diff := cmp.Diff(map[string]int{"garbled answerfalse": 2, "true": 98}, kinds); diff != "" {
			t.Error(diff)
		}
		s.fault = nil
		if err := errors.Join(flood(t.Context(), m, 4)...); err != nil {
			t.Errorf("nothing was spent, yet: %v", err)
		}
	})
}

// A large request that gives up makes way for a small one behind it.
func TestBudgetQueueMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := must[because.Chat](t)(model.Metered(&server{}, model.NewMeter(model.Prices{}, model.Budget{Tokens: 300}), model.MeterOptions{}))
		start := time.Now()
		send := func(tokens int, after, within time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			r := ask("x")
			r.MaxTokens = tokens
			if _, err := m.Answer(ctx, 1, r); err != nil != (after == 0) || err == nil && time.Since(start) != after {
				t.Errorf("%d tokens: %v after %v", tokens, err, time.Since(start))
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { send(150, time.Second, time.Minute) })
		synctest.Wait()
		wg.Go(func() { send(250, 0, 200*time.Millisecond) }) // no room beside the first
		synctest.Wait()
		wg.Go(func() { send(50, 1200*time.Millisecond, time.Minute) }) // has room, but waits for its turn
		wg.Wait()
	})
}

func TestBudgetNeedsAPrice(t *testing.T) {
	m := chat(nil)
	if _, err := model.Metered(m, model.NewMeter(priced(t), model.Budget{USD: 1}), model.MeterOptions{}); because.Hint(err) == "" || !strings.Contains(err.Error(), "test/model") {
		t.Errorf("%v", err)
	}
	for _, b := range []model.Budget{{}, {Tokens: 5}} {
		if _, err := model.Metered(m, model.NewMeter(priced(t), b), model.MeterOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestListPrices(t *testing.T) {
	p := model.ListPrices()
	for name, want := range map[string]float64{"local/abcdef012345": 0, "local:/a/b.gguf": 0, "mock": 0, "mock:rules.yaml": 0, "openai/gpt-4o-mini": 0.15, "openai/gpt-5-2025-08-07": 1.25,
		"anthropic/claude-sonnet-4-5-20250929": 3} {
		if got, ok := p.Of(name); !ok || got.Input != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "openai/gpt-5-pro", "openai/gpt-4o-mini-audio-preview", "mocking", "xopenai/gpt-5", "anthropic/claude-sonnet-4-5x"} {
		if got, ok := p.Of(name); ok {
			t.Errorf("%q has the price %+v of another model", name, got)
		}
	}
	own := must[model.Prices](t)(model.ParsePrices("own.yaml", []byte("checked: 2026-01-02\nmodels:\n- {match: 'openai*/gpt-?', input: 7, output: 8}\n")))
	both := own.Before(p)
	if got, _ := both.Of("openai/gpt-5"); got != (model.Price{Input: 7, Output: 8, CacheRead: 7, CacheWrite: 7}) || both.Checked != "2026-01-02" {
		t.Errorf("%+v of %s", got, both.Checked)
	}
	if got, _ := both.Of("openai-api:http://h/v1/gpt-5"); got.Input != 7 {
		t.Errorf("%+v", got)
	}
	if got, ok := both.Of("openai/gpt-4o-mini"); !ok || got.Cost(because.Usage{Input: 1e6, Output: 1e6, CacheRead: 1e6}) != 0.15+0.6+0.075 {
		t.Errorf("%+v", got)
	}
}

func TestParsePricesTellsWhere(t *testing.T) {
	const date = "checked: 2025-12-01\n"
	for text, want := range map[string]string{
		"":                                       "p.yaml: the file is empty",
		"models: []":                             `p.yaml: checked is "": it must be`,
		"checked: soon":                          `p.yaml: checked is "soon"`,
		date + "models:\n- {match: a, inptu: 1}": "p.yaml:3: unknown key inptu",
		date + "mdoels: []":                      "p.yaml:2: unknown key mdoels",
		date + "models:\n- {match: a, input: 1}": "p.yaml:3: an entry needs",
		date + "models:\n- {input: 1, output: 1}":                     "p.yaml:3: an entry needs",
		date + "models:\n- {match: '', input: 1, output: 1}":          "p.yaml:3: match: a name is empty",
		date + "models:\n- {match: a, input: 1, output: -1}":          "p.yaml:3: -1 is no price",
		date + "models:\n- {match: a, input: .nan, output: 1}":        "p.yaml:3: NaN is no price",
		date + "models:\n- {match: a, input: 1, output: 20000}":       "p.yaml:3: 20000 is no price",
		date + "models:\n- {match: a, input: $1, output: 1}":          "p.yaml:3: cannot unmarshal",
		date + "models:\n- {match: a, input: 1, input: 2, output: 1}": "p.yaml:3: ",
		date + "models:\n- a":                                         "p.yaml:3: an entry has match",
		date + "---\n" + date:                                         "p.yaml: a second document follows",
	} {
		if _, err := model.ParsePrices("p.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "read prices: "+want) || because.Hint(err) == "" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := model.OpenPrices("missing.yaml"); err == nil {
		t.Error("a missing file was read")
	}
}

func FuzzParsePrices(f *testing.F) {
	f.Add("checked: 2025-12-01\nmodels:\n- {match: [a*, '\\E?'], input: 1, output: 2}\n")
	f.Add("checked: 2025-12-01\nmodels: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := model.ParsePrices("p.yaml", []byte(text)); err == nil {
			p.Of("openai/gpt-5")
		}
	})
}
