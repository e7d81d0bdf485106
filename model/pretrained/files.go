package pretrained

import (
	"encoding/json"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

// Trainable is a checkpoint in float32, to be trained and saved again.
type Trainable struct {
	Text  *Text
	Model *llama.Model
	Save  weights.SaveOptions // the files and special tokens that a saved model takes over
}

// OpenTrainable reads a Hugging Face folder or a GGUF file into memory.
func OpenTrainable(path string) (*Trainable, error) {
	src, err := weights.OpenSource(path)
	if err != nil {
		return nil, because.E("open model", path, err,
			"a checkpoint is a folder with config.json, safetensors and tokenizer.json, or a GGUF file, of the llama, qwen2 or qwen3 architecture")
	}
	defer src.Close()
	t := &Trainable{}
	if t.Text, err = ReadText(src); err != nil {
		return nil, err
	}
	if t.Save, err = t.Text.saved(src); err != nil {
		return nil, because.E("open model", path, err, "")
	}
	if t.Model, err = weights.LoadModel(path); err != nil {
		return nil, because.E("open model", path, err, "")
	}
	return t, nil
}

// saved gives what is written beside the tensors: a folder's own files, or, for a GGUF file, files of the same meaning.
func (t *Text) saved(src *weights.Source) (weights.SaveOptions, error) {
	files, err := src.Text()
	if err != nil {
		return weights.SaveOptions{}, err
	}
	o := weights.SaveOptions{EOS: t.end, BOS: t.id(files.BOS), Pad: t.id(files.PAD), Files: map[string][]byte{
		"tokenizer.json": files.TokenizerJSON, "tokenizer_config.json": files.TokenizerConfig, "generation_config.json": files.GenerationConfig}}
	if files.GGUF != nil {
		if o.Files["tokenizer.json"], err = t.tok.JSON(); err != nil {
			return o, err
		}
		if o.Files["tokenizer_config.json"], err = tokenizerConfig(files, src.Config().MaxPositions); err != nil {
			return o, err
		}
	} else if files.ChatTemplate != "" {
		o.Files["chat_template.jinja"] = []byte(files.ChatTemplate)
	}
	for name, data := range o.Files {
		if data == nil {
			delete(o.Files, name)
		}
	}
	return o, nil
}

// id gives the id of a special token, nil where there is none.
func (t *Text) id(token string) *int32 {
	if id, ok := t.tok.ID(token); ok && token != "" {
		return &id
	}
	return nil
}

// tokenizerConfig writes tokenizer_config.json for the tokenizer of a GGUF file.
func tokenizerConfig(files *weights.Text, longest int) ([]byte, error) {
	config := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false, "model_max_length": longest}
	for key, token := range map[string]string{"bos_token": files.BOS, "eos_token": files.EOS, "unk_token": files.UNK, "pad_token": files.PAD,
		"chat_template": files.ChatTemplate} {
		if token != "" {
			config[key] = token
		}
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write tokenizer_config.json: %w", err)
	}
	return append(data, '\n'), nil
}
