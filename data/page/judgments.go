package page

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/because-lab/because"
)

const (
	opJudgments = "read judgments"
	format      = "because judgments"
	version     = 1

	maxJudgments = 16 << 20 // bytes of a file
	maxPairs     = 1 << 20
)

// Judgments are what a reader of a blind page chose, as the page gives them to download.
type Judgments struct {
	Head
	Judgments []Judgment `json:"judgments"`
}

// Head says what was judged: which page, by which question, of which files.
type Head struct {
	Format   string `json:"format"`
	Version  int    `json:"version"`
	Page     string `json:"page"`
	Question string `json:"question"`
	A        File   `json:"a"`
	B        File   `json:"b"`
	Seed     uint64 `json:"seed"`
	Pairs    int    `json:"pairs"` // on the page
}

// File is one of the two files.
type File struct {
	Name string `json:"name"`
	Sum  string `json:"sha256"`
}

// Judgment is one pair with the reader's choice.
type Judgment struct {
	Pair    int    `json:"pair"` // from 1, as on the page
	A       int    `json:"a"`    // rows of the files, from 1
	B       int    `json:"b"`
	Matched string `json:"matched"` // by what, or random
	Left    string `json:"left"`    // the file that stood there: a or b
	Choice  string `json:"choice"`  // left, right or equal
}

// ReadJudgments reads a file of judgments.
func ReadJudgments(path string) (Judgments, error) {
	f, err := os.Open(path)
	if err != nil {
		return Judgments{}, because.E(opJudgments, path, err, "")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxJudgments+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Judgments{}, because.E(opJudgments, path, err, "")
	}
	return ParseJudgments(path, text)
}

// ParseJudgments reads judgments strictly: every key once and no other, every value within its bounds, no pair twice. Name says in errors where
// the text comes from.
func ParseJudgments(name string, text []byte) (Judgments, error) {
	var j Judgments
	if err := j.parse(text); err != nil {
		return Judgments{}, because.E(opJudgments, name, err, "a blind page of because data read gives such a file to download")
	}
	return j, nil
}

func (j *Judgments) parse(text []byte) error {
	switch {
	case len(text) > maxJudgments:
		return fmt.Errorf("it has more than %d MiB", maxJudgments>>20)
	case !utf8.Valid(text):
		return errors.New("it is not valid UTF-8")
	}
	top, err := members(text, "format", "version", "page", "question", "a", "b", "seed", "pairs", "judgments")
	if err != nil {
		return err
	}
	if err := errors.Join(value(top, "format", &j.Format), value(top, "version", &j.Version)); err != nil {
		return err
	}
	if j.Format != format || j.Version != version {
		return fmt.Errorf("it is of the format %q, version %d; %q, version %d, is read", j.Format, j.Version, format, version)
	}
	err = errors.Join(value(top, "page", &j.Page), value(top, "question", &j.Question), value(top, "seed", &j.Seed), value(top, "pairs", &j.Pairs))
	if err != nil {
		return err
	}
	if j.Pairs < 1 || j.Pairs > maxPairs {
		return fmt.Errorf("pairs: %d is no number of pairs", j.Pairs)
	}
	if j.A, err = parseFile(top["a"]); err != nil {
		return fmt.Errorf("a: %w", err)
	}
	if j.B, err = parseFile(top["b"]); err != nil {
		return fmt.Errorf("b: %w", err)
	}
	if j.A.Sum == j.B.Sum {
		return errors.New("a and b are the same file")
	}
	return j.parseList(top["judgments"])
}

func parseFile(text json.RawMessage) (File, error) {
	var f File
	m, err := members(text, "name", "sha256")
	if err == nil {
		err = errors.Join(value(m, "name", &f.Name), value(m, "sha256", &f.Sum))
	}
	if err != nil {
		return f, err
	}
	if sum, err := hex.DecodeString(f.Sum); err != nil || len(sum) != 32 || strings.ToLower(f.Sum) != f.Sum {
		return f, fmt.Errorf("sha256: %q is no such hash", f.Sum)
	}
	if f.Name == "" {
		return f, errors.New("name: it is empty")
	}
	return f, nil
}

func (j *Judgments) parseList(text json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil || list == nil {
		return errors.New("judgments: they are no list")
	}
	seen := map[int]bool{}
	for i, raw := range list {
		one, err := j.parseOne(raw)
		if err == nil && seen[one.Pair] {
			err = fmt.Errorf("pair %d is judged twice", one.Pair)
		}
		if err != nil {
			return fmt.Errorf("judgments[%d]: %w", i, err)
		}
		seen[one.Pair] = true
		j.Judgments = append(j.Judgments, one)
	}
	return nil
}

func (j *Judgments) parseOne(text json.RawMessage) (Judgment, error) {
	var one Judgment
	m, err := members(text, "pair", "a", "b", "matched", "left", "choice")
	if err == nil {
		err = errors.Join(value(m, "pair", &one.Pair), value(m, "a", &one.A), value(m, "b", &one.B), value(m, "matched", &one.Matched), value(m, "left", &one.Left),
			value(m, "choice", &one.Choice))
	}
	switch {
	case err != nil:
		return one, err
	case one.Pair < 1 || one.Pair > j.Pairs:
		return one, fmt.Errorf("pair: there is no pair %d of %d", one.Pair, j.Pairs)
	case one.A < 1 || one.B < 1:
		return one, errors.New("a, b: rows count from 1")
	case one.Left != "a" && one.Left != "b":
		return one, fmt.Errorf("left: %q is neither a nor b", one.Left)
	case !slices.Contains([]string{"left", "right", "equal"}, one.Choice):
		return one, fmt.Errorf("choice: %q is none of left, right, equal", one.Choice)
	case one.Matched != atRandom && !matchedBy(one.Matched):
		return one, fmt.Errorf("matched: %q is nothing by which records are matched", one.Matched)
	}
	return one, nil
}

func matchedBy(name string) bool {
	for _, s := range shared {
		if s.by == name {
			return true
		}
	}
	return false
}

// members takes an object apart. Each key must be there once, spelt as it is here, and no other: encoding/json would pass over all of that.
func members(text json.RawMessage, keys ...string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string) // what stands there in an object
		if !slices.Contains(keys, name) {
			return nil, fmt.Errorf("unknown key %q", name)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("the key %q stands twice", name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	for _, k := range keys {
		if _, there := out[k]; !there {
			return nil, fmt.Errorf("the key %q is missing", k)
		}
	}
	return out, nil
}

// value reads one member; null is no value.
func value(m map[string]json.RawMessage, key string, into any) error {
	if string(m[key]) == "null" {
		return fmt.Errorf("%s: it is null", key)
	}
	if err := json.Unmarshal(m[key], into); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
