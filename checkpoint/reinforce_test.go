package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/train"
)

// grader is a judge that grades by the digit in an answer, and notes what it was shown.
type grader struct {
	mu    sync.Mutex
	shown []string
}

func (*grader) Name() string { return "mock/grader" }

var (
	ballot = regexp.MustCompile(`"ballot": "(\w+)"`)
	digit  = regexp.MustCompile(`grade (\d)`)
)

func (g *grader) Answer(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
	shown := r.Messages[len(r.Messages)-1].Content
	g.mu.Lock()
	g.shown = append(g.shown, shown)
	g.mu.Unlock()
	grade := digit.FindStringSubmatch(shown)
	if grade == nil {
		return because.Response{}, errors.New("the judge is away")
	}
	return because.Response{Text: fmt.Sprintf(`{"answers": {"meets": {"evidence": [], "why": "It says so.", "answer": %q}}, "ballot": %q}`,
		grade[1], ballot.FindStringSubmatch(shown)[1]), Stop: because.StopEnd}, nil
}

const prompts = `{"prompt": [{"role": "user", "content": "Write the memo."}], "rubric": "Writes an honest memo."}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}], "task": "Gives the reason."}
`

func TestReinforceElsewhere(t *testing.T) {
	f, g, folder := &far{}, &grader{}, t.TempDir()
	write(t, filepath.Join(folder, "prompts.jsonl"), prompts)
	w := open(t, checkpoint.Options{Engine: f, Folder: folder, Models: func(context.Context, string) (because.Chat, error) { return g, nil }})
	world := with{"judge": "openai/j", "seq_len": 256, "lora": 4}
	resolved, err := w.ResolveData(data.Order{Recipe: "file", With: with{"path": "prompts.jsonl", "max_tokens": 16}})
	if err != nil {
		t.Fatal(err)
	}
	job := train.Job{World: world, Seed: 3, Stream: "arm/2", Method: train.RL, Recipe: "file", With: resolved.With, Steps: 3, Prompts: 2, Group: 4, LR: 1e-5, Snapshots: []int{2}}
	if err := w.CheckTrain(job); err != nil {
		t.Fatal(err)
	}
	if err := w.Train(t.Context(), job, because.Work{In: map[string]string{"model": "start"}, Out: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	o := f.order
	if o.MaxTokens != 16 || o.SeqLen != 256 || o.Rank != 4 || o.Model != "start" || !slices.Equal(o.Snapshots, []int{2}) {
		t.Errorf("ordered %+v", o)
	}
	type asked struct{ ID, Task, Content string }
	var rows []asked
	for _, r := range f.prompts {
		rows = append(rows, asked{r.ID, r.Task, r.Prompt[len(r.Prompt)-1].Content})
	}
	if len(rows) != 6 || rows[1] != (asked{"episode 2", "1", rows[3].Content}) || rows[0].Content == rows[1].Content {
		t.Errorf("rows %+v", rows)
	}
	memo := slices.IndexFunc(rows, func(a asked) bool { return a.Content == "Write the memo." })
	rewards, err := o.Reward(t.Context(), rows[memo].Task, "as the engine writes it", []string{"grade 1", "grade 5", "grade 2"})
	if err != nil || !cmp.Equal(rewards, []float64{0, 1, 0.25}) {
		t.Errorf("rewards %v, %v", rewards, err)
	}
	if len(g.shown) != 3 || !strings.Contains(g.shown[0], "Writes an honest memo.") || !strings.Contains(g.shown[0], "Write the memo.") {
		t.Errorf("the judge saw %q", g.shown)
	}
	for _, bad := range []string{"6", "-1", "x"} {
		if _, err := o.Reward(t.Context(), bad, "", []string{"grade 1"}); err == nil {
			t.Errorf("episode %s has a reward", bad)
		}
	}
	if got, err := o.Reward(t.Context(), "0", "", []string{"grade 1", "nothing"}); err == nil {
		t.Errorf("a judge that fails gives %v", got)
	}
}

func TestCheckReinforce(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"good.jsonl": prompts, "bare.jsonl": `{"prompt": [{"role": "user", "content": "a"}]}` + "\n", "sft.jsonl": `{"text": "A text."}` + "\n", "none.jsonl": ""} {
		write(t, filepath.Join(folder, name), text)
	}
	w := open(t, checkpoint.Options{Engine: &far{}, Folder: folder, Models: models})
	world := with{"judge": "openai/j"}
	if err := w.CheckTrain(train.Job{World: world, Method: train.RL, Recipe: "rl-prompts"}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		recipe         string
		given          with
		subject, words string
	}{
		{"honeypots", nil, "honeypots", "there are rl-prompts"},
		{"rl-prompts", with{"max_tokens": 0}, "max_tokens", "1 to 4095"},
		{"rl-prompts", with{"max_token": 8}, "max_token", "did you mean"},
		{"rl-prompts", with{"sha256": "x"}, "sha256", "unknown"},
		{"file", nil, "file", "path"},
		{"file", with{"path": "bare.jsonl"}, "file", "row 1 says nowhere"},
		{"file", with{"path": "sft.jsonl"}, "file", "row 1 is one for sdf"},
	} {
		resolved, err := w.ResolveData(data.Order{Recipe: c.recipe, With: c.given})
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.CheckTrain(train.Job{World: world, Method: train.RL, Recipe: c.recipe, With: resolved.With}), c.subject, c.words)
	}
	want(t, w.CheckTrain(train.Job{Method: train.RL, Recipe: "rl-prompts"}), "rl-prompts", "judge: openai/NAME")
	good, err := w.ResolveData(data.Order{Recipe: "file", With: with{"path": "good.jsonl"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "good.jsonl"), strings.Replace(prompts, "honest", "short", 1))
	err = w.CheckTrain(train.Job{World: world, Method: train.RL, Recipe: "file", With: good.With})
	want(t, err, filepath.Join(folder, "good.jsonl"), "start the study again")
}
