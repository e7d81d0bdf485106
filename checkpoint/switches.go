package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/train/finetune"
)

// Switches are what a study sets of a world. All are identity: another writer gives other data.
type Switches struct {
	Writer   string `yaml:"writer"`   // model that writes data; "": the starter corpora are taken
	Reviewer string `yaml:"reviewer"` // model that reviews what was written; "": the writer
	Judge    string `yaml:"judge"`    // model that grades data and answers; for data "" means the reviewer, or the writer
	Persona  string `yaml:"persona"`  // name that an agent carries; "": the constitution's

	LoRA    int      `yaml:"lora"`    // rank of a low-rank adapter, which is merged at the end of a stage; 0: all parameters are trained
	Alpha   float64  `yaml:"alpha"`   // its scale; 0: twice the rank
	Targets []string `yaml:"targets"` // projections that it adapts; none: all
	SeqLen  int      `yaml:"seq_len"` // longest row in tokens; 0: 4096, or what the model takes if that is less
	Long    string   `yaml:"long"`    // what becomes of longer ones: error, cut or split; "": conversations are an error, documents are split
	DType   string   `yaml:"dtype"`   // of the models that are written: float32 or bfloat16

	Precision string `yaml:"precision"` // how weights are kept when a model answers: bf16 or f32
}

func defaultSwitches() Switches { return Switches{DType: float32Type, Precision: string(infer.BF16)} }

// The types of written models.
const (
	float32Type  = "float32"
	bfloat16Type = "bfloat16"
)

// defaultSeqLen bounds rows where a study doesn't.
const defaultSeqLen = 4096

// seqLen is the longest row in tokens.
func (t *Target) seqLen(s Switches) int {
	if s.SeqLen == 0 {
		return min(defaultSeqLen, t.config.MaxPositions)
	}
	return s.SeqLen
}

// CheckWorld checks the switches of a world.
func (t *Target) CheckWorld(given map[string]any) error {
	_, err := t.switches(given)
	return err
}

// switches reads the switches of a world over the defaults.
func (t *Target) switches(given map[string]any) (Switches, error) {
	s := defaultSwitches()
	if err := readOptions("the world of a checkpoint", given, &s); err != nil {
		return s, err
	}
	bad := func(key, hint, format string, args ...any) (Switches, error) {
		return s, because.E("read switches", key, fmt.Errorf(format, args...), hint)
	}
	switch {
	case s.Writer == "" && s.Reviewer != "":
		return bad("reviewer", "name a writer too", "there is no writer whose texts could be reviewed")
	case s.LoRA < 0:
		return bad("lora", "0 trains all parameters", "%d is no rank", s.LoRA)
	case s.LoRA == 0 && s.Alpha != 0:
		return bad("alpha", "give its rank: lora: 16", "there is no adapter that it could scale")
	case s.LoRA == 0 && len(s.Targets) > 0:
		return bad("targets", "give its rank: lora: 16", "there is no adapter")
	case !(s.Alpha >= 0) || s.Alpha > 1e6:
		return bad("alpha", "", "%v is no scale", s.Alpha)
	case s.SeqLen != 0 && (s.SeqLen < 2 || s.SeqLen > t.config.MaxPositions):
		return bad("seq_len", "", "is %d; the model takes 2 to %d tokens", s.SeqLen, t.config.MaxPositions)
	}
	if t.o.Engine != nil && (s.Alpha != 0 || len(s.Targets) > 0 || s.DType != float32Type) {
		return bad("lora", "remove them", "alpha, targets and dtype are the engine's own where one trains")
	}
	for _, target := range s.Targets {
		if !slices.Contains(llama.LoRATargets(), target) {
			return bad("targets", input.DidYouMean(target, llama.LoRATargets()), "no projection is named %q", target)
		}
	}
	for _, x := range []struct {
		key, value string
		known      []string
	}{
		{"long", s.Long, []string{"", string(finetune.LongError), string(finetune.LongCut), string(finetune.LongSplit)}},
		{"dtype", s.DType, []string{float32Type, bfloat16Type}},
		{"precision", s.Precision, []string{string(infer.BF16), string(infer.F32)}},
	} {
		if !slices.Contains(x.known, x.value) {
			known := slices.DeleteFunc(x.known, func(word string) bool { return word == "" })
			return bad(x.key, "use "+strings.Join(known, " or "), "no %s is named %q", x.key, x.value)
		}
	}
	for key, name := range map[string]string{"writer": s.Writer, "reviewer": s.Reviewer, "judge": s.Judge} {
		if name != "" && t.o.Models == nil {
			return bad(key, "", "%s", errNoModels)
		}
	}
	return s, nil
}

var errNoModels = errors.New("nothing here opens other models than the target")

// readOptions sets the fields of a struct from options by their yaml keys, strictly. The subject of an error is the key.
func readOptions(what string, given map[string]any, into any) error {
	fields := map[string]reflect.Value{}
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("yaml")] = v.Field(i)
	}
	known := slices.Sorted(maps.Keys(fields))
	for _, key := range slices.Sorted(maps.Keys(given)) {
		field, ok := fields[key]
		if !ok {
			hint := what + " has no options"
			if len(known) > 0 {
				hint = input.DidYouMean(key, known)
			}
			return because.E("read option", key, fmt.Errorf("unknown to %s", what), hint)
		}
		text, err := yaml.Marshal(given[key])
		if err == nil {
			err = yaml.Unmarshal(text, field.Addr().Interface())
		}
		if err != nil {
			return because.E("read option", key, fmt.Errorf("%v is not a %s", given[key], kindWord(field.Kind())), "")
		}
	}
	return nil
}

// kindWord names a kind of value for people.
func kindWord(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "truth, true or false"
	case reflect.Slice:
		return "list"
	}
	return "text"
}
