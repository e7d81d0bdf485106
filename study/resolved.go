package study

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

// Resolved gives the study as a file that asks for the same with nothing left to defaults.
func (f *File) Resolved() ([]byte, error) {
	out := f.clone()
	out.Defaults = Defaults{}
	out.Init = f.inFull(f.Init)
	for i := range out.Arms {
		out.Arms[i].Stages = f.inFull(out.Arms[i].Stages)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The study %s as it ran. Run it again with: because study %s\n", f.Study, studyFile)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(out); err != nil {
		return nil, because.E("write study", f.Study, err, "")
	}
	return b.Bytes(), nil
}

// inFull gives stages with their defaults filled in.
func (f *File) inFull(stages []Stage) []Stage {
	out := slices.Clone(stages)
	for i := range out {
		method, given := out[i].Method()
		*out[i].of(method) = f.merged(method, given)
	}
	return out
}
