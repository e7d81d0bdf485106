package weights

import (
	"fmt"
	"io"
	"strconv"

	"github.com/because-lab/because/engine/optim"
)

// SaveOptimizer writes the state of an optimiser to a safetensors file,
// replacing it as a whole.
func SaveOptimizer(path string, s optim.State) error {
	err := writeFileAtomic(path, func(w io.Writer) error {
		return WriteSafetensors(w, []Tensor{{"m", []int{len(s.M)}, s.M}, {"v", []int{len(s.V)}, s.V}},
			map[string]string{"optimizer": "adamw", "step": strconv.Itoa(s.Step)})
	})
	if err != nil {
		return fmt.Errorf("weights: save %s: %w", path, err)
	}
	return nil
}

// LoadOptimizer reads what [SaveOptimizer] wrote.
func LoadOptimizer(path string) (optim.State, error) {
	f, err := Open(path)
	if err != nil {
		return optim.State{}, err
	}
	defer f.Close()
	var s optim.State
	if f.metadata["optimizer"] != "adamw" {
		return optim.State{}, fmt.Errorf("weights: load %s: optimizer is %q, want \"adamw\"", path, f.metadata["optimizer"])
	}
	if s.Step, err = strconv.Atoi(f.metadata["step"]); err != nil || s.Step < 0 {
		return optim.State{}, fmt.Errorf("weights: load %s: step is %q, want a number", path, f.metadata["step"])
	}
	for _, x := range []struct {
		name string
		to   *[]float32
	}{{"m", &s.M}, {"v", &s.V}} {
		info, ok := f.Find(x.name)
		if !ok {
			return optim.State{}, fmt.Errorf("weights: load %s: the tensor %q is missing", path, x.name)
		}
		*x.to = make([]float32, info.Len())
		if err := f.Read(info, *x.to); err != nil {
			return optim.State{}, err
		}
	}
	return s, nil
}
