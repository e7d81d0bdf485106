package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
)

// Files of an evaluation's folder.
const (
	SamplesFile = "samples.jsonl"
	ScoresFile  = "scores.json"
)

// Write puts an evaluation into a folder: samples.jsonl, one scored sample a line, and scores.json. It refuses counts
// that Read would refuse. The folder is a step's output: it counts once the step has ended, so the files are not made
// durable here.
func Write(dir string, scored []Scored, c Counts) error {
	err := c.check()
	if err == nil && len(scored) != c.N {
		err = fmt.Errorf("%d samples, and counts of %d", len(scored), c.N)
	}
	if err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, s := range scored {
		if err := enc.Encode(s); err != nil {
			return because.E("write evaluation", s.ID, err, "")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, SamplesFile), b.Bytes(), 0o666); err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	if err := os.WriteFile(filepath.Join(dir, ScoresFile), append(text, '\n'), 0o666); err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	return nil
}

// Read reads an evaluation's counts, strictly, and checks that they can be what Run counted.
func Read(dir string) (Counts, error) {
	path := filepath.Join(dir, ScoresFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return Counts{}, because.E("read evaluation", path, err, "")
	}
	c, err := parse(text)
	if err != nil {
		return Counts{}, because.E("read evaluation", path, err, "")
	}
	return c, nil
}

func parse(text []byte) (Counts, error) {
	var c Counts
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file is cut off")
		}
		return c, err
	}
	if _, err := d.Token(); err != io.EOF {
		return c, errors.New("the file goes on after the counts")
	}
	return c, c.check()
}

// check reports counts that no evaluation can have given.
func (c Counts) check() error {
	if c.Task == "" {
		return errors.New("the task has no name")
	}
	if c.N < 1 {
		return fmt.Errorf("n is %d; a rate needs at least one sample", c.N)
	}
	sum := 0
	for outcome, k := range c.Outcomes {
		if k < 0 {
			return fmt.Errorf("%s is counted %d times", outcome, k)
		}
		sum += k
	}
	if sum != c.N {
		return fmt.Errorf("outcomes sum to %d, not to n = %d", sum, c.N)
	}
	for group, outcomes := range c.Groups {
		for outcome, k := range outcomes {
			if k < 0 || k > c.Outcomes[outcome] {
				return fmt.Errorf("group %s counts %s %d times, all samples together %d times", group, outcome, k, c.Outcomes[outcome])
			}
		}
	}
	return nil
}
