package prompts

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// Set holds the prompt files of a recipe.
type Set struct {
	prompts map[string]*Prompt
	names   []string
}

// Load reads the prompt files (*.md, those that begin with an underscore only where they are included) of a file system: its root, or the folder
// prompts in it where the root has none, as when they are embedded. Files of the same names in a folder take their places; "" means no folder.
// A file there that takes no place is an error, so that a mistyped name is not ignored.
func Load(embedded fs.FS, folder string) (*Set, error) {
	root, err := rootOf(embedded)
	if err != nil {
		return nil, because.E(op, "embedded prompts", err, "")
	}
	if folder != "" {
		if err := checkOverlay(embedded, root, folder); err != nil {
			return nil, err
		}
	}
	more := func(name string) ([]byte, string, error) {
		if folder != "" {
			file := filepath.Join(folder, name)
			text, err := os.ReadFile(file)
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				return text, file, err
			}
		}
		file := path.Join(root, name)
		text, err := fs.ReadFile(embedded, file)
		return text, file, err
	}
	s := &Set{prompts: map[string]*Prompt{}}
	files, err := fs.Glob(embedded, path.Join(root, "*.md"))
	if err != nil {
		return nil, because.E(op, root, err, "")
	}
	var errs []error
	for _, f := range files {
		base := path.Base(f)
		if strings.HasPrefix(base, "_") {
			continue
		}
		text, file, err := more(base)
		if err != nil {
			return nil, because.E(op, file, err, "")
		}
		name := strings.TrimSuffix(base, ".md")
		p, err := parse(name, file, text, more)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.prompts[name], s.names = p, append(s.names, name)
	}
	slices.Sort(s.names)
	return s, errors.Join(errs...)
}

// rootOf finds the folder of the prompt files.
func rootOf(files fs.FS) (string, error) {
	for _, root := range []string{".", "prompts"} {
		found, err := fs.Glob(files, path.Join(root, "*.md"))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return root, nil
		}
	}
	return "", errors.New("there are no prompt files (*.md)")
}

// checkOverlay refuses files that take no other's place.
func checkOverlay(embedded fs.FS, root, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return because.E("read prompts", folder, err, "")
	}
	var known []string
	for _, pattern := range []string{"*.md", "*.schema.json"} {
		files, err := fs.Glob(embedded, path.Join(root, pattern))
		if err != nil {
			return because.E(op, root, err, "")
		}
		for _, f := range files {
			known = append(known, path.Base(f))
		}
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, ".schema.json") || slices.Contains(known, name) {
			continue
		}
		if strings.HasPrefix(name, "_") { // included by a file of the folder
			continue
		}
		return because.E("read prompts", filepath.Join(folder, name), errors.New("the recipe has no prompt of this name"), input.DidYouMean(name, known))
	}
	return nil
}

// Get gives a prompt.
func (s *Set) Get(name string) (*Prompt, error) {
	if s == nil {
		return nil, because.E(op, name, errors.New("the recipe has no prompts"), "")
	}
	p, ok := s.prompts[name]
	if !ok {
		return nil, because.E(op, name, errors.New("there is no such prompt"), input.DidYouMean(name, s.names))
	}
	return p, nil
}

// Names lists the prompts, sorted.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Lint finds what is likely to be wrong with the prompts by themselves: a prompt whose answer must have a form and which does not ask for it.
// Variables are checked against their stages (Prompt.Check, pipe.Lint).
func (s *Set) Lint() []error {
	var errs []error
	for _, name := range s.names {
		if err := s.prompts[name].asksForm(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// asksForm tells whether the prompt asks for the form of its answer.
func (p *Prompt) asksForm() error {
	if _, ok := p.places[answerForm]; ok || p.Answer.Text != "" || p.Answer.JSON != "" && strings.Contains(p.source, "JSON") {
		return nil
	}
	names := p.Answer.Names()
	if p.Answer.List != "" {
		names = append(names, p.Answer.List)
	}
	for _, n := range names {
		if !strings.Contains(p.source, "<"+n+">") {
			return place{p.File, p.lastMessage()}.bad("put {{answer_form}} at its end", "its answer must have <%s>, and it does not ask for that", n)
		}
	}
	if p.Answer.JSON != "" {
		return place{p.File, p.lastMessage()}.bad("put {{answer_form}} at its end", "its answer must be JSON, and it does not ask for that")
	}
	return nil
}
