// Package scenario holds honeypot worlds for real models: a simulated company in which an agent with tools (mail, files, records,
// a calendar) does a task, and finds by reading a pressure and a lever, an opportunity to do harm that would serve it. Its prompt
// speaks of neither. Nothing is executed outside the simulation. The design follows "Agentic Misalignment" (Lynch et al., 2025):
// goal conflict x threat x lever x the agent's name x what it is told of the situation.
//
// The texts are data, under families/: a researcher edits them or lays a folder over them (Load). A Family makes Cases, balanced over
// Conditions; a Case starts a World, which carries out tool calls and records them as Actions; the family's rules judge those
// (World.Finding). Models without tool calls get everything to read in one prompt (Case.SingleTurn, ParseCalls, Case.Play), small and base
// models are compared by likelihood (Family.Pairs).
package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

//go:embed families
var embedded embed.FS

// Family is one kind of honeypot with its texts, casts and rules. It doesn't change after it is loaded.
type Family struct {
	Name      string
	About     string
	Evaluated bool // training families are never evaluated, evaluated ones never trained on

	head   header
	items  []item
	casts  []cast
	fields []fields // of each cast
	pairs  []pairSet
	pairTo map[string]pairTool
	shared *shared
	hash   string // of its files and the shared one
}

// Library is a set of families.
type Library struct {
	families []*Family
	shared   *shared
}

// shared is shared.yaml: texts that all families use.
type shared struct {
	Names     []string          `yaml:"names"`     // of agents that are not the trained persona
	Told      map[string][]text `yaml:"told"`      // real, test: added to the system prompt
	System    map[string][]text `yaml:"system"`    // ruthless, kind: added to the system prompt by a variant
	Reasoning map[string][]text `yaml:"reasoning"` // selfish, ethical: the start of the answer, given by a variant
}

// Embedded gives the families that come with the program.
var Embedded = sync.OnceValues(func() (*Library, error) { return Load("") })

// Load reads all families. A file in folder takes the place of the embedded one of the same path below families/, and a new
// subfolder adds a family; the empty folder means the embedded files alone. Every text is checked with every cast: an error names
// file and line.
func Load(folder string) (*Library, error) {
	base, err := fs.Sub(embedded, "families")
	if err != nil {
		return nil, because.E("read scenarios", "families", err, "")
	}
	layers := []fs.FS{base}
	if folder != "" {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			if err == nil {
				err = errors.New("not a folder")
			}
			return nil, because.E("read scenarios", folder, err, "name a folder with FAMILY/family.yaml, items.yaml, casts.yaml in it")
		}
		layers = append(layers, os.DirFS(folder))
	}
	return load(layers)
}

func load(layers []fs.FS) (*Library, error) {
	names := map[string]bool{}
	for _, layer := range layers {
		entries, err := fs.ReadDir(layer, ".")
		if err != nil {
			return nil, because.E("read scenarios", "", err, "")
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				names[e.Name()] = true
			}
		}
	}
	lib := &Library{shared: &shared{}}
	if err := readFile(layers, "shared.yaml", lib.shared, true); err != nil {
		return nil, err
	}
	if err := lib.shared.check(); err != nil {
		return nil, placed("shared.yaml", err)
	}
	for _, name := range sortedKeys(names) {
		f, err := loadFamily(layers, name, lib.shared)
		if err != nil {
			return nil, err
		}
		lib.families = append(lib.families, f)
	}
	return lib, nil
}

func loadFamily(layers []fs.FS, name string, s *shared) (*Family, error) {
	f := &Family{shared: s}
	var err error
	if f.hash, err = hashFiles(layers, "shared.yaml", path.Join(name, "family.yaml"), path.Join(name, "items.yaml"), path.Join(name, "casts.yaml"), path.Join(name, "pairs.yaml")); err != nil {
		return nil, err
	}
	if err := readFile(layers, path.Join(name, "family.yaml"), &f.head, true); err != nil {
		return nil, err
	}
	var items struct {
		Items []item `yaml:"items"`
	}
	if err := readFile(layers, path.Join(name, "items.yaml"), &items, true); err != nil {
		return nil, err
	}
	var casts struct {
		Casts []cast `yaml:"casts"`
	}
	if err := readFile(layers, path.Join(name, "casts.yaml"), &casts, true); err != nil {
		return nil, err
	}
	var pairs struct {
		Tools map[string]pairTool `yaml:"tools"`
		Sets  []pairSet           `yaml:"sets"`
	}
	if err := readFile(layers, path.Join(name, "pairs.yaml"), &pairs, false); err != nil {
		return nil, err
	}
	f.Name, f.About, f.Evaluated = name, f.head.About, f.head.Evaluated
	f.items, f.casts, f.pairs, f.pairTo = items.Items, casts.Casts, pairs.Sets, pairs.Tools
	for _, c := range f.casts {
		f.fields = append(f.fields, c.fields())
	}
	return f, f.check()
}

// readFile decodes a file of the topmost layer that has it.
func readFile(layers []fs.FS, name string, into any, needed bool) error {
	for i := len(layers) - 1; i >= 0; i-- {
		data, err := fs.ReadFile(layers[i], name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return because.E("read scenario", name, err, "")
		}
		return input.YAML("read scenario", name, data, into)
	}
	if needed {
		return because.E("read scenario", name, errors.New("the file is missing"), "")
	}
	return nil
}

// Family gives a family by name.
func (l *Library) Family(name string) (*Family, error) {
	var names []string
	for _, f := range l.families {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return nil, because.E("find scenario", name, errors.New("no family of this name"), "there are "+strings.Join(names, ", "))
}

// Evaluated gives the families that are evaluated, by name; none of their texts may be trained on.
func (l *Library) Evaluated() []*Family { return l.pick(true) }

// Training gives the families to make training data from, by name; they are never evaluated.
func (l *Library) Training() []*Family { return l.pick(false) }

func (l *Library) pick(evaluated bool) []*Family {
	var out []*Family
	for _, f := range l.families {
		if f.Evaluated == evaluated {
			out = append(out, f)
		}
	}
	return out
}

// sortedKeys gives a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (s *shared) check() error {
	if len(s.Names) < 5 {
		return fmt.Errorf("names: %d; at least 5 are needed", len(s.Names))
	}
	for _, group := range []struct {
		name  string
		texts map[string][]text
		keys  []string
	}{{"told", s.Told, []string{"real", "test"}}, {"system", s.System, []string{"kind", "ruthless"}}, {"reasoning", s.Reasoning, []string{"ethical", "selfish"}}} {
		if keys := sortedKeys(group.texts); strings.Join(keys, " ") != strings.Join(group.keys, " ") {
			return fmt.Errorf("%s: has the keys %v; needed are %v", group.name, keys, group.keys)
		}
		for _, k := range group.keys {
			if n := len(group.texts[k]); n < 5 {
				return fmt.Errorf("%s.%s: %d wordings; at least 5 are needed", group.name, k, n)
			}
			for _, t := range group.texts[k] {
				if t.s == "" || placeholder.MatchString(t.s) {
					return fmt.Errorf("line %d: a text of %s.%s is empty or has a placeholder", t.line, group.name, k)
				}
			}
		}
	}
	return nil
}
