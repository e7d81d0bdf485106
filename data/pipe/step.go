package pipe

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// step is how an item came to be from another one: a node of its lineage, shared by all that came of it.
type step struct {
	from   *step
	stage  string // "" for a source's item
	item   string // its id
	fields []field
	prompt string // hash of the prompt file, where there is one
	model  string
	input  string // hash of the item that came
	output string // hash of the item that went on
	tries  []Try

	hash string // once it is written
}

// Try is an answer that could not be used.
type Try struct {
	Answer string `json:"answer"`
	Flaw   string `json:"flaw"`
	Detail string `json:"detail"`
}

// enter makes an item the beginning of a lineage.
func enter(it Item) Item {
	it.from = &step{item: it.id, fields: it.fields, output: it.Hash()}
	return it
}

// follow records how out came from in; where nothing changed, it is in's step.
func follow(in, out Item, stage string, made step) Item {
	if out.id == in.id && slices.Equal(out.fields, in.fields) && made.prompt == "" && made.model == "" {
		out.from = in.from
		return out
	}
	made.from, made.stage, made.item, made.fields, made.output = in.from, stage, out.id, out.fields, out.Hash()
	if in.from != nil {
		made.input = in.from.output
	}
	out.from = &made
	return out
}

// key identifies a step in a lineage file.
func (s *step) key() string {
	from := ""
	if s.from != nil {
		from = s.from.key()
	}
	if s.hash == "" {
		sum := sha256.Sum256([]byte(from + "\x00" + s.stage + "\x00" + s.item + "\x00" + s.output))
		s.hash = hex.EncodeToString(sum[:])[:16]
	}
	return s.hash
}

// chain lists the steps from the source on.
func (s *step) chain() []*step {
	var out []*step
	for ; s != nil; s = s.from {
		out = append(out, s)
	}
	slices.Reverse(out)
	return out
}
