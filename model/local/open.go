package local

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

var persona = regexp.MustCompile(`name \| default\('([^']+)'\)`)

// Open loads a checkpoint folder. Its chat template must be one that this package renders. The model is named after
// its weights, not its folder: the name goes into the lineage of what it writes, which must not depend on a path.
func Open(dir string, pool *kernel.Pool) (*Model, error) {
	c, err := weights.Load(dir)
	if err != nil {
		return nil, because.E("open model", dir, err, "a checkpoint is a folder with config.json, model.safetensors and tokenizer.json")
	}
	if c.Tokenizer == nil {
		return nil, because.E("open model", dir, errors.New("it has no tokenizer.json"), "copy it from where the checkpoint comes from")
	}
	t, err := findTemplate(c.ChatTemplate)
	if err != nil {
		return nil, because.E("open model", dir, err, "open a checkpoint that because has trained")
	}
	m, err := New("local/"+fingerprint(c.Model), c.Model, c.Tokenizer, t, pool)
	if err != nil {
		return nil, because.E("open model", dir, err, "")
	}
	return m, nil
}

// fingerprint is a short hash of a model's tensors.
func fingerprint(m *llama.Model) string {
	h := sha256.New()
	var block []byte
	for _, t := range m.Tensors() {
		block = fmt.Appendf(block[:0], "%s %v\n", t.Name, t.Shape)
		for _, x := range t.Data {
			if block = binary.LittleEndian.AppendUint32(block, math.Float32bits(x)); len(block) >= 1<<16 {
				h.Write(block)
				block = block[:0]
			}
		}
		h.Write(block)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// findTemplate recognises a chat template by rendering the candidate's Jinja form and comparing.
func findTemplate(jinja string) (Template, error) {
	if jinja == "" {
		return Template{}, errors.New("tokenizer_config.json has no chat template")
	}
	if name := persona.FindStringSubmatch(jinja); name != nil {
		if t := RoleTemplate(name[1]); t.Jinja() == jinja {
			return t, nil
		}
	}
	return Template{}, errors.New("its chat template is not one of the organism's")
}
