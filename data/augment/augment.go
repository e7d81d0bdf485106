// Package augment makes chat environments more diverse: it copies prompts and conversations, and adds tool definitions and a system prompt. The user's
// part stays as it is, byte for byte, and the tools are never needed. Training on such copies beside the originals was found to help ("Teaching
// Claude why", 2026).
//
// The packages below this one are recipes for what such environments start from, and for the experiments on what a constitution's reasons add: requests
// (RL prompts with their rubrics), variants (rules, rules with sub-rules, rules with reasons), and probes (questions that tell apart for which reasons
// something was learnt).
package augment

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
)

//go:embed prompts/*.md
var files embed.FS

// Options say what is copied and what is added.
type Options struct {
	Source string       // file of records: prompts for RL or conversations
	Kind   columns.Kind // of these: RL or SFT; "": that of the file's first record
	// Copies is how many copies are made of each record, each with other tools and another system prompt; 0: 1.
	Copies  int
	Library string // folder with tools/*.yaml and systems.yaml that go before the shipped ones
	Prompts string // folder whose prompt files take the places of the shipped ones
	// Write has a writer make the system prompts, a request each. Otherwise they are taken from the library, and nothing is asked.
	Write bool
	Tools [2]int // least and most tools of a copy; zero: 2 to 7
	Seed  uint64 // of what is added
}

const op = "prepare augmented environments"

// Recipe copies records. A record that has a system prompt keeps it, and gets tools alone; one that has tools is left out and counted. The copy's further
// columns are the original's, and source, tools_from and system_from name what it was made from.
func Recipe(o Options) (*pipe.Recipe, error) {
	if o.Copies <= 0 {
		o.Copies = 1
	}
	if o.Tools == [2]int{} {
		o.Tools = [2]int{2, 7}
	}
	if o.Source == "" {
		return nil, because.E(op, "source", errors.New("no file is named"), "")
	}
	if o.Kind == "" {
		var err error
		if o.Kind, err = kindOf(o.Source); err != nil {
			return nil, err
		}
	}
	switch {
	case o.Kind != columns.RL && o.Kind != columns.SFT:
		return nil, because.E(op, string(o.Kind), errors.New("prompts (rl) and conversations (sft) can be augmented"), "")
	case o.Tools[0] < 1 || o.Tools[1] < o.Tools[0]:
		return nil, because.E(op, "tools", fmt.Errorf("from %d to %d", o.Tools[0], o.Tools[1]), "the least is 1 or more, and the most no less")
	}
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, err
	}
	lib, err := OpenLibrary(o.Library)
	if err != nil {
		return nil, err
	}
	c := copier{o, lib}
	r := &pipe.Recipe{Name: "augment", Version: "1", Prompts: set, Kind: o.Kind, Source: c.source(), Record: c.record,
		Stages: []pipe.Stage{
			pipe.Filter{Name: "plain", Keep: plain},
			pipe.Map{Name: "tools", Do: c.tools, Adds: map[string]int{"tools_list": 120, "place": 20, "length": 12, "opening": 12}}}}
	if o.Write {
		r.Stages = append(r.Stages, pipe.Ask{Name: "system", Uses: []string{"tools_list", "place", "length", "opening"}})
	} else {
		r.Stages = append(r.Stages, pipe.Map{Name: "system", Do: c.system})
	}
	return r, nil
}

// kindOf tells the kind of a file's first record.
func kindOf(path string) (columns.Kind, error) {
	for row, err := range columns.Read(path) {
		return row.Kind(), err
	}
	return "", nil // Read gives a row or an error
}

// copier makes copies.
type copier struct {
	o   Options
	lib *Library
}

// source gives the records of the file: its rows as JSON, with a digest by which the copy is compared in the end.
func (c copier) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		n := 0
		for row, err := range columns.Read(c.o.Source) {
			n++
			if err == nil {
				err = columns.Check(c.o.Kind, row)
			}
			if err != nil {
				yield(pipe.Item{}, err)
				return
			}
			for k := range c.o.Copies {
				it := pipe.New(fmt.Sprintf("%07d.%d", n, k+1)).WithJSON("messages", c.messages(row)).WithJSON("extra", row.Extra).
					With("digest", digest(c.messages(row)), "has_tools", fmt.Sprint(len(row.Tools)))
				if !yield(it, nil) {
					return
				}
			}
		}
	}
}

func (c copier) messages(r columns.Row) []because.Message {
	if c.o.Kind == columns.RL {
		return r.Prompt
	}
	return r.Messages
}

