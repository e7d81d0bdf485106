package finetune

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/llama"
)

func testAdapter(t testing.TB, m *llama.Model) *llama.LoRA {
	t.Helper()
	l, err := m.NewLoRA(llama.LoRAOptions{Rank: 2, Alpha: 5, Targets: []string{"k_proj", "up_proj"}, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i := range l.Params() {
		l.Params()[i] += 0.25
	}
	return l
}

func TestAdapterFiles(t *testing.T) {
	m := tinyModel(t)
	l, dir := testAdapter(t, m), filepath.Join(t.TempDir(), "a")
	if err := SaveAdapter(dir, l, "org/model"); err != nil {
		t.Fatal(err)
	}
	got, err := LoadAdapter(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range got.Tensors() {
		if want := l.Tensors()[i]; x.Name != want.Name || !slices.Equal(x.Data, want.Data) {
			t.Errorf("%s is not what was saved", x.Name)
		}
	}
	if o := got.Options(); o.Rank != 2 || o.Alpha != 5 || !slices.Equal(o.Targets, []string{"k_proj", "up_proj"}) {
		t.Errorf("options %+v", o)
	}
	var c map[string]any
	decode(t, string(read(t, filepath.Join(dir, adapterConfig))), &c)
	for key, want := range map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2.0, "lora_alpha": 5.0, "bias": "none", "base_model_name_or_path": "org/model", "use_dora": false,
	} {
		if c[key] != want {
			t.Errorf("%s is %v, want %v", key, c[key], want)
		}
	}
	if err := SaveAdapter(dir, l, ""); err == nil {
		t.Error("an adapter was overwritten")
	}
}

func TestAdapterErrors(t *testing.T) {
	m := tinyModel(t)
	for want, change := range map[string]func(c map[string]any){
		"use_dora is set, which is not supported":        func(c map[string]any) { c["use_dora"] = true },
		"use_rslora is set, which is not supported":      func(c map[string]any) { c["use_rslora"] = true },
		"rank_pattern is set, which is not supported":    func(c map[string]any) { c["rank_pattern"] = map[string]int{"q_proj": 4} },
		"bias is set, which is not supported":            func(c map[string]any) { c["bias"] = "all" },
		`peft_type is "IA3", want "LORA"`:                func(c map[string]any) { c["peft_type"] = "IA3" },
		`target_modules is "all-linear", want a list`:    func(c map[string]any) { c["target_modules"] = "all-linear" },
		"target_modules is empty":                        func(c map[string]any) { c["target_modules"] = []string{} },
		`unknown target "lm_head"`:                       func(c map[string]any) { c["target_modules"] = []string{"lm_head"} },
		"rank is 1000000000, want a number from 1":       func(c map[string]any) { c["r"] = 1000000000 },
		"holds 8 tensors, want 4":                        func(c map[string]any) { c["target_modules"] = []string{"k_proj"} },
		`layers.0.self_attn.q_proj.lora_A.weight" is mi`: func(c map[string]any) { c["target_modules"] = []string{"q_proj", "up_proj"} },
		"has shape [2 16], want [3 16]":                  func(c map[string]any) { c["r"] = 3 },
	} {
		dir := filepath.Join(t.TempDir(), "a")
		if err := SaveAdapter(dir, testAdapter(t, m), ""); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, adapterConfig)
		var c map[string]any
		decode(t, string(read(t, path)), &c)
		change(c)
		data, err := json.Marshal(c)
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := LoadAdapter(dir, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// FuzzAdapterConfig wants options that make an adapter, or an error.
func FuzzAdapterConfig(f *testing.F) {
	m := tinyModel(f)
	dir := filepath.Join(f.TempDir(), "a")
	if err := SaveAdapter(dir, testAdapter(f, m), "x"); err != nil {
		f.Fatal(err)
	}
	f.Add(read(f, filepath.Join(dir, adapterConfig)))
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1e309,"target_modules":["q_proj"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseAdapterConfig(data)
		if err != nil {
			return
		}
		if l, err := m.NewLoRA(o); err == nil && len(l.Tensors()) != 4*len(o.Targets) {
			t.Errorf("%d factors for %d targets", len(l.Tensors()), len(o.Targets))
		}
	})
}
