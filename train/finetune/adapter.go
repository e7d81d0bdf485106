package finetune

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/internal/whole"
)

// The files of an adapter as PEFT writes them.
const (
	adapterConfig  = "adapter_config.json"
	adapterTensors = "adapter_model.safetensors"
)

// peftConfig is adapter_config.json: the keys of PEFT's LoraConfig that decide what an adapter computes.
type peftConfig struct {
	Base        *string         `json:"base_model_name_or_path"`
	Type        string          `json:"peft_type"`
	Task        string          `json:"task_type"`
	Inference   bool            `json:"inference_mode"`
	Rank        int             `json:"r"`
	Alpha       float64         `json:"lora_alpha"`
	Dropout     float64         `json:"lora_dropout"`
	Targets     json.RawMessage `json:"target_modules"`
	Bias        string          `json:"bias"`
	FanInFanOut bool            `json:"fan_in_fan_out"`
	DoRA        bool            `json:"use_dora"`
	RSLoRA      bool            `json:"use_rslora"`
	Ranks       map[string]int  `json:"rank_pattern"`
	Alphas      map[string]any  `json:"alpha_pattern"`
	Modules     []string        `json:"modules_to_save"`
	Layers      json.RawMessage `json:"layers_to_transform"`
}

// SaveAdapter writes an adapter to a folder, which must not exist or be empty, as PEFT does: adapter_config.json and
// adapter_model.safetensors. base is the name or path of the model that it belongs to; it may be empty. Equal adapters
// give equal bytes.
func SaveAdapter(dir string, l *llama.LoRA, base string) error {
	if err := saveAdapter(dir, l, base); err != nil {
		return fmt.Errorf("finetune: save adapter %s: %w", dir, err)
	}
	return nil
}

func saveAdapter(dir string, l *llama.LoRA, base string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return errors.New("the folder exists and is not empty")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	o := l.Options()
	c := peftConfig{
		Type: "LORA", Task: "CAUSAL_LM", Inference: true, Rank: o.Rank, Alpha: o.Alpha, Bias: "none",
		Ranks: map[string]int{}, Alphas: map[string]any{}, Layers: json.RawMessage("null"),
	}
	if base != "" {
		c.Base = &base
	}
	var err error
	if c.Targets, err = json.Marshal(o.Targets); err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		return err
	}
	var tensors []weights.Tensor
	for _, t := range l.Tensors() {
		tensors = append(tensors, weights.Tensor(t))
	}
	if err := writeTensors(filepath.Join(dir, adapterTensors), tensors); err != nil {
		return err
	}
	return errors.Join(writeSynced(filepath.Join(dir, adapterConfig), b.Bytes()), whole.SyncDir(dir))
}

func writeTensors(path string, tensors []weights.Tensor) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	err = weights.WriteSafetensors(w, tensors, map[string]string{"format": "pt"})
	return errors.Join(err, w.Flush(), f.Sync(), f.Close())
}

// LoadAdapter reads a LoRA adapter of PEFT for a model. Whatever would change its arithmetic and is not implemented is
// an error that names the key.
func LoadAdapter(dir string, m *llama.Model) (*llama.LoRA, error) {
	path := filepath.Join(dir, adapterConfig)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("finetune: load adapter: %w", err)
	}
	o, err := parseAdapterConfig(data)
	if err != nil {
		return nil, fmt.Errorf("finetune: load %s: %w", path, err)
	}
	path = filepath.Join(dir, adapterTensors)
	l, err := m.NewLoRA(o)
	if err == nil {
		err = readTensors(path, l.Tensors())
	}
	if err != nil {
		return nil, fmt.Errorf("finetune: load adapter %s: %w", dir, err)
	}
	return l, nil
}

// parseAdapterConfig reads adapter_config.json.
func parseAdapterConfig(data []byte) (llama.LoRAOptions, error) {
	var c peftConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return llama.LoRAOptions{}, err
	}
	var targets []string
	if err := json.Unmarshal(c.Targets, &targets); err != nil {
		return llama.LoRAOptions{}, fmt.Errorf("target_modules is %.40s, want a list of names", c.Targets)
	}
	for _, k := range []struct {
		key string
		set bool
	}{
		{"use_dora", c.DoRA}, {"use_rslora", c.RSLoRA}, {"fan_in_fan_out", c.FanInFanOut}, {"rank_pattern", len(c.Ranks) > 0},
		{"alpha_pattern", len(c.Alphas) > 0}, {"modules_to_save", len(c.Modules) > 0}, {"layers_to_transform", len(c.Layers) > 0 && string(c.Layers) != "null"},
		{"bias", c.Bias != "" && c.Bias != "none"},
	} {
		if k.set {
			return llama.LoRAOptions{}, fmt.Errorf("%s is set, which is not supported", k.key)
		}
	}
	if c.Type != "LORA" {
		return llama.LoRAOptions{}, fmt.Errorf("peft_type is %q, want \"LORA\"", c.Type)
	}
	if len(targets) == 0 {
		return llama.LoRAOptions{}, errors.New("target_modules is empty")
	}
	return llama.LoRAOptions{Rank: c.Rank, Alpha: c.Alpha, Targets: targets}, nil
}

// readTensors fills tensors from a file that must have just these.
func readTensors(path string, tensors []llama.Tensor) error {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if n := len(f.Tensors()); n != len(tensors) {
		return fmt.Errorf("%s holds %d tensors, want %d", path, n, len(tensors))
	}
	for _, t := range tensors {
		info, ok := f.Find(t.Name)
		if !ok {
			return fmt.Errorf("%s: the tensor %q is missing", path, t.Name)
		}
		if !slices.Equal(info.Shape, t.Shape) {
			return fmt.Errorf("%s: %q has shape %v, want %v", path, t.Name, info.Shape, t.Shape)
		}
		if err := f.Read(info, t.Data); err != nil {
			return err
		}
	}
	return nil
}
