package study

import (
	"context"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

// Kinds of steps. A world gives the version of its code for each.
const (
	KindData     = "data"
	KindPretrain = "pretrain"
	KindTrain    = "train"
	KindRL       = "rl"
	KindEval     = "eval"
)

// World is what a target offers to a study: recipes, training and tasks. Its methods may be called concurrently. The
// same order, version and inputs must give the same bytes, whatever the number of workers.
//
// Errors of the Check methods are shown with their place in the study file: that of the option, recipe or task which is
// the Subject of a *because.Error, else of all that was checked.
type World interface {
	// Premise says in prose what this world takes for granted. Reports print it.
	Premise() string
	// Version is the version of the code behind a kind of step. It is part of the keys of such steps: change it when
	// the code gives other bytes than before.
	Version(kind string) string

	// CheckWorld checks the switches of a setting.
	CheckWorld(switches map[string]any) error
	// The Check methods look at nothing that is left out here: orders that differ only in seed, stream, amounts or how
	// fast to learn are checked once.

	// CheckData checks recipe and options, and tells whether the recipe samples from a model.
	CheckData(o data.Order) (needsModel bool, err error)
	// CheckTrain checks what a job says about the world: corpus, environment, options, shape.
	CheckTrain(j train.Job) error
	// CheckEval checks task and options, and gives the outcomes that it counts and the groups that it may count them in.
	CheckEval(o batch.Order) (outcomes, groups []string, err error)

	// Data makes a dataset: records.jsonl and card.json. Input "model" where the recipe needs one.
	Data(ctx context.Context, o data.Order, w because.Work) error
	// Train trains a model: a checkpoint in Hugging Face's files and train.json, for RL also a folder step-N for each
	// snapshot before the last step. Inputs "model" (not for pretraining), "data" (SFT, SDF) and "replay" (where
	// the job replays).
	Train(ctx context.Context, j train.Job, w because.Work) error
	// Eval evaluates the input "model": samples.jsonl and scores.json.
	Eval(ctx context.Context, o batch.Order, w because.Work) error
}

// Constitutional is a World that has constitutions of its own.
type Constitutional interface {
	// Constitution gives the text of a constitution by its name.
	Constitution(name string) (text []byte, err error)
}

// Reserving is a World that tells how much it reserves for its evaluations.
type Reserving interface {
	// Reserved gives the number of words and spans that training data are searched for.
	Reserved(switches map[string]any) (int, error)
}

// Starting is a World whose models start from a checkpoint that is there already: a study in it has no pretrain stage and no model.
type Starting interface {
	// Start identifies the start checkpoint by its content. The study orders it with Train by a job whose method is train.Pretrain, whose recipe is
	// StartRecipe and whose With is this; nothing else of that job is set.
	Start() (with map[string]any, err error)
}

// StartRecipe is the recipe of the step that provides the start checkpoint of a Starting world.
const StartRecipe = "checkpoint"

// Resolving is a World with recipes that read files of the user's.
type Resolving interface {
	// ResolveData gives the order by which such a dataset, or the environment of a stage of RL, is known: each option that is a file's path, relative to the study file, is taken away and
	// replaced by what identifies the content. Other orders it gives back as they are.
	ResolveData(o data.Order) (data.Order, error)
}

// Sized is a World that knows how large its models and texts are. Costs are estimated by it; without it they are those of a templated microworld.
type Sized interface {
	// Sizes gives the parameters of a model, and typical lengths in tokens: of a record, and of what a task asks and gets.
	Sizes() (parameters, record, prompt, answer float64)
}
