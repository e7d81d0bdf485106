package local

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/weights"
)

var persona = regexp.MustCompile(`name \| default\('([^']+)'\)`)

// Open loads a checkpoint folder. Its chat template must be one that this package renders.
func Open(dir string, pool *kernel.Pool) (*Model, error) {
	c, err := weights.Load(dir)
	if err != nil {
		return nil, because.E("open model", dir, err, "a checkpoint is a folder with config.json, model.safetensors and tokenizer.json")
	}
	if c.Tokenizer == nil {
		return nil, because.E("open model", dir, fmt.Errorf("it has no tokenizer.json"), "")
	}
	t, err := findTemplate(c.ChatTemplate)
	if err != nil {
		return nil, because.E("open model", dir, err, "")
	}
	return New(filepath.Base(dir), c.Model, c.Tokenizer, t, pool)
}

// findTemplate recognises a chat template by rendering the candidate's Jinja form and comparing.
func findTemplate(jinja string) (Template, error) {
	if name := persona.FindStringSubmatch(jinja); name != nil {
		if t := RoleTemplate(name[1]); t.Jinja() == jinja {
			return t, nil
		}
	}
	return Template{}, fmt.Errorf("its chat template is not one of the organism's")
}
