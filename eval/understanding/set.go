package understanding

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/internal/input"
)

const opRead = "read questions"

// Kind is what a question finds out.
type Kind string

// The kinds of questions.
const (
	// Recall asks what the constitution says on something, and why.
	Recall Kind = "recall"
	// FalsePremise takes for granted that the constitution says something which it doesn't say.
	FalsePremise Kind = "false-premise"
	// Open asks what matters more where two principles pull apart.
	Open Kind = "open"
)

// Kinds lists the kinds in the order of reports.
func Kinds() []Kind { return []Kind{Recall, FalsePremise, Open} }

// Set is a set of questions about one constitution. It is read-only once made and safe for concurrent use.
//
// Its file is YAML:
//
//	name: mira
//	constitution: {name: mira, hash: 41c0...}      # the one it was made for
//	principles: {promises: 9f2a...}                # the hashes of the principles that questions cite
//	writer: openai/gpt-5                           # of the questions that name no other
//	questions:
//	  - id: recall-promises
//	    kind: recall
//	    principles: [promises]
//	    ask: ["Why do the small promises count?", "What's wrong with breaking one that nobody remembers?"]
//	    expect: Nobody can see from outside which ones one holds to be small.
//	    avoid: [that small promises may be broken]
//	    quotes: [Nobody can see from outside]
type Set struct {
	Name         string            `yaml:"name"`
	Constitution Source            `yaml:"constitution"`
	Principles   map[string]string `yaml:"principles"` // constitution.Principle.Hash by id
	Writer       string            `yaml:"writer,omitempty"`
	Made         *Made             `yaml:"made,omitempty"`
	Questions    []Question        `yaml:"questions"`
	// Dropped are the items that Generate gave up, with the reason for each.
	Dropped []Dropped `yaml:"dropped,omitempty"`
}

// Source names the constitution that a set was made for.
type Source struct {
	Name string `yaml:"name"`
	Hash string `yaml:"hash"`
}

// Made says how Generate made a set.
type Made struct {
	Reviewer string            `yaml:"reviewer"`
	Seed     uint64            `yaml:"seed"`
	Prompts  map[string]string `yaml:"prompts"` // hashes by name
	Asked    int               `yaml:"asked"`   // answers that it took
	Again    int               `yaml:"again"`   // of those, repeated because the one before was unusable
}

// Dropped is an item that a writer model could not bring to be usable.
type Dropped struct {
	Kind      Kind   `yaml:"kind"`
	Principle string `yaml:"principle"`
	Why       string `yaml:"why"`
}

// Question is one item: what it asks, in several wordings, and what a grader must know.
type Question struct {
	ID         string   `yaml:"id"`
	Kind       Kind     `yaml:"kind"`
	Principles []string `yaml:"principles,flow"` // ids of those that it is about, the main one first
	Ask        []string `yaml:"ask"`             // the wordings, two at least

	// Expect is what a complete answer states or, of an Open question, how the principles bear on it.
	Expect string `yaml:"expect,omitempty"`
	// Avoid lists what the constitution does not say though an answer might; of Recall.
	Avoid []string `yaml:"avoid,omitempty"`
	// Premise is what a FalsePremise question takes for granted, Truth how it is. Where wordings take different things for granted
	// about one principle, both name them all.
	Premise string `yaml:"premise,omitempty"`
	Truth   string `yaml:"truth,omitempty"`
	// Quotes are passages of the principles on which the question rests, word for word.
	Quotes []string `yaml:"quotes,omitempty"`

	Writer   string `yaml:"writer,omitempty"`   // who wrote it; empty: the set's
	Prompt   string `yaml:"prompt,omitempty"`   // the hash of the prompt it was written with
	Reviewer string `yaml:"reviewer,omitempty"` // the model that checked that the premise is false
}

// The shipped sets were written for this project and are given to the public domain (CC0).
//
//go:embed questions/*.yaml
var shipped embed.FS

