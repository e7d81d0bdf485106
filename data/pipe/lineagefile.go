package pipe

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// line is one line of a lineage file: the run first, then prompts, and before each record the steps that it came by, which it may share with
// others. Long texts stand in lines of their own before they are first used.
type line struct {
	Line string `json:"line"` // run, prompt, text, step, record, drop
	Hash string `json:"hash,omitempty"`

	Recipe       string `json:"recipe,omitempty"` // run
	Version      string `json:"version,omitempty"`
	Seed         uint64 `json:"seed,omitempty"`
	Constitution string `json:"constitution,omitempty"`

	Name string `json:"name,omitempty"` // prompt: its file
	Text string `json:"text,omitempty"` // prompt, text

	From   string           `json:"from,omitempty"` // step, record, drop: the step before
	Stage  string           `json:"stage,omitempty"`
	Item   string           `json:"item,omitempty"`
	Prompt string           `json:"prompt,omitempty"`
	Model  string           `json:"model,omitempty"`
	Set    map[string]value `json:"set,omitempty"`
	Unset  []string         `json:"unset,omitempty"`
	Tries  []Try            `json:"tries,omitempty"`

	Row       int    `json:"row,omitempty"` // record: its number in the file, from 1
	Principle string `json:"principle,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Reason    string `json:"reason,omitempty"` // drop
}

// value is a text, or the hash of one that stands in a line of its own.
type value struct {
	Text string `json:"t,omitempty"`
	At   string `json:"at,omitempty"`
}

// longText is the length from which a text is written once for all steps that set it, in bytes.
const longText = 512

// lineageWriter writes a lineage file.
type lineageWriter struct {
	file    *whole.File
	w       *bufio.Writer
	enc     *json.Encoder
	written map[[16]byte]bool // long texts
}

func createLineage(path string) (*lineageWriter, error) {
	f, err := whole.Create(path)
	if err != nil {
		return nil, because.E("write lineage", path, err, "")
	}
	l := &lineageWriter{file: f, w: bufio.NewWriterSize(f, 1<<16), written: map[[16]byte]bool{}}
	l.enc = json.NewEncoder(l.w)
	l.enc.SetEscapeHTML(false)
	return l, nil
}

func (l *lineageWriter) abort() { l.file.Abort() }

// finish writes out what is left.
func (l *lineageWriter) finish() error {
	l.written = nil
	return errors.Join(l.w.Flush(), l.file.Finish())
}

// commit puts the finished file in its place.
func (l *lineageWriter) commit() error { return l.file.Commit() }

// begin writes the run and its prompts.
func (l *lineageWriter) begin(r *run) error {
	if err := l.enc.Encode(line{Line: "run", Recipe: r.Name, Version: r.Version, Seed: r.o.Seed, Constitution: r.Constitution}); err != nil {
		return err
	}
	if r.Prompts == nil {
		return nil
	}
	for _, name := range r.Prompts.Names() {
		p, err := r.Prompts.Get(name)
		if err != nil {
			return err
		}
		if err := l.enc.Encode(line{Line: "prompt", Hash: p.Hash(), Name: p.Name, Text: p.Source()}); err != nil {
			return err
		}
	}
	return nil
}

// record writes the steps of a record that are not yet there, and the record.
func (l *lineageWriter) record(it Item, row int, rec Record) error {
	if err := l.steps(it.from); err != nil {
		return err
	}
	return l.enc.Encode(line{Line: "record", Item: it.id, From: it.from.key(), Row: row, Principle: rec.Principle, Kind: rec.Kind})
}

// drop writes the same for an item that was dropped.
func (l *lineageWriter) drop(d drop) error {
	if err := l.steps(d.item.from); err != nil {
		return err
	}
	return l.enc.Encode(line{Line: "drop", Item: d.item.id, From: d.item.from.key(), Stage: d.stage, Reason: d.reason, Tries: d.tries})
}

func (l *lineageWriter) steps(s *step) error {
	if s == nil || s.hash != "" { // written already
		return nil
	}
	if err := l.steps(s.from); err != nil {
		return err
	}
	out := line{Line: "step", Hash: s.key(), Stage: s.stage, Item: s.item, Prompt: s.prompt, Model: s.model, Tries: s.tries, Set: map[string]value{}}
	var before Item
	if s.from != nil {
		out.From, before.fields = s.from.key(), s.from.fields
	}
	after := Item{fields: s.fields}
	for _, f := range s.fields {
		if text, ok := before.Lookup(f.name); ok && text == f.text {
			continue
		}
		v, err := l.value(f.text)
		if err != nil {
			return err
		}
		out.Set[f.name] = v
	}
	for _, f := range before.fields {
		if _, ok := after.Lookup(f.name); !ok {
			out.Unset = append(out.Unset, f.name)
		}
	}
	slices.Sort(out.Unset)
	return l.enc.Encode(out)
}

// value writes a long text once.
func (l *lineageWriter) value(text string) (value, error) {
	if len(text) < longText {
		return value{Text: text}, nil
	}
	key := shortHash(text)
	at := hex.EncodeToString(key[:])
	if l.written[key] {
		return value{At: at}, nil
	}
	l.written[key] = true
	return value{At: at}, l.enc.Encode(line{Line: "text", Hash: at, Text: text})
}

// scanLineage gives each line of a file with the place where it begins.
func scanLineage(path string, each func(offset int64, l line) error) error {
	f, err := os.Open(path)
	if err != nil {
		return because.E("read lineage", path, err, "the file stands beside the records, as RECORDS"+LineageSuffix)
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	for n := 1; d.More(); n++ {
		offset := d.InputOffset()
		var l line
		if err := d.Decode(&l); err != nil {
			return because.E("read lineage", lineOf(path, n), err, "")
		}
		if err := each(offset, l); err != nil {
			return because.E("read lineage", lineOf(path, n), err, "")
		}
	}
	return nil
}
