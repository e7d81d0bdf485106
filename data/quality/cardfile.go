package quality

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/because-lab/because"
)

const opReadCard = "read card"

// maxCard bounds a card in bytes.
const maxCard = 64 << 20

// ReadCard reads the card of a path, strictly. A missing one is os.ErrNotExist.
func ReadCard(path string) (Card, error) {
	f, err := os.Open(path)
	if err != nil {
		return Card{}, because.E(opReadCard, path, err, "")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCard+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Card{}, because.E(opReadCard, path, err, "")
	}
	return ParseCard(path, text)
}

// ParseCard reads the text of a card; name says in errors where it comes from.
func ParseCard(name string, text []byte) (Card, error) {
	var c Card
	fail := func(err error) (Card, error) {
		return Card{}, because.E(opReadCard, name, err, "it is no card of this version; move it away to have a new one")
	}
	if len(text) > maxCard {
		return fail(fmt.Errorf("it has more than %d MiB", maxCard>>20))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return fail(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fail(errors.New("it goes on after the card"))
	}
	if c.Records < 1 {
		return fail(errors.New("it counts no records"))
	}
	return c, nil
}

// With adds what judges found to a card. An entry of the same judge, rubric, constitution and seed takes the place of an earlier one, and
// entries about another file than the new ones' go, since their records are no longer these.
func (c Card) With(judged ...Judged) Card {
	kept := slices.DeleteFunc(slices.Clone(c.Judged), func(old Judged) bool {
		return slices.ContainsFunc(judged, func(j Judged) bool { return old.File != j.File || old.what() == j.what() })
	})
	c.Judged = append(kept, judged...)
	slices.SortStableFunc(c.Judged, func(a, b Judged) int { return bytes.Compare([]byte(a.what()), []byte(b.what())) })
	return c
}

// what tells entries apart.
func (j Judged) what() string {
	return fmt.Sprintf("%q %q %q %q %q %d", j.Rubric, j.Judge, j.Hash, j.Setup, j.Constitution, j.Seed)
}

// Made keeps from an earlier card of the same file how its records were made and judged. A card of other records is an error where it says how
// they were made, since nothing else does; what only measured and judged other records is forgotten. Path is the earlier card's.
func (c Card) Made(earlier Card, path string) (Card, error) {
	same := earlier.Records == c.Records && earlier.Words == c.Words && earlier.Tokens == c.Tokens
	if !same && earlier.Recipe != "" {
		return c, because.E("keep card", path, fmt.Errorf("it is of other records: it counts %d with %d words, the file has %d with %d",
			earlier.Records, earlier.Words, c.Records, c.Words), "move it away, or make the file again")
	}
	if same {
		c.Recipe, c.Version, c.Constitution, c.Seed = earlier.Recipe, earlier.Version, earlier.Constitution, earlier.Seed
		c.Wanted, c.Surplus, c.Stages = earlier.Wanted, earlier.Surplus, earlier.Stages
		c.Judged = earlier.Judged
	}
	return c, nil
}

// JudgedOf gives the entries about the file of a hash.
func (c Card) JudgedOf(sha256 string) []Judged {
	var out []Judged
	for _, j := range c.Judged {
		if j.File == sha256 {
			out = append(out, j)
		}
	}
	return out
}
