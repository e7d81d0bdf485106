package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/store"
)

// Origin is what one step made, and from what.
type Origin struct {
	Name     string            // as what it was used: model, data, replay; empty for what was asked about
	Step     string            // ID of the step that made it first
	Key      string            // hash of what it was made from
	Artifact string            // hash of what came out
	Kind     string            // of step
	Version  string            // of the code
	Params   json.RawMessage   // the order
	By       map[string]string // who made it, when; no part of its identity
	Facts    []string          // what its files say, in words
	Inputs   []*Origin         // sorted by name
}

// Explain tells what something of a study was made from. The reference is a path (of a checkpoint in runs/ or in the
// store), a step, a key or an artifact's ID (four digits or more), or a name from the results: an arm, an arm's eval,
// a claim or a check, such as arms.advice, arms.advice.evals.honeypot, linked/advice, claims.E3 or E3, also after
// the path of a results.json and #. Where a name stands for several seeds, there is one origin for each.
func Explain(dir, ref string, warn func(error)) ([]*Origin, error) {
	st, err := store.Open(filepath.Join(dir, filepath.FromSlash(StoreDir)), store.Options{Warn: warn})
	if err != nil {
		return nil, err
	}
	x := &explainer{store: st, known: map[string]*Origin{}}
	keys, err := x.find(dir, ref)
	if err != nil {
		return nil, err
	}
	var out []*Origin
	for _, key := range keys {
		o, err := x.origin("", key)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

type explainer struct {
	store *store.Store
	known map[string]*Origin // by key
}

// find gives the keys of what a reference means.
func (x *explainer) find(dir, ref string) ([]string, error) {
	lineages, err := readLineages(dir)
	if err != nil {
		return nil, err
	}
	name := ref
	if path, field, ok := strings.Cut(ref, "#"); ok {
		own := filepath.Join(filepath.Dir(path), lineageFile)
		l, err := readLineage(own)
		if err != nil {
			return nil, err
		}
		lineages, name = []*lineage{l}, field
	}
	for _, l := range lineages {
		if keys := l.find(name); keys != nil {
			return keys, nil
		}
		index, err := x.store.Index(l.Study)
		if err != nil {
			return nil, err
		}
		if key, ok := index[name]; ok {
			return []string{key}, nil
		}
	}
	if key := checkpointKey(dir, ref, lineages); key != "" {
		return []string{key}, nil
	}
	path, err := Checkpoint(ref)
	if err != nil {
		return nil, err
	}
	results, err := x.store.Resolve(path)
	if err != nil {
		return nil, explainHint(err, ref)
	}
	return distinct(names(results, func(r *store.Result) string { return r.Key })), nil
}

// checkpointKey gives the key behind the path of an arm's checkpoint, or of a file in it, in a study's folder. Arms may
// share a checkpoint's bytes: the path tells which is meant.
func checkpointKey(dir, path string, lineages []*lineage) string {
	for _, l := range lineages {
		root, err1 := filepath.Abs(filepath.Join(dir, RunsDir, l.Study, checkpointDir))
		full, err2 := filepath.Abs(path)
		rel, err3 := filepath.Rel(root, full)
		if errors.Join(err1, err2, err3) != nil {
			continue
		}
		for _, a := range l.Arms {
			own := filepath.Join(a.World, a.Name, seedDir(a.Seed))
			if rel == own || strings.HasPrefix(rel, own+string(filepath.Separator)) {
				return a.Checkpoint.Key
			}
		}
	}
	return ""
}

// explainHint adds to an error of the store what else could have been named.
func explainHint(err error, ref string) error {
	var e *because.Error
	if errors.As(err, &e) && e.Op == "find artifact" {
		return because.E("explain", ref, errors.New("neither the results nor the store have this"),
			"give the path of a checkpoint, a step, a key, an artifact's ID (four digits or more), or a name from the results: arms.NAME, arms.NAME.evals.EVAL, claims.ID; if its study lies in another folder, name that with --dir")
	}
	return err
}

// readLineages reads lineage.json of every study below dir.
func readLineages(dir string) ([]*lineage, error) {
	entries, err := os.ReadDir(filepath.Join(dir, RunsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, because.E("explain", dir, err, "")
	}
	var out []*lineage
	for _, e := range entries {
		path := filepath.Join(dir, RunsDir, e.Name(), lineageFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrInvalid) || !e.IsDir() {
			continue
		}
		l, err := readLineage(path)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func readLineage(path string) (*lineage, error) {
	l := &lineage{}
	return l, readJSON("explain", path, l)
}

// find gives the keys behind a name of the results, nil where it is none.
func (l *lineage) find(name string) []string {
	kind, rest, dotted := strings.Cut(name, ".")
	if !dotted || !slices.Contains([]string{"arms", "claims", "ablations", "checks"}, kind) {
		kind, rest = "", name
	}
	if kind == "" || kind == "arms" {
		if keys := l.findArm(rest); keys != nil {
			return keys
		}
	}
	for _, list := range []struct {
		kinds   []string
		entries []claimLineage
	}{{[]string{"", "claims", "ablations"}, l.Claims}, {[]string{"", "checks"}, l.Checks}} {
		for _, c := range list.entries {
			if c.ID == rest && slices.Contains(list.kinds, kind) {
				return distinct(names(c.Evals, func(m made) string { return m.Key }))
			}
		}
	}
	return nil
}

// findArm finds ARM, WORLD/ARM or either with .evals.EVAL or .checkpoint; without a world the first that has the arm.
func (l *lineage) findArm(name string) []string {
	var keys []string
	first := ""
	for _, a := range l.Arms {
		for _, full := range []string{a.Name, a.World + "/" + a.Name} {
			rest, ok := strings.CutPrefix(name, full)
			if !ok || first != "" && a.World != first {
				continue
			}
			m := a.Checkpoint
			if eval, isEval := strings.CutPrefix(rest, ".evals."); isEval {
				if m, ok = a.Evals[eval]; !ok {
					continue
				}
			} else if rest != "" && rest != ".checkpoint" {
				continue
			}
			first = a.World
			keys = append(keys, m.Key)
		}
	}
	return distinct(keys)
}

// distinct drops repeated strings.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// origin follows a key back to the beginning. What was used twice is followed once.
func (x *explainer) origin(name, key string) (*Origin, error) {
	if o, ok := x.known[key]; ok {
		again := *o
		again.Name = name
		return &again, nil
	}
	r, err := x.store.Result(key)
	if errors.Is(err, fs.ErrNotExist) {
		return &Origin{Name: name, Key: key, Facts: []string{"no longer in the store"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var payload struct {
		Kind    string            `json:"kind"`
		Version string            `json:"version"`
		Params  json.RawMessage   `json:"params"`
		Inputs  map[string]string `json:"inputs"`
	}
	if err := json.Unmarshal(r.Payload, &payload); err != nil {
		return nil, because.E("explain", key, err, "")
	}
	o := &Origin{Name: name, Step: r.By["step"], Key: key, Artifact: r.Artifact, Kind: payload.Kind, Version: payload.Version,
		Params: payload.Params, By: r.By}
	x.known[key] = o // inputs can't lead back here: a key is the hash of theirs
	o.Facts = facts(payload.Kind, x.store.Path(r.Artifact))
	inputs := make([]string, 0, len(payload.Inputs))
	for in := range payload.Inputs {
		inputs = append(inputs, in)
	}
	slices.Sort(inputs)
	for _, in := range inputs {
		from, err := x.origin(in, payload.Inputs[in])
		if err != nil {
			return nil, err
		}
		o.Inputs = append(o.Inputs, from)
	}
	return o, nil
}

// order puts an origin's parameters into words: its most telling ones first, then all others by name. Zeros are left out.
func (o *Origin) order() string {
	var params map[string]any
	d := json.NewDecoder(bytes.NewReader(o.Params))
	d.UseNumber()
	if d.Decode(&params) != nil {
		return string(o.Params)
	}
	var parts []string
	take := func(key string) {
		v, ok := params[key]
		delete(params, key)
		if n, isNumber := v.(json.Number); isNumber && strings.Trim(n.String(), "0.") == "" {
			return
		}
		if ok && v != "" {
			parts = append(parts, key+" "+valueWords(v))
		}
	}
	for _, key := range []string{"method", "recipe", "task", "with", "tokens", "samples", "seed"} {
		take(key)
	}
	for _, key := range sortedKeys(params) {
		take(key)
	}
	return strings.Join(parts, ", ")
}

// valueWords writes a JSON value on one line.
func valueWords(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, key := range sortedKeys(v) {
			parts = append(parts, key+" "+valueWords(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		return "[" + strings.Join(names(v, valueWords), ", ") + "]"
	case string:
		if isHash(v) {
			return v[:12]
		}
	}
	return fmt.Sprint(v)
}

// isHash tells a SHA-256 in hexadecimal, of which twelve digits are enough for a reader.
func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
