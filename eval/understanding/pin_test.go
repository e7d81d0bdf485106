package understanding

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/constitution"
)

//go:generate go test -run ^TestShippedSetsAreOfTheShippedText$ -pin

// pin rewrites the hashes in the shipped sets. Questions that rest on a passage which is gone make the test fail still, until somebody
// has read them again.
var pin = flag.Bool("pin", false, "write the hashes of the shipped constitutions into the shipped questions")

func TestShippedSetsAreOfTheShippedText(t *testing.T) {
	files, err := filepath.Glob("questions/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no questions", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if *pin {
			if text, err = pinned(text); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := constitution.Shipped(s.Constitution.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Fits(c); err != nil || s.Constitution.Hash != c.Hash() {
			t.Errorf("%s: the constitution has changed: %v\nread the questions about it again, then run go generate ./eval/understanding", file, err)
		}
		for _, found := range s.Lint(c) {
			t.Errorf("%s: %s", file, found)
		}
		if want := strings.TrimSuffix(filepath.Base(file), ".yaml"); s.Name != want {
			t.Errorf("%s: its name is %q", file, s.Name)
		}
	}
}

const openEnd = "\nquestions:\n"

// pinned puts the present hashes into the head of a file of questions and leaves the questions as they are written.
func pinned(text []byte) ([]byte, error) {
	head, rest, ok := bytes.Cut(text, []byte(openEnd))
	if !ok {
		return nil, fmt.Errorf("no line of its own says questions:")
	}
	var name string
	var out bytes.Buffer
	for _, line := range strings.Split(string(head), "\n") {
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
		}
		if given, ok := strings.CutPrefix(line, "name: "); ok {
			name = given
		}
	}
	c, err := constitution.Shipped(name)
	if err != nil {
		return nil, err
	}
	cited := map[string]bool{}
	for _, line := range strings.Split(string(rest), "\n") {
		if list, ok := strings.CutPrefix(line, "    principles: ["); ok {
			for _, id := range strings.Split(strings.TrimSuffix(list, "]"), ", ") {
				cited[id] = true
			}
		}
	}
	fmt.Fprintf(&out, "name: %s\nconstitution:\n  name: %s\n  hash: %s\nprinciples:\n", name, name, c.Hash())
	for _, id := range slices.Sorted(maps.Keys(cited)) {
		p, ok := c.Principle(id)
		if !ok {
			return nil, fmt.Errorf("questions cite %q, which %s doesn't have", id, name)
		}
		fmt.Fprintf(&out, "  %s: %s\n", id, p.Hash())
	}
	return append([]byte(strings.TrimSuffix(out.String(), "\n")+openEnd), rest...), nil
}

func TestTheShippedSetCoversItsConstitution(t *testing.T) {
	s, err := Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		if s.Count(k) < 30 {
			t.Errorf("%d questions of kind %s", s.Count(k), k)
		}
	}
	for _, q := range s.Questions {
		if len(q.Ask) != 2 {
			t.Errorf("%s has %d wordings", q.ID, len(q.Ask))
		}
		if want := map[Kind]string{Recall: "recall-", FalsePremise: "premise-", Open: "open-"}[q.Kind]; !strings.HasPrefix(q.ID, want) {
			t.Errorf("%s is of kind %s", q.ID, q.Kind)
		}
		if q.Kind == Open && (len(q.Principles) != 2 || q.Expect == "") {
			t.Errorf("%s: an open question weighs two principles, and says how they bear on it", q.ID)
		}
		for _, ask := range q.Ask { // what it is about must not be named by the project's own terms
			for _, word := range []string{"principle id", "Astra may", "recall", "Mismatch"} {
				if strings.Contains(ask, word) {
					t.Errorf("%s asks with %q: %s", q.ID, word, ask)
				}
			}
		}
	}
}
