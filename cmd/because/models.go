package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because/internal/hub"
	"github.com/because-lab/because/study"
)

const modelHelp = "`model`: local:PATH or a path (a Hugging Face folder, a GGUF file, or a checkpoint of a study), or hf:OWNER/NAME to download (required)"

// modelPath finds the checkpoint that a --model names, and downloads it where it has to.
func (a *app) modelPath(ctx context.Context, name string) (string, error) {
	if repo, ok := strings.CutPrefix(name, "hf:"); ok {
		return a.download(ctx, repo)
	}
	return study.Checkpoint(strings.TrimPrefix(name, "local:"))
}

// download brings a repository of the Hugging Face hub into its cache, and shows how far it is.
func (a *app) download(ctx context.Context, repo string) (string, error) {
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("download " + repo)
	path, err := hub.Download(ctx, repo, hub.Options{Progress: report})
	done(err)
	return path, err
}

// isOrganism tells a checkpoint of the built-in organism, whose tokens are words, from one of real size.
func isOrganism(path string) bool {
	text, err := os.ReadFile(filepath.Join(path, "tokenizer.json"))
	if err != nil {
		return false
	}
	var file struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	return json.Unmarshal(text, &file) == nil && file.Model.Type == "WordLevel"
}
