package study

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/train"
)

// runFile is what a training run says of itself, beside the checkpoint.
const runFile = "train.json"

// readCard reads a dataset's card.
func readCard(dir string) (data.Card, error) {
	var c data.Card
	return c, readJSON("read dataset", filepath.Join(dir, data.CardFile), &c)
}

// readRun reads what a training run says of itself.
func readRun(dir string) (train.Run, error) {
	var r train.Run
	return r, readJSON("read training run", filepath.Join(dir, runFile), &r)
}

func readJSON(op, path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return because.E(op, path, err, "")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return because.E(op, path, err, "")
	}
	return nil
}
