package pipe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Item is what flows between stages: named texts under an id. It is a value that never changes; With, Without and Child give changed copies.
// Lists and objects are texts too, as JSON (WithJSON, JSON).
type Item struct {
	id     string
	fields []field // sorted by name
	from   *step   // how it came to be; nil before it has entered a run
}

type field struct{ name, text string }

// New makes an item for a source. Ids are unique in a source, and stay the same from run to run: seeds are drawn from them. Pairs are names
// and texts in turn; an odd number of them panics.
func New(id string, pairs ...string) Item { return Item{id: id}.With(pairs...) }

// ID gives the item's id. An item that was made from another one has that one's id, a slash, and its own part.
func (it Item) ID() string { return it.id }

// Get gives a text, "" where there is none.
func (it Item) Get(name string) string {
	text, _ := it.Lookup(name)
	return text
}

// Lookup gives a text and whether it is there.
func (it Item) Lookup(name string) (string, bool) {
	i, ok := it.find(name)
	if !ok {
		return "", false
	}
	return it.fields[i].text, true
}

// Names lists the names of the texts, sorted.
func (it Item) Names() []string {
	names := make([]string, len(it.fields))
	for i, f := range it.fields {
		names[i] = f.name
	}
	return names
}

// With gives a copy with other texts, given as names and texts in turn.
func (it Item) With(pairs ...string) Item {
	if len(pairs)%2 != 0 {
		panic("pipe: With takes names and texts in turn")
	}
	it.fields = append(make([]field, 0, len(it.fields)+len(pairs)/2), it.fields...)
	for i := 0; i < len(pairs); i += 2 {
		if at, ok := it.find(pairs[i]); ok {
			it.fields[at].text = pairs[i+1]
		} else {
			it.fields = slices.Insert(it.fields, at, field{pairs[i], pairs[i+1]})
		}
	}
	return it
}

// Without gives a copy that lacks some texts: what is injected into a prompt is taken away like this before the record is made.
func (it Item) Without(names ...string) Item {
	it.fields = slices.DeleteFunc(slices.Clone(it.fields), func(f field) bool { return slices.Contains(names, f.name) })
	return it
}

// Child gives a copy whose id goes on with a part of its own. A stage that makes several items of one gives each another part, made from
// the content or the place, never from chance.
func (it Item) Child(part string, pairs ...string) Item {
	it.id += "/" + part
	return it.With(pairs...)
}

// WithJSON gives a copy in which a text is a value as JSON. It panics on values that have no JSON.
func (it Item) WithJSON(name string, v any) Item {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("pipe: %s: %v", name, err))
	}
	return it.With(name, string(text))
}

// JSON reads a text that is JSON.
func (it Item) JSON(name string, into any) error {
	text, ok := it.Lookup(name)
	if !ok {
		return fmt.Errorf("the item %s has no %s", it.id, name)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("the item %s: %s: %w", it.id, name, err)
	}
	return nil
}

// Hash identifies the item's id and texts.
func (it Item) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", it.id)
	for _, f := range it.fields {
		fmt.Fprintf(h, " %d:%s %d:", len(f.name), f.name, len(f.text))
		h.Write([]byte(f.text))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (it Item) find(name string) (int, bool) {
	return slices.BinarySearchFunc(it.fields, name, func(f field, n string) int { return strings.Compare(f.name, n) })
}
