package pipe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/internal/input"
)

// Story tells how a record, or an item that was dropped, came to be.
type Story struct {
	ID           string
	Row          int // in the file of records, from 1; 0: it was dropped
	Recipe       string
	Version      string
	Seed         uint64
	Constitution string
	Principle    string
	Kind         string
	Dropped      string // reason
	DroppedIn    string // stage
	Tries        []Try  // answers because of which it was dropped
	Steps        []StoryStep
}

// StoryStep is one stage of a story; the first one is the source's item.
type StoryStep struct {
	Stage   string
	Item    string
	Prompt  string // name of the prompt file, "" where there is none
	Hash    string // of the prompt file
	Model   string
	Request []because.Message // the prompt as it was sent, but for notes on earlier answers and a stage's own changes (Ask.Request)
	Tries   []Try
	Texts   []TextChange
}

// TextChange is a text that a stage set or took away.
type TextChange struct {
	Name          string
	Before, After string
	Had, Has      bool
}

// lineageIndex finds lines of a lineage file.
type lineageIndex struct {
	path    string
	run     line
	last    line // the record or drop that is asked for
	steps   map[string]span
	texts   map[string]int64
	prompts map[string]line
	ids     []string
}

// span is where a step's line begins, and the step before it.
type span struct {
	at   int64
	from string
}

func lineOf(path string, n int) string { return fmt.Sprintf("%s:%d", path, n) }

// Explain tells the story of a record of a file: by its id, or by the number of its row. Items that were dropped have a story too.
func Explain(records, id string) (Story, error) {
	x := &lineageIndex{path: records + LineageSuffix, steps: map[string]span{}, texts: map[string]int64{}, prompts: map[string]line{}}
	if err := scanLineage(x.path, func(at int64, l line) error { return x.note(at, l, id) }); err != nil {
		return Story{}, err
	}
	if x.last.Line == "" {
		return Story{}, because.E("explain record", id, errors.New("no record and no dropped item has this id"), input.DidYouMean(id, x.ids))
	}
	f, err := os.Open(x.path)
	if err != nil {
		return Story{}, because.E("explain record", id, err, "")
	}
	defer f.Close()
	s, err := x.story(f)
	if err != nil {
		return s, because.E("explain record", id, err, "")
	}
	return s, nil
}

// note takes a line into the index.
func (x *lineageIndex) note(at int64, l line, id string) error {
	switch l.Line {
	case "run":
		x.run = l
	case "prompt":
		x.prompts[l.Hash] = l
	case "text":
		x.texts[l.Hash] = at
	case "step":
		x.steps[l.Hash] = span{at, l.From}
	case "record", "drop":
		if l.Item == id || l.Row > 0 && fmt.Sprint(l.Row) == id {
			x.last = l
		}
		if len(x.ids) < 1000 {
			x.ids = append(x.ids, l.Item)
		}
	default:
		return fmt.Errorf("a line of unknown sort, %q", l.Line)
	}
	return nil
}

// story reads the steps of the line that was asked for.
func (x *lineageIndex) story(f io.ReaderAt) (Story, error) {
	l := x.last
	s := Story{ID: l.Item, Row: l.Row, Recipe: x.run.Recipe, Version: x.run.Version, Seed: x.run.Seed, Constitution: x.run.Constitution,
		Principle: l.Principle, Kind: l.Kind, Dropped: l.Reason, DroppedIn: l.Stage, Tries: l.Tries}
	var chain []string
	for hash := l.From; hash != ""; hash = x.steps[hash].from {
		if _, ok := x.steps[hash]; !ok || len(chain) > len(x.steps) {
			return s, fmt.Errorf("the step %s is missing from %s", hash, x.path)
		}
		chain = append(chain, hash)
	}
	slices.Reverse(chain)
	var it Item
	for _, hash := range chain {
		var step line
		if err := readLine(f, x.steps[hash].at, &step); err != nil {
			return s, err
		}
		out, told, err := x.step(f, it, step)
		if err != nil {
			return s, err
		}
		s.Steps, it = append(s.Steps, told), out
	}
	return s, nil
}

// step applies a step's changes to the item before it.
func (x *lineageIndex) step(f io.ReaderAt, before Item, l line) (Item, StoryStep, error) {
	out := StoryStep{Stage: l.Stage, Item: l.Item, Hash: l.Prompt, Model: l.Model, Tries: l.Tries}
	after := before.Without(l.Unset...)
	after.id = l.Item
	for name, v := range l.Set {
		if v.At != "" {
			var text line
			at, ok := x.texts[v.At]
			if !ok {
				return after, out, fmt.Errorf("the text %s is missing from %s", v.At, x.path)
			}
			if err := readLine(f, at, &text); err != nil {
				return after, out, err
			}
			v.Text = text.Text
		}
		after = after.With(name, v.Text)
	}
	if p, ok := x.prompts[l.Prompt]; ok {
		out.Prompt = p.Name
		out.Request = render(p, before)
	}
	names := append(after.Names(), l.Unset...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, had := before.Lookup(name)
		is, has := after.Lookup(name)
		if had != has || was != is {
			out.Texts = append(out.Texts, TextChange{name, was, is, had, has})
		}
	}
	return after, out, nil
}

// render makes the request again. A prompt whose answer is JSON has its schema elsewhere, and is shown as its file has it.
func render(p line, it Item) []because.Message {
	parsed, err := prompts.Parse(p.Name+".md", []byte(p.Text))
	if err == nil {
		if messages, err := parsed.Render(it.Lookup); err == nil {
			return messages
		}
	}
	return []because.Message{{Role: because.RoleUser, Content: p.Text}}
}

func readLine(f io.ReaderAt, at int64, into *line) error {
	return json.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(f, at, 1<<62), 1<<14)).Decode(into)
}