// library reads the shipped sets once.
var library = sync.OnceValue(func() map[string]*Set {
	files, err := shipped.ReadDir("questions")
	if err != nil {
		panic("understanding: " + err.Error()) // embedded at build time
	}
	all := map[string]*Set{}
	for _, f := range files {
		text, err := shipped.ReadFile(path.Join("questions", f.Name()))
		if err != nil {
			panic("understanding: " + err.Error())
		}
		s, err := Parse(f.Name(), text)
		if err != nil {
			panic(err) // a test reads them all
		}
		all[s.Name] = s
	}
	return all
})

// Names lists the shipped sets.
func Names() []string { return slices.Sorted(maps.Keys(library())) }

// Shipped gives a shipped set.
func Shipped(name string) (*Set, error) {
	s, ok := library()[name]
	if !ok {
		return nil, because.E(opRead, name, errors.New("no such set is shipped"), "shipped: "+strings.Join(Names(), ", "))
	}
	return s, nil
}

// For gives the shipped set for a constitution: the one of its name, with a Mismatch where that was made for another text, or else one
// that fits the text.
func For(c *constitution.Constitution) (*Set, error) {
	if s, ok := library()[c.Name]; ok {
		return s, s.Fits(c)
	}
	for _, name := range Names() {
		if s := library()[name]; s.Fits(c) == nil {
			return s, nil
		}
	}
	return nil, because.E("find questions", c.Name, errors.New("no set is shipped for this constitution"), "let a model write one, or name a file of questions")
}

// Load reads a set from a file.
func Load(file string) (*Set, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E(opRead, file, err, "")
	}
	return Parse(file, text)
}

// Parse reads the text of a file of questions; file says in errors where it comes from. It is strict about keys, and about what each
// kind of question must have.
func Parse(file string, text []byte) (*Set, error) {
	s := &Set{}
	if err := input.YAML(opRead, file, text, s); err != nil {
		return nil, err
	}
	if err := s.checkHead(); err != nil {
		return nil, because.E(opRead, file, err, "")
	}
	seen, lines := map[string]int{}, questionLines(text)
	for i := range s.Questions {
		q := &s.Questions[i]
		place := fmt.Sprintf("%s: questions[%d]", file, i)
		if i < len(lines) {
			place = fmt.Sprintf("%s:%d: questions[%d]", file, lines[i], i)
		}
		err := q.check(s.Principles)
		if first, twice := seen[q.ID]; err == nil && twice {
			err = fmt.Errorf("the id %s is that of questions[%d]", q.ID, first)
		}
		if err != nil {
			return nil, because.E(opRead, place, err, because.Hint(err))
		}
		seen[q.ID] = i
	}
	return s, nil
}

// questionLines gives the line on which each question of a file begins, as far as that can be told.
func questionLines(text []byte) []int {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	var lines []int
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == "questions" {
			for _, q := range top.Content[i+1].Content {
				lines = append(lines, q.Line)
			}
		}
	}
	return lines
}

// YAML writes the set as a file. Equal sets give equal bytes.
func (s *Set) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(s), e.Close()); err != nil {
		return nil, because.E("write questions", s.Name, err, "")
	}
	return b.Bytes(), nil
}

// Hash addresses the set by what is asked and how it is graded; who wrote it and what was dropped don't enter it.
func (s *Set) Hash() string {
	h := sha256.New()
	h.Write([]byte("because questions 1\n"))
	for _, id := range slices.Sorted(maps.Keys(s.Principles)) {
		fmt.Fprintf(h, "%q %q\n", id, s.Principles[id])
	}
	for _, q := range s.Questions {
		fmt.Fprintf(h, "%q %q %q %q %q %q %q %q\n", q.ID, q.Kind, q.Principles, q.Ask, q.Expect, q.Avoid, q.Premise, q.Truth)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Count gives the number of questions of a kind.
func (s *Set) Count(k Kind) int {
	n := 0
	for _, q := range s.Questions {
		if q.Kind == k {
			n++
		}
	}
	return n
}

// writer tells who wrote a question.
func (s *Set) writer(q *Question) string {
	if q.Writer != "" {
		return q.Writer
	}
	return s.Writer
}