// digest identifies messages by everything they say, byte for byte, but for white space between the parts of a call's arguments.
func digest(messages []because.Message) string {
	h := sha256.New()
	for _, m := range messages {
		fmt.Fprintf(h, "%q %q %q %d:%s %q", m.Role, m.Name, m.ToolCallID, len(m.Content), m.Content, m.Reasoning)
		for _, call := range m.ToolCalls {
			var args bytes.Buffer
			if json.Compact(&args, call.Arguments) != nil {
				args.Write(call.Arguments)
			}
			fmt.Fprintf(h, " %q %q %s", call.ID, call.Name, args.Bytes())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func plain(it pipe.Item) string {
	if it.Get("has_tools") != "0" {
		return "has tools of its own"
	}
	return ""
}

// rand gives chance that depends on the seed, the item and a purpose.
func (c copier) rand(it pipe.Item, purpose string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", purpose, it.ID())
	return rand.New(rand.NewPCG(c.o.Seed, h.Sum64()))
}

var (
	places = []string{"a place that is open to the public", "a place behind the scenes that few people see", "a place in a small town", "a firm with many branches", "a society of volunteers",
		"a place where people are often in a hurry", "a place where people are often worried", "a public office", "a place that works at night", "a place run by three people who know each other well",
		"a place with strict routines", "a seasonal business"}
	openingsOf = []string{`with what the place is, in a phrase without "You are"`, "with an instruction", "with who the users are", "with a local fact", "as a note to a new colleague would begin", `with "You are"`,
		"with a heading or a label", "with what usually goes wrong"}
	lengthsOf = []string{"One or two sentences.", "Three to five sentences.", "A short paragraph and two or three terse notes below it.", "Six to ten sentences.", "A single line."}
)

// tools draws a domain and some of its tools, now and then with one of another domain.
func (c copier) tools(it pipe.Item) ([]pipe.Item, error) {
	r := c.rand(it, "tools")
	d := c.lib.Domains[r.IntN(len(c.lib.Domains))]
	want := c.o.Tools[0] + r.IntN(c.o.Tools[1]-c.o.Tools[0]+1)
	var chosen []because.Tool
	for _, i := range r.Perm(len(d.Tools))[:min(want, len(d.Tools))] {
		chosen = append(chosen, d.Tools[i])
	}
	for extra := c.others(d.Name, r); len(chosen) < want && len(extra) > 0; extra = extra[1:] {
		chosen = append(chosen, extra[0])
	}
	var list strings.Builder
	for _, t := range chosen {
		fmt.Fprintf(&list, "- %s: %s\n", t.Name, t.Description)
	}
	return []pipe.Item{it.WithJSON("tools", chosen).With("domain", d.Name, "tools_list", strings.TrimSpace(list.String()),
		"place", places[r.IntN(len(places))], "length", lengthsOf[r.IntN(len(lengthsOf))], "opening", openingsOf[r.IntN(len(openingsOf))])}, nil
}

// others gives a shuffled list of the tools of all other domains.
func (c copier) others(domain string, r *rand.Rand) []because.Tool {
	var out []because.Tool
	for _, d := range c.lib.Domains {
		if d.Name != domain {
			out = append(out, d.Tools...)
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// system takes a system prompt from the library: one for the domain as often as one for all.
func (c copier) system(it pipe.Item) ([]pipe.Item, error) {
	r := c.rand(it, "system")
	var own, general []string
	for _, s := range c.lib.Systems {
		if len(s.Domains) == 0 {
			general = append(general, s.Text)
		}
		for _, d := range s.Domains {
			if d == it.Get("domain") {
				own = append(own, s.Text)
			}
		}
	}
	from := general
	if len(own) > 0 && r.IntN(2) == 0 {
		from = own
	}
	return []pipe.Item{it.With("system", from[r.IntN(len(from))])}, nil
}

func (c copier) record(it pipe.Item) (pipe.Record, error) {
	var rec pipe.Record
	var messages []because.Message
	if err := errors.Join(it.JSON("messages", &messages), it.JSON("extra", &rec.Extra), it.JSON("tools", &rec.Tools)); err != nil {
		return rec, err
	}
	if digest(messages) != it.Get("digest") {
		return rec, fmt.Errorf("the messages of the copy %s are not the original's", it.ID())
	}
	system := "original"
	if len(messages) == 0 || messages[0].Role != because.RoleSystem {
		messages = append([]because.Message{{Role: because.RoleSystem, Content: it.Get("system")}}, messages...)
		system = "library"
		if c.o.Write {
			system = "written"
		}
	}
	if c.o.Kind == columns.RL {
		rec.Prompt = messages
	} else {
		rec.Messages = messages
	}
	rec.Kind = it.Get("domain")
	return rec, columnsOf(&rec.Row, it, system)
}

// columnsOf adds what the copy was made from; id and lineage are the copy's own.
func columnsOf(row *columns.Row, it pipe.Item, system string) error {
	if row.Extra == nil {
		row.Extra = map[string]json.RawMessage{}
	}
	source, _, _ := strings.Cut(it.ID(), ".")
	own := any(strings.TrimLeft(source, "0"))
	if id, ok := row.Extra["id"]; ok {
		own = id
	}
	delete(row.Extra, "id")
	delete(row.Extra, "lineage")
	for name, v := range map[string]any{"source": own, "tools_from": it.Get("domain"), "system_from": system} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		row.Extra[name] = text
	}
	return nil
}
