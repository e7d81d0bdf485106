package sizing

import (
	_ "embed" // the tables
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

//go:embed known.yaml
var knownYAML []byte

//go:embed gpus.yaml
var gpusYAML []byte

// knownModels reads known.yaml once. The file is part of the program: an error in it is one in the program.
var knownModels = sync.OnceValue(func() map[string]Config {
	var f struct {
		Models map[string]Config `yaml:"models"`
	}
	if err := input.YAML("read models", "known.yaml", knownYAML, &f); err != nil {
		panic(err)
	}
	for name, c := range f.Models {
		c = c.withDefaults()
		if err := c.Validate(); err != nil {
			panic(fmt.Sprintf("known.yaml: %s: %v", name, err))
		}
		f.Models[name] = c
	}
	return f.Models
})

// KnownNames lists the models that Known knows, sorted.
func KnownNames() []string { return slices.Sorted(maps.Keys(knownModels())) }

// Known gives the sizes of a well-known checkpoint by its name on the Hugging Face hub, such as Qwen/Qwen3-8B. The owner may be left
// out, case does not matter, and neither does an ending -Instruct, -Base or -it, which changes no size.
func Known(name string) (Config, bool) {
	want := plain(name)
	for full, c := range knownModels() {
		full = plain(full)
		if _, short, _ := strings.Cut(full, "/"); want == full || want == short {
			return c, true
		}
	}
	return Config{}, false
}

func plain(name string) string {
	name = strings.ToLower(name)
	for _, end := range []string{"-instruct", "-base", "-it"} {
		name = strings.TrimSuffix(name, end)
	}
	return name
}

// GPU is what a plan takes an accelerator to be.
type GPU struct {
	Name       string  `json:"name" yaml:"-"`
	MemoryGiB  float64 `json:"memory_gib" yaml:"memory_gib"`
	BF16TFLOPS float64 `json:"bf16_tflops" yaml:"bf16_tflops"` // dense peak
	FP32TFLOPS float64 `json:"fp32_tflops" yaml:"fp32_tflops"`
	USDHour    float64 `json:"usd_hour" yaml:"usd_hour"` // an estimate, see GPUs.Note
}

// GPUs is a table of accelerators.
type GPUs struct {
	AsOf string         `json:"as_of" yaml:"as_of"` // when its prices were estimated
	Note string         `json:"note" yaml:"note"`
	GPUs map[string]GPU `json:"gpus" yaml:"gpus"`
}

// ShippedGPUs is the table of gpus.yaml in this package. Its prices are estimates that users should replace by their own.
func ShippedGPUs() GPUs { return shippedGPUs() }

var shippedGPUs = sync.OnceValue(func() GPUs {
	t, err := ReadGPUs("gpus.yaml", gpusYAML)
	if err != nil {
		panic(err)
	}
	return t
})

// ReadGPUs reads a table in the format of gpus.yaml; file names it in errors.
func ReadGPUs(file string, text []byte) (GPUs, error) {
	var t GPUs
	if err := input.YAML("read GPUs", file, text, &t); err != nil {
		return GPUs{}, err
	}
	for name, g := range t.GPUs {
		if !(g.MemoryGiB > 0 && g.BF16TFLOPS > 0 && g.FP32TFLOPS > 0 && g.USDHour >= 0) || g.MemoryGiB+g.BF16TFLOPS+g.FP32TFLOPS+g.USDHour > 1e9 {
			return GPUs{}, because.E("read GPUs", file+": "+name, fmt.Errorf("%+v is no accelerator", g), "memory_gib, bf16_tflops and fp32_tflops are positive, usd_hour is not negative")
		}
		g.Name = name
		t.GPUs[name] = g
	}
	if len(t.GPUs) == 0 {
		return GPUs{}, because.E("read GPUs", file, fmt.Errorf("it has no gpus"), "")
	}
	return t, nil
}

// Find gives an accelerator by name; case does not matter.
func (t GPUs) Find(name string) (GPU, error) {
	names := slices.Sorted(maps.Keys(t.GPUs))
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return t.GPUs[n], nil
		}
	}
	return GPU{}, because.E("plan", name, fmt.Errorf("unknown GPU"), "there are "+strings.Join(names, ", "))
}
