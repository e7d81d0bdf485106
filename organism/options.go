package organism

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

// readOptions sets the fields of a struct from options by their yaml keys. Only the allowed keys may be given (all
// where allowed is nil). The subject of an error is the key.
func readOptions(what string, given map[string]any, into any, allowed []string) error {
	fields := map[string]reflect.Value{}
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("yaml")] = v.Field(i)
	}
	if allowed == nil {
		allowed = sortedKeys(fields)
	}
	for _, key := range sortedKeys(given) {
		if !slices.Contains(allowed, key) {
			hint := what + " has no options"
			if len(allowed) > 0 {
				hint = what + " knows " + strings.Join(allowed, ", ")
			}
			return because.E("read option", key, fmt.Errorf("unknown to %s", what), hint)
		}
		text, err := yaml.Marshal(given[key])
		if err == nil {
			err = yaml.Unmarshal(text, fields[key].Addr().Interface())
		}
		if err != nil {
			return because.E("read option", key, fmt.Errorf("%v is not a %s", given[key], fields[key].Kind()), "")
		}
	}
	return nil
}

// switches reads the switches of a world over the defaults.
func switches(given map[string]any) (Switches, error) {
	sw := DefaultSwitches()
	if err := readOptions("the world", given, &sw, nil); err != nil {
		return sw, err
	}
	if err := sw.Check(); err != nil {
		return sw, err
	}
	_, err := LoadLexicon(sw.HeldOut, 1)
	return sw, err
}

// unknown is the error for a name that a study uses and this target lacks.
func unknown[V any](what, name string, known map[string]V) error {
	return because.E("find "+what, name, fmt.Errorf("the organism has no such %s", what), "it has "+strings.Join(sortedKeys(known), ", "))
}
