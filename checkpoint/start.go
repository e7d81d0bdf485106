package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/train"
)

// startRecipe is the recipe of the step that provides the start checkpoint.
const startRecipe = "checkpoint"

// Keys of what identifies a checkpoint and a file of data.
const (
	hashKey   = "sha256"
	formatKey = "format"
)

// Start identifies the checkpoint by its files' names and contents. The name of a GGUF file is not among that.
func (t *Target) Start() (map[string]any, error) {
	hash, err := t.start()
	if err != nil {
		return nil, err
	}
	format := "safetensors"
	if t.gguf {
		format = "gguf"
	}
	return map[string]any{hashKey: hash, formatKey: format}, nil
}

// own tells the files of a Hugging Face folder that make a checkpoint from others that may lie beside them.
func own(name string) bool {
	named := []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"}
	return slices.Contains(named, name) || strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json")
}

// checkpointFiles lists the files of a checkpoint, sorted.
func checkpointFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if own(e.Name()) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

// hashFiles gives the hash of a checkpoint's files.
func hashFiles(path string) (string, error) {
	return eachFile(path, func(_ string, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// eachFile passes each file of a checkpoint to a function that reads all of it, and gives the hash of names and contents.
func eachFile(path string, use func(name string, r io.Reader) error) (string, error) {
	files, err := checkpointFiles(path)
	if err != nil {
		return "", because.E("read checkpoint", path, err, "")
	}
	all := sha256.New()
	for _, file := range files {
		name := filepath.Base(file)
		if filepath.Ext(name) == ".gguf" {
			name = "model.gguf"
		}
		f, err := os.Open(file)
		if err != nil {
			return "", because.E("read checkpoint", file, err, "")
		}
		h := sha256.New()
		err = errors.Join(use(name, io.TeeReader(f, h)), f.Close())
		if err != nil {
			return "", because.E("read checkpoint", file, err, "")
		}
		fmt.Fprintf(all, "%s\x00%x\n", name, h.Sum(nil))
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

var errChanged = errors.New("it is another than when the study was opened")

// provide puts the start checkpoint into a step's folder: a Hugging Face folder's own files as they are, a GGUF file as such a folder in float32.
func (t *Target) provide(ctx context.Context, j train.Job, w because.Work) error {
	want := j.With[hashKey]
	hash := ""
	var err error
	if t.gguf {
		hash, err = hashFiles(t.o.Path)
	} else {
		hash, err = eachFile(t.o.Path, func(name string, r io.Reader) error {
			w.Report(0, 1, "checkpoint", name)
			return errors.Join(copyTo(filepath.Join(w.Out, name), r), ctx.Err())
		})
	}
	if err != nil {
		return err
	}
	if hash != want {
		return because.E("copy checkpoint", t.o.Path, errChanged, "start the study again")
	}
	if t.gguf {
		m, err := pretrained.OpenTrainable(t.o.Path)
		if err != nil {
			return err
		}
		if err := lifted(w.Out, func(dir string) error { return weights.SaveModel(dir, m.Model, m.Save) }); err != nil {
			return because.E("copy checkpoint", t.o.Path, err, "")
		}
	}
	w.Report(1, 1, "checkpoint", "")
	return writeRun(w.Out, train.Run{Method: train.Pretrain})
}

// lifted lets a function fill a folder within a step's, and moves what is in it up.
func lifted(out string, fill func(dir string) error) error {
	dir := filepath.Join(out, ".model")
	if err := fill(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(out, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

func copyTo(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// writeRun writes what a training run says of itself.
func writeRun(dir string, run train.Run) error {
	if run.Loss == nil {
		run.Loss = []float64{}
	}
	if run.Rewards == nil {
		run.Rewards = []float64{}
	}
	return data.WriteJSON(filepath.Join(dir, "train.json"), run)
}
