package page

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// DefaultQuestion is what a reader judges by who is given nothing else.
const DefaultQuestion = "Which of the two would you rather train a model on?"

const defaultPairs = 50

const opBlind = "make blind page"

// Matching counts the pairs by what they were matched by; "random" are those that share nothing.
type Matching map[string]int

// String names the counts, the closest matches first.
func (m Matching) String() string {
	var out []string
	for _, s := range shared {
		if n := m[s.by]; n > 0 {
			out = append(out, fmt.Sprintf("%d by %s", n, s.by))
		}
	}
	if n := m[atRandom]; n > 0 {
		out = append(out, fmt.Sprintf("%d at random", n))
	}
	return strings.Join(out, ", ")
}

const atRandom = "random"

// comparing is the data of a blind page. It says nothing about files; Sealed does, and is opened when the reader has judged.
type comparing struct {
	Page     string   `json:"page"` // identifies files, draw and question, for what the browser remembers
	Question string   `json:"question"`
	Matched  string   `json:"matched"`
	Pairs    []choice `json:"pairs"`
	Key      uint32   `json:"key"`
	Sealed   string   `json:"sealed"`
}

// choice is a pair as it is shown.
type choice struct {
	By    string   `json:"by"`
	Value string   `json:"value,omitempty"` // what both share
	Both  []record `json:"both,omitempty"`  // the beginning of a conversation, where both have the same
	Left  record   `json:"left"`
	Right record   `json:"right"`
}

// secret is what a blind page hides: the head of a file of judgments, and for each pair its rows and which file stands left.
type secret struct {
	Head  Head     `json:"head"`
	Pairs []hidden `json:"pairs"`
}

type hidden struct {
	A    int    `json:"a"` // rows from 1
	B    int    `json:"b"`
	Left string `json:"left"` // a or b
}

// Blind writes a page on which a reader judges pairs of records of two corpora without knowing which is whose. Equal files and options give
// equal bytes. It gives the number of pairs by what they were matched by.
func Blind(w io.Writer, a, b Corpus, o Options) (Matching, error) {
	if a.Sum == b.Sum {
		return nil, because.E(opBlind, a.Path+" and "+b.Path, errSame, "compare two different files")
	}
	if ka, kb := kinds(a.Rows), kinds(b.Rows); !slices.Equal(ka, kb) {
		return nil, because.E(opBlind, a.Path+" and "+b.Path, fmt.Errorf("their records are of other kinds (%s and %s), so a reader would tell them apart",
			strings.Join(ka, ", "), strings.Join(kb, ", ")), "compare files of one kind")
	}
	if o.Question == "" {
		o.Question = DefaultQuestion
	}
	if o.Number == 0 {
		o.Number = defaultPairs
	}
	// The seed alone would put the same side first on every page that a reader judges, so the files go in too.
	sum := sha256.Sum256(fmt.Appendf(nil, "blind page\x00%d %s %s %d %q", o.Seed, a.Sum, b.Sum, o.Number, o.Question))
	random := rand.New(rand.NewChaCha8(sum))
	list := pairs(a.Rows, b.Rows, o.Number, random)
	if len(list) == 0 {
		return nil, because.E(opBlind, a.Path+" and "+b.Path, errors.New("there are no pairs"), "")
	}
	id := sha256.Sum256(append([]byte("page id\x00"), sum[:]...))
	data := comparing{Page: hex.EncodeToString(id[:8]), Question: o.Question, Key: random.Uint32() | 1}
	name := names(a, b)
	s := secret{Head: Head{Format: format, Version: version, Page: data.Page, Question: o.Question, A: File{name[0], a.Sum}, B: File{name[1], b.Sum}, Seed: o.Seed, Pairs: len(list)}}
	m := Matching{}
	for _, p := range list {
		c, h := lay(a.Rows[p.a], b.Rows[p.b], p, random.IntN(2) == 0)
		m[c.By]++
		data.Pairs, s.Pairs = append(data.Pairs, c), append(s.Pairs, h)
	}
	data.Matched = m.String()
	text, err := json.Marshal(s)
	if err != nil {
		return nil, because.E(opBlind, a.Path, err, "")
	}
	data.Sealed = seal(text, data.Key)
	return m, write(w, "Blind comparison", "blind.js", data)
}

// lay puts a pair on its sides, with what both begin with taken out.
func lay(a, b columns.Row, p pair, aLeft bool) (choice, hidden) {
	c, h := choice{By: p.by, Value: p.value}, hidden{p.a + 1, p.b + 1, "b"}
	if p.by == "" {
		c.By = atRandom
	}
	c.Left, c.Right = content(b), content(a)
	if aLeft {
		h.Left = "a"
		c.Left, c.Right = c.Right, c.Left
	}
	c.lift()
	return c, h
}

// lift takes out the messages with which both sides begin, and tools that both have. Each side keeps one message at least.
func (c *choice) lift() {
	l, r := &c.Left, &c.Right
	var both record
	if len(l.Tools) > 0 && reflect.DeepEqual(l.Tools, r.Tools) {
		both.Tools, l.Tools, r.Tools = l.Tools, nil, nil
	}
	ml, mr := l.Parts[0].Messages, r.Parts[0].Messages
	n := 0
	for n < len(ml) && n < len(mr) && reflect.DeepEqual(ml[n], mr[n]) {
		n++
	}
	switch {
	case n > 0 && n == len(ml) && n == len(mr) && len(l.Parts) > 1 && len(r.Parts) > 1: // a prompt, with answers in parts of their own
		both.Parts = l.Parts[:1]
		l.Parts, r.Parts = l.Parts[1:], r.Parts[1:]
	case n > 0:
		if n = min(n, len(ml)-1, len(mr)-1); n > 0 {
			both.Parts = []part{{Messages: ml[:n]}}
			l.Parts[0].Messages, r.Parts[0].Messages = ml[n:], mr[n:]
		}
	}
	if both.Parts != nil || both.Tools != nil {
		c.Both = []record{both}
	}
}

// kinds lists the kinds of records, sorted.
func kinds(rows []columns.Row) []string {
	var out []string
	for _, r := range rows {
		if k := string(r.Kind()); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
