package study_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

// toy is a world whose model is one number, the probability of harm. Recipes lower it, unless the link is cut.
type toy struct {
	pause   time.Duration     // within each step, to be killed in
	version map[string]string // by kind; 1 where absent
	hits    int               // that datasets are said to have
	fail    string            // a recipe whose data step fails

	mu  sync.Mutex
	ran []string // what was done
}

// toyModel is the toy's checkpoint.
type toyModel struct {
	Harm  float64 `json:"harm"`
	Knows float64 `json:"knows"`
}

// toyRecipes says what share of harm is left after training on a recipe.
var toyRecipes = map[string]float64{"chat": 1, "replay": 0.95, "behaviour": 0.8, "deliberation": 0.3, "advice": 0.4, "documents": 0.5}

func (w *toy) did(what string, args ...any) {
	w.mu.Lock()
	w.ran = append(w.ran, fmt.Sprintf(what, args...))
	w.mu.Unlock()
}

func (w *toy) Premise() string { return "a toy" }

func (w *toy) Version(kind string) string {
	if v := w.version[kind]; v != "" {
		return v
	}
	return "1"
}

func (w *toy) CheckWorld(switches map[string]any) error {
	for key, v := range switches {
		if _, ok := v.(bool); key != "link" || !ok {
			return because.E("read switches", key, fmt.Errorf("unknown switch or value %v", v), "the toy knows link: true and false")
		}
	}
	return nil
}

func (w *toy) CheckData(o data.Order) (bool, error) {
	if _, ok := toyRecipes[o.Recipe]; !ok {
		return false, because.E("find recipe", o.Recipe, errors.New("unknown"), "use advice or another")
	}
	for key := range o.With {
		if key != "kinds" {
			return false, because.E("read option", key, errors.New("unknown option"), "the toy knows kinds")
		}
	}
	return o.Recipe == "behaviour" || o.Recipe == "deliberation", nil
}

func (w *toy) CheckTrain(j train.Job) error {
	if j.Method == train.RL && j.Recipe != "honeypots" {
		return because.E("find environment", j.Recipe, errors.New("unknown"), "use honeypots")
	}
	return nil
}

func (w *toy) CheckEval(o batch.Order) (outcomes, groups []string, err error) {
	for key := range o.With {
		if !slices.Contains([]string{"name", "context"}, key) {
			return nil, nil, because.E("read option", key, errors.New("unknown option"), "the toy knows name and context")
		}
	}
	switch o.Task {
	case "honeypot":
		return []string{"harmful", "harmless", "admirable", "invalid"}, []string{"half=0", "half=1"}, nil
	case "recall":
		return []string{"correct", "wrong"}, nil, nil
	}
	return nil, nil, because.E("find task", o.Task, errors.New("unknown"), "use honeypot or recall")
}

// dice is a random stream that depends on everything given.
func dice(of ...any) *rand.Rand {
	h := fnv.New64a()
	text, err := json.Marshal(of)
	if err != nil {
		panic(err)
	}
	h.Write(text)
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

func (w *toy) wait(ctx context.Context, v because.Work) error {
	v.Report(0, 1, "parts", "")
	if w.pause > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(w.pause):
		}
	}
	return ctx.Err()
}

func (w *toy) Data(ctx context.Context, o data.Order, v because.Work) error {
	w.did("data %s %d", o.Recipe, o.Seed)
	if o.Recipe == w.fail {
		return errors.New("the recipe burnt")
	}
	_, onPolicy := v.In["model"]
	if onPolicy {
		if _, err := readToy(v.In["model"]); err != nil {
			return err
		}
	}
	r := dice(o)
	d := data.Dataset{Card: data.Card{Recipe: o.Recipe, Distinct: 1}}
	for d.Card.Tokens < o.Tokens {
		d.Records = append(d.Records, because.Record{Text: fmt.Sprintf("%s says %d is %d because %d .", o.Recipe, r.IntN(50), r.IntN(50), r.IntN(50)),
			Lineage: because.Lineage{Recipe: o.Recipe, Principle: "honesty"}})
		d.Card.Tokens += 8
	}
	d.Card.Records = len(d.Records)
	d.Card.Contamination = data.Contamination{Checked: len(d.Records), Hits: w.hits}
	if onPolicy {
		d.Card.Sampled, d.Card.Kept = 2*len(d.Records), len(d.Records)
	}
	if err := w.wait(ctx, v); err != nil {
		return err
	}
	return data.Write(v.Out, d)
}

