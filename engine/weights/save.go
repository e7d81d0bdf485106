package weights

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/because-lab/because/engine/llama"
)

// SaveOptions says how [SaveModel] writes a checkpoint.
type SaveOptions struct {
	BF16 bool // round the tensors to bfloat16; float32 otherwise
	// The special tokens of config.json; nil and empty: null.
	BOS, Pad *int32
	EOS      []int32
	// Files are written beside the model, by name: tokenizer.json,
	// tokenizer_config.json, generation_config.json, chat_template.jinja.
	Files map[string][]byte
}

// SaveModel writes a model with the files given as a Hugging Face folder, which
// must not exist or be empty. The architecture is Llama's, Qwen2's where the
// model has biases, or Qwen3's where it norms queries and keys. The folder
// appears complete or not at all; equal models give equal bytes.
func SaveModel(dir string, m *llama.Model, o SaveOptions) error {
	files, err := o.files(m)
	if err != nil {
		return fmt.Errorf("weights: save %s: %w", dir, err)
	}
	if err := writeFolder(dir, files); err != nil {
		return fmt.Errorf("weights: save %s: %w", dir, err)
	}
	return nil
}

func (o *SaveOptions) files(m *llama.Model) ([]outFile, error) {
	dtype, write := "float32", WriteSafetensors
	if o.BF16 {
		dtype, write = "bfloat16", WriteSafetensorsBF16
	}
	config, err := encodeConfig(m.Config(), configOut{DType: dtype, specialIDs: specialIDs{o.BOS, o.EOS, o.Pad}})
	if err != nil {
		return nil, err
	}
	files := []outFile{
		{configName, func(w io.Writer) error { _, err := w.Write(config); return err }},
		{tensorsName, func(w io.Writer) error { return write(w, modelTensors(m), map[string]string{"format": "pt"}) }},
	}
	for name, data := range o.Files {
		if name == configName || name == tensorsName || name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("a file cannot be named %q", name)
		}
		files = append(files, outFile{name, func(w io.Writer) error { _, err := w.Write(data); return err }})
	}
	return files, nil
}
