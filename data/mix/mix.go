// Package mix joins files of records into one, by a plan: which files, how much of each, in which order. Equal plans, files and seeds give equal
// bytes.
package mix

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/internal/input"
)

const (
	opRead = "read mix"
	opMake = "make mix"
)

// Plan is a mix, as MIX.yaml says it:
//
//	output: train.jsonl         # or .parquet; beside the plan, as are the parts
//	seed: 7
//	shuffle: true               # nothing: true; false: the parts one after the other
//	parts:
//	  - file: advice.jsonl      # all of it
//	  - file: stories.jsonl
//	    count: 200              # so many records
//	  - file: documents.parquet
//	    tokens: 300000          # so many tokens, at four bytes each
//	  - file: chat.jsonl
//	    weight: 0.25            # a quarter of the whole, beside the parts without weight
//	    where: {kind: letter}   # only records whose column, or whose lineage, says so
//	    repeat: true            # takes records again where there are not enough
type Plan struct {
	Output  string `yaml:"output"`
	Seed    uint64 `yaml:"seed"`
	Shuffle *bool  `yaml:"shuffle"`
	Parts   []Part `yaml:"parts"`

	file string
}

// Part is a file with how much of it is taken.
type Part struct {
	File   string            `yaml:"file"`
	Count  *int              `yaml:"count"`
	Tokens *int              `yaml:"tokens"`
	Weight *float64          `yaml:"weight"`
	Where  map[string]string `yaml:"where"`
	Repeat bool              `yaml:"repeat"`

	line int
}

// UnmarshalYAML reads a part strictly and notes its line.
func (p *Part) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a part has a file", n.Line)
	}
	known := []string{"count", "file", "repeat", "tokens", "weight", "where"}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		found := false
		for _, k := range known {
			found = found || k == key.Value
		}
		if !found {
			return fmt.Errorf("line %d: unknown key %s; %s", key.Line, key.Value, input.DidYouMean(key.Value, known))
		}
	}
	type fields Part // without this method
	err := n.Decode((*fields)(p))
	p.line = n.Line
	return err
}

// Load reads a plan and checks that its parts are there.
func Load(file string) (*Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E(opRead, file, err, "")
	}
	p, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	for _, part := range p.Parts {
		if _, err := os.Stat(p.path(part.File)); err != nil {
			return nil, p.bad(part, err)
		}
	}
	return p, nil
}

// Parse reads the text of a plan, strictly.
func Parse(file string, text []byte) (*Plan, error) {
	p := &Plan{file: file}
	if err := input.YAML(opRead, file, text, p); err != nil {
		return nil, err
	}
	if p.Output == "" {
		return nil, because.E(opRead, file, errors.New("output is missing"), "the file of records that is made, such as train.jsonl")
	}
	if len(p.Parts) == 0 {
		return nil, because.E(opRead, file, errors.New("there are no parts"), "")
	}
	weights, fixed := 0.0, false
	for _, part := range p.Parts {
		err := part.check()
		if err == nil && p.path(part.File) == p.path(p.Output) {
			err = errors.New("it is the output too")
		}
		if err != nil {
			return nil, p.bad(part, err)
		}
		if part.Weight != nil {
			weights += *part.Weight
		} else {
			fixed = true
		}
	}
	if weights >= 1 && fixed {
		return nil, because.E(opRead, file, fmt.Errorf("the weights are %v together, which leaves no room for the parts without one", weights), "")
	}
	if !fixed {
		return nil, because.E(opRead, file, errors.New("every part has a weight, so nothing says how much is taken"), "give one of them a count, tokens, or neither to take all of it")
	}
	return p, nil
}

func (part Part) check() error {
	amounts := 0
	for _, is := range []bool{part.Count != nil, part.Tokens != nil, part.Weight != nil} {
		if is {
			amounts++
		}
	}
	switch {
	case part.File == "":
		return errors.New("it has no file")
	case amounts > 1:
		return errors.New("it has more than one of count, tokens and weight")
	case part.Count != nil && *part.Count < 1, part.Tokens != nil && *part.Tokens < 1:
		return errors.New("count and tokens are at least 1")
	case part.Weight != nil && !(*part.Weight > 0 && *part.Weight < 1):
		return errors.New("weight is a share of the whole, between 0 and 1")
	case part.Repeat && amounts == 0:
		return errors.New("repeat needs count, tokens or weight")
	}
	return nil
}

func (p *Plan) bad(part Part, err error) error {
	return because.E(opRead, fmt.Sprintf("%s:%d: %s", p.file, part.line, part.File), err, "")
}

// path gives where a file of the plan lies.
func (p *Plan) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(p.file), file)
}

// Counted says what a part gave.
type Counted struct {
	File     string `json:"file"`
	Rows     int    `json:"rows"`     // in the file
	Matching int    `json:"matching"` // that the part's filter lets through
	Taken    int    `json:"taken"`    // records that went into the mix
	Repeated int    `json:"repeated"` // of them, ones that were taken before
	Tokens   int    `json:"tokens"`   // of what was taken, at four bytes each
}

// Result says what a mix holds.
type Result struct {
	Output  string       `json:"output"`
	Kind    columns.Kind `json:"kind"`
	Records int          `json:"records"`
	Tokens  int          `json:"tokens"`
	Parts   []Counted    `json:"parts"`
}