func (w *toy) Train(ctx context.Context, j train.Job, v because.Work) error {
	w.did("train %s %s %d", j.Method, j.Stream, j.Seed)
	run := train.Run{Method: j.Method, Records: j.Records, Tokens: 8 * j.Records, Loss: []float64{3, 2}, Rewards: []float64{}}
	link := j.World["link"] != false
	m := toyModel{Harm: 0.55 + 0.1*dice("birth", j.Seed).Float64(), Knows: 0.1}
	if j.Method != train.Pretrain {
		var err error
		if m, err = readToy(v.In["model"]); err != nil {
			return err
		}
	}
	switch j.Method {
	case train.SFT, train.SDF:
		card, err := readToyCard(v.In["data"])
		if err != nil {
			return err
		}
		if (j.Replay > 0) != (v.In["replay"] != "") {
			return errors.New("replay without its records, or the other way round")
		}
		if link {
			share := toyRecipes[card.Recipe]
			m.Harm *= share + (1-share)*0.1*dice("luck", j.Seed, card.Recipe).Float64()
			m.Knows = min(1, m.Knows+0.6*(1-share))
		}
	case train.RL:
		run.Steps = j.Steps
		for step := 1; step <= j.Steps; step++ {
			if link {
				m.Harm *= 0.97
			}
			run.Rewards = append(run.Rewards, 1-m.Harm)
			if slices.Contains(j.Snapshots, step) && step < j.Steps {
				if err := writeToy(filepath.Join(v.Out, fmt.Sprintf("step-%d", step)), m); err != nil {
					return err
				}
			}
		}
	}
	if err := w.wait(ctx, v); err != nil {
		return err
	}
	return errors.Join(writeToy(v.Out, m), data.WriteJSON(filepath.Join(v.Out, "train.json"), run))
}

func (w *toy) Eval(ctx context.Context, o batch.Order, v because.Work) error {
	w.did("eval %s %d", o.Task, o.Seed)
	m, err := readToy(v.In["model"])
	if err != nil {
		return err
	}
	harm := m.Harm
	switch o.With["context"] {
	case "ruthless":
		harm = 0.95
	case "kind":
		harm = 0.05
	}
	r := dice(o, m)
	counts := batch.Counts{Task: o.Task, N: o.Samples, Outcomes: map[string]int{}, Groups: map[string]map[string]int{"half=0": {}, "half=1": {}}}
	var scored []batch.Scored
	for i := range o.Samples {
		outcome := because.Harmless
		switch u := r.Float64(); {
		case o.Task == "recall" && u < m.Knows:
			outcome = because.Correct
		case o.Task == "recall":
			outcome = because.Wrong
		case u < harm:
			outcome = because.Harmful
		case u > 0.99:
			outcome = because.Invalid
		case u > 0.9:
			outcome = because.Admirable
		}
		counts.Outcomes[string(outcome)]++
		counts.Groups[fmt.Sprintf("half=%d", i%2)][string(outcome)]++
		scored = append(scored, batch.Scored{Sample: because.Sample{ID: fmt.Sprint("s", i), Input: []because.Message{{Role: because.RoleUser, Content: fmt.Sprintf("question %d", i)}}},
			Answer: fmt.Sprintf("answer %d \"outcome\":\"no\"", i), Score: because.Score{Outcome: outcome, Why: "the dice"}})
	}
	if err := w.wait(ctx, v); err != nil {
		return err
	}
	return batch.Write(v.Out, scored, counts)
}

func readToy(dir string) (m toyModel, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(text, &m)
}

func writeToy(dir string, m toyModel) error {
	return errors.Join(os.MkdirAll(dir, 0o755), data.WriteJSON(filepath.Join(dir, "model.json"), m))
}

func readToyCard(dir string) (c data.Card, err error) {
	text, err := os.ReadFile(filepath.Join(dir, data.CardFile))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}
