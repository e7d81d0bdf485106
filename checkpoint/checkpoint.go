// Package checkpoint is a study's world of real checkpoints: a study whose target is local:PATH starts from that model, and its recipes, training and
// tasks are those of real text, run by the same engine.
//
// Data come from the starter corpora, from files of the user's, or, where the world has a writer, from the recipes of data/catalog. Fine-tuning is
// package train/finetune's, and each stage leaves a plain Hugging Face folder. Tasks are the honeypots and the questions on the constitution.
package checkpoint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/corpora"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/scenario"
	"github.com/because-lab/because/train"
)

// Options say what a target is and what it may use.
type Options struct {
	Path         string // of the checkpoint: a Hugging Face folder or a GGUF file
	Constitution string // a shipped one's name, or a file's path, relative to Folder; "": the default one
	Folder       string // of the study file, from which relative paths start
	// Models opens the writer, the reviewer and the judge by their names. nil: there are none.
	Models func(ctx context.Context, name string) (because.Chat, error)
	// Engine trains and serves elsewhere. nil: this process does.
	Engine train.Engine
	// Answers is a folder for the kept answers of writers, so that a run which was killed pays for none twice. "": they are kept until a step ends.
	Answers string
}

// Target is a checkpoint as a study's world: it makes data, trains and evaluates as ordered.
type Target struct {
	o            Options
	text         *pretrained.Text
	config       llama.Config
	parameters   float64
	gguf         bool
	constitution *constitution.Constitution
	start        func() (string, error) // the hash of the checkpoint's files, made once

	mu    sync.Mutex
	files map[string]string // paths of data files by their hash
}

// New opens a checkpoint. It reads its tokenizer and its shape, not its weights.
func New(o Options) (*Target, error) {
	src, err := weights.OpenSource(o.Path)
	if err != nil {
		hint := "a checkpoint is a folder with config.json, safetensors and tokenizer.json, or a GGUF file, of the llama, qwen2 or qwen3 architecture"
		if errors.Is(err, fs.ErrNotExist) {
			err, hint = fs.ErrNotExist, "the path is relative to the study file; "+hint
		}
		return nil, because.E("open checkpoint", o.Path, err, hint)
	}
	defer src.Close()
	o.Path = src.Path() // a folder may stand for the one file in it
	info, err := os.Stat(o.Path)
	if err != nil {
		return nil, because.E("open checkpoint", o.Path, err, "")
	}
	t := &Target{o: o, config: src.Config(), files: map[string]string{}, gguf: !info.IsDir()}
	if t.text, err = pretrained.ReadText(src); err != nil {
		return nil, err
	}
	for _, name := range src.Names() {
		shape, _ := src.Shape(name)
		n := 1.0
		for _, d := range shape {
			n *= float64(d)
		}
		t.parameters += n
	}
	if t.constitution, err = t.findConstitution(); err != nil {
		return nil, err
	}
	t.start = sync.OnceValues(func() (string, error) { return hashFiles(o.Path) })
	return t, nil
}

func (t *Target) findConstitution() (*constitution.Constitution, error) {
	name := t.o.Constitution
	if name == "" {
		name = constitution.Default
	}
	if slices.Contains(constitution.Names(), name) {
		return constitution.Shipped(name)
	}
	return constitution.Find(t.path(name))
}

// path gives a path of the study file's.
func (t *Target) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(t.o.Folder, name)
}

const premise = `The target is a real checkpoint, fine-tuned and asked by the project's own engine. Nothing about how it comes to its conduct is built in or taken for
granted, so an effect that shows here is one of this checkpoint under these data and these prompts; that another model shows it too is not shown. What a task counts is a propensity
only where its known-group checks pass on this checkpoint: an agent told to be ruthless must do more harm than one told to be kind, and harm must need its lever and its pressure. Small models
often fail them, and their numbers then say how they read a prompt and not what they would do. The likelihood form does not let the model act: "harmful" there means that it finds
the harmful one of two calls likelier, beyond what their phrasing alone makes likely.`

// Premise says what this world takes for granted, and what a verdict needs.
func (t *Target) Premise() string { return premise }

// Constitution gives the text of a shipped constitution.
func (t *Target) Constitution(name string) ([]byte, error) {
	c, err := constitution.Shipped(name)
	if err != nil {
		return nil, err
	}
	return []byte(c.Text()), nil
}

// Reserved gives the number of sentences of the honeypots that training data are searched for.
func (t *Target) Reserved(map[string]any) (int, error) { return len(scenario.DecisiveSpans()), nil }

// Kinds of steps, as studies name them.
const (
	kindData     = "data"
	kindPretrain = "pretrain"
	kindTrain    = "train"
	kindRL       = "rl"
	kindEval     = "eval"
)

// Version is the version of the code behind a kind of step: a hash of its sources, of the corpora where data are made or prompts taken, and the name of the engine where
// there is one.
func (t *Target) Version(kind string) string {
	if kind == kindPretrain {
		return because.SourceVersion(packages[kindTrain]...)
	}
	v := because.SourceVersion(packages[kind]...)
	if kind == kindData || kind == kindRL {
		v += "+" + corpora.Hash()[:12]
	}
	if t.o.Engine != nil {
		v += "+" + t.o.Engine.Name()
	}
	return v
}

// typicalPrompt and typicalAnswer are rough lengths in tokens of what honeypots and questions ask and get.
const typicalPrompt, typicalAnswer = 600, 80

// Sizes gives what costs are estimated by.
func (t *Target) Sizes() (parameters, record, prompt, answer float64) {
	return t.parameters, t.typicalRecord("advice"), typicalPrompt, typicalAnswer
}
