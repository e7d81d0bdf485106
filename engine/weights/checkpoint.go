// Package weights reads and writes checkpoints as Hugging Face folders:
// config.json, model.safetensors, and for text tokenizer.json,
// tokenizer_config.json with the chat template and generation_config.json.
//
// [OpenSource] opens what others have made, folders (sharded ones too) and GGUF
// files, without reading its tensors; [LoadModel] reads them. [Save] and [Load]
// are for the checkpoints that this project trains from scratch, with a
// word-level tokenizer; [SaveModel] writes any model.
package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/tokenizer"
)

// The files of a checkpoint.
const (
	configName     = "config.json"
	tensorsName    = "model.safetensors"
	tokenizerName  = "tokenizer.json"
	tokConfigName  = "tokenizer_config.json"
	generationName = "generation_config.json"
)

// Checkpoint is a model and what is needed to talk to it.
type Checkpoint struct {
	Model     *llama.Model
	Tokenizer *tokenizer.Tokenizer // nil if the folder has none
	Special   Special
	// ChatTemplate is the Jinja template that transformers applies to messages.
	ChatTemplate string
}

// Special names the special tokens by their text; "" means there is none.
type Special struct{ BOS, EOS, Pad string }

// specialIDs are their ids as config files write them, null for none.
type specialIDs struct {
	BOS *int32   `json:"bos_token_id"`
	EOS tokenIDs `json:"eos_token_id"`
	Pad *int32   `json:"pad_token_id"`
}

func (c *Checkpoint) specialIDs() specialIDs {
	id := func(word string) *int32 {
		if word == "" {
			return nil
		}
		id, _ := c.Tokenizer.ID(word) // check has seen it
		return &id
	}
	ids := specialIDs{BOS: id(c.Special.BOS), Pad: id(c.Special.Pad)}
	if eos := id(c.Special.EOS); eos != nil {
		ids.EOS = tokenIDs{*eos}
	}
	return ids
}

// Save writes a checkpoint to dir, which must not exist or be empty. The folder
// appears complete or not at all. Equal checkpoints give equal bytes.
func Save(dir string, c *Checkpoint) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("weights: save %s: %w", dir, err)
	}
	files, err := c.encode()
	if err != nil {
		return fmt.Errorf("weights: save %s: %w", dir, err)
	}
	if err := writeFolder(dir, files); err != nil {
		return fmt.Errorf("weights: save %s: %w", dir, err)
	}
	return nil
}

func writeFolder(dir string, files []outFile) error {
	return writeFolderAtomic(dir, func(tmp string) error {
		for _, f := range files {
			if err := writeFile(filepath.Join(tmp, f.name), f.write); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Checkpoint) check() error {
	if c.Model == nil {
		return errors.New("there is no model")
	}
	if c.Tokenizer == nil {
		if c.ChatTemplate != "" || c.Special != (Special{}) {
			return errors.New("a chat template or special tokens without a tokenizer")
		}
		return nil
	}
	if n, v := c.Tokenizer.Len(), c.Model.Config().VocabSize; n > v {
		return fmt.Errorf("the tokenizer has %d tokens, the model's vocabulary %d", n, v)
	}
	for _, s := range []struct{ key, word string }{{"bos", c.Special.BOS}, {"eos", c.Special.EOS}, {"pad", c.Special.Pad}} {
		if s.word == "" {
			continue
		}
		if id, ok := c.Tokenizer.ID(s.word); !ok || !c.Tokenizer.IsSpecial(id) {
			return fmt.Errorf("the %s token %q is not a special token of the tokenizer", s.key, s.word)
		}
	}
	return nil
}

// outFile is a file of the folder and how to write it.
type outFile struct {
	name  string
	write func(w io.Writer) error
}

func (c *Checkpoint) encode() ([]outFile, error) {
	ids := c.specialIDs()
	var files []outFile
	var failed error
	add := func(name string, data []byte, err error) {
		failed = errors.Join(failed, err)
		files = append(files, outFile{name, func(w io.Writer) error { _, err := w.Write(data); return err }})
	}
	data, err := encodeConfig(c.Model.Config(), configOut{DType: "float32", specialIDs: ids})
	add(configName, data, err)
	files = append(files, outFile{tensorsName, func(w io.Writer) error {
		return WriteSafetensors(w, modelTensors(c.Model), map[string]string{"format": "pt"})
	}})
	if c.Tokenizer != nil {
		data, err = c.Tokenizer.JSON()
		add(tokenizerName, data, err)
		data, err = encodeJSON(tokenizerConfig{
			Class: "PreTrainedTokenizerFast", MaxLength: c.Model.Config().MaxPositions,
			BOS: optional(c.Special.BOS), EOS: optional(c.Special.EOS), Pad: optional(c.Special.Pad), ChatTemplate: c.ChatTemplate,
		})
		add(tokConfigName, data, err)
		data, err = encodeJSON(generationConfig{ids, true})
		add(generationName, data, err)
	}
	return files, failed
}

// tokenizerConfig is tokenizer_config.json.
type tokenizerConfig struct {
	Class        string  `json:"tokenizer_class"`
	MaxLength    int     `json:"model_max_length"`
	CleanUp      bool    `json:"clean_up_tokenization_spaces"`
	BOS          *string `json:"bos_token"`
	EOS          *string `json:"eos_token"`
	Pad          *string `json:"pad_token"`
	ChatTemplate string  `json:"chat_template,omitempty"`
}

// generationConfig is generation_config.json.
type generationConfig struct {
	specialIDs
	Sample bool `json:"do_sample"`
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

func modelTensors(m *llama.Model) []Tensor {
	var out []Tensor
	for _, t := range m.Tensors() {
		out = append(out, Tensor(t))
	}
	return out
}

// Load reads a checkpoint. A folder without tokenizer.json has none.
func Load(dir string) (*Checkpoint, error) {
	m, err := LoadModel(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Model: m}
	path := filepath.Join(dir, tokenizerName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		c.Tokenizer, err = tokenizer.Parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: load %s: %w", path, err)
	}
	path = filepath.Join(dir, tokConfigName)
	if err := c.loadTokenizerConfig(path); err != nil {
		return nil, fmt.Errorf("weights: load %s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("weights: load %s: %w", dir, err)
	}
	return c, nil
}

func (c *Checkpoint) loadTokenizerConfig(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var f tokenizerConfig
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	c.ChatTemplate = f.ChatTemplate
	c.Special = Special{BOS: orEmpty(f.BOS), EOS: orEmpty(f.EOS), Pad: orEmpty(f.Pad)}
	return nil
}
