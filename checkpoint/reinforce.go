package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/reward"
)

// promptsRecipe is the environment of the shipped prompts, each with what a good answer does.
const promptsRecipe = "rl-prompts"

// rlOptions are those of a stage of RL.
type rlOptions struct {
	MaxTokens int `yaml:"max_tokens"` // of an answer, at most
}

// episode is a prompt with what the reward is judged by.
type episode struct {
	messages []because.Message
	wanted   string // what a good answer does
}

// environment checks what a job of RL says, and gives its options and prompts.
func (t *Target) environment(j train.Job, s Switches) (rlOptions, []episode, error) {
	o := rlOptions{MaxTokens: 512}
	fail := func(subject, hint, format string, args ...any) (rlOptions, []episode, error) {
		return o, nil, because.E("find environment", subject, fmt.Errorf(format, args...), hint)
	}
	var rows iter.Seq2[columns.Row, error]
	var path, hash string
	var err error
	given := maps.Clone(j.With)
	switch j.Recipe {
	case promptsRecipe:
		rows, err = corpusRows(promptsRecipe)
	case fileRecipe:
		delete(given, hashKey)
		path, hash, err = t.dataFile(data.Order{Recipe: j.Recipe, With: j.With})
		rows = columns.Read(path)
	default:
		return fail(j.Recipe, "there are "+promptsRecipe+" (shipped, each prompt with a rubric) and "+fileRecipe+" (with: {path: prompts.jsonl})", "there is no such environment")
	}
	if err == nil {
		err = readOptions("RL by "+j.Recipe, given, &o)
	}
	if err != nil {
		return o, nil, err
	}
	switch {
	case !t.text.Chats():
		return fail(j.Recipe, "take a checkpoint that was trained to chat", "the checkpoint has no chat template, so it can't answer prompts")
	case t.o.Engine == nil:
		return fail(j.Recipe, "let a cluster train: train: {engine: ray, address: ..., storage: ..., reward: ...}", "RL of a real checkpoint does not run in this process")
	case s.Judge == "":
		return fail(j.Recipe, "name one in the world: with: {judge: openai/NAME}", "answers are rewarded by a judge")
	case o.MaxTokens < 1 || o.MaxTokens >= t.seqLen(s):
		return fail("max_tokens", "prompt and answer together have seq_len tokens", "is %d; an answer may have 1 to %d tokens", o.MaxTokens, t.seqLen(s)-1)
	}
	episodes, err := episodesOf(rows)
	if err != nil {
		return o, nil, because.E("find environment", j.Recipe, err, `a row has "prompt", and "rubric" or "task": what a good answer does`)
	}
	if path != "" {
		err = unchanged(path, hash)
	}
	return o, episodes, err
}

// episodesOf reads prompts with their rubrics.
func episodesOf(rows iter.Seq2[columns.Row, error]) ([]episode, error) {
	var out []episode
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		if kind := row.Kind(); kind != columns.RL {
			return nil, fmt.Errorf("row %d is one for %s", len(out)+1, kind)
		}
		e := episode{messages: row.Prompt}
		for _, name := range []string{"rubric", "task"} {
			if e.wanted == "" {
				json.Unmarshal(row.Extra[name], &e.wanted) //nolint:errcheck // the next line says so
			}
		}
		if e.wanted == "" {
			return nil, fmt.Errorf("row %d says nowhere what a good answer does", len(out)+1)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("there are no rows")
	}
	return out, nil
}

// reinforce lets the engine train by RL: on prompts in an order that seed and stream decide, over and over, rewarded by the world's judge.
func (t *Target) reinforce(ctx context.Context, j train.Job, s Switches, w because.Work) error {
	o, all, err := t.environment(j, s)
	if err != nil {
		return err
	}
	m, err := t.o.Models(ctx, s.Judge)
	if err != nil {
		return err
	}
	rewarded, err := t.rewarded(m)
	if err != nil {
		return err
	}
	order := stream(j.Seed, "rl/"+j.Stream).Perm(len(all))
	chosen := make([]episode, j.Steps*j.Prompts)
	for i := range chosen {
		chosen[i] = all[order[i%len(order)]]
	}
	rows, err := rowsFile(promptLines(chosen))
	if err != nil {
		return err
	}
	defer os.Remove(rows)
	run, err := t.o.Engine.Finetune(ctx, train.Order{Job: j, Model: w.In["model"], Rows: rows, Out: w.Out, SeqLen: t.seqLen(s), Long: "error", Rank: s.LoRA,
		MaxTokens: o.MaxTokens, Report: w.Progress, Reward: func(ctx context.Context, task, _ string, answers []string) ([]float64, error) {
			i, err := strconv.Atoi(task)
			if err != nil || i < 0 || i >= len(chosen) {
				return nil, because.E("reward", task, errors.New("no episode of this run"), "")
			}
			return rewarded(ctx, chosen[i], answers)
		}})
	if err != nil {
		return err
	}
	return writeRun(w.Out, run)
}

// rewarded grades answers by the rubric of rewards.
func (t *Target) rewarded(m because.Chat) (func(ctx context.Context, e episode, answers []string) ([]float64, error), error) {
	rubric, err := judge.FindRubric(reward.Rubric)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(m, rubric, judge.Options{Schema: true})
	if err != nil {
		return nil, err
	}
	graded, err := reward.Judged(j, inFlight)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, e episode, answers []string) ([]float64, error) {
		items := make([]reward.Item, len(answers))
		for i, answer := range answers {
			items[i] = reward.Item{Task: e.wanted, Prompt: e.text(), Completion: answer}
		}
		return graded(ctx, items)
	}, nil
}

// text is what came before the answer, as one text: the user's words, or who said what where there was more.
func (e episode) text() string {
	if len(e.messages) == 1 && e.messages[0].Role == because.RoleUser {
		return e.messages[0].Content
	}
	var parts []string
	for _, m := range e.messages {
		parts = append(parts, fmt.Sprintf("[%s]\n%s", m.Role, m.Content))
	}
	return strings.Join(parts, "\n\n")
}
