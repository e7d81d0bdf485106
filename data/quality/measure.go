package quality

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/internal/words"
)

// Options say how records are measured. The zero value has defaults for all.
type Options struct {
	Near   float64  // similarity above which records are nearly the same; 0: 0.5
	Banned []string // names; nil: Overused
	Rules  []Rule   // of style; nil: Rules
}

// Measure reads a file of records and measures it.
func Measure(path string, o Options) (Card, error) { return MeasureRows(columns.Read(path), o) }

// MeasureRows measures rows. They are read a second time if some look alike, to compare these exactly. What is kept in memory of a record are
// hashes, less than a kilobyte, and four bytes a word of those that look like another one.
func MeasureRows(rows iter.Seq2[columns.Row, error], o Options) (Card, error) {
	m, err := newMeter(o)
	if err != nil {
		return Card{}, err
	}
	for r, err := range rows {
		if err != nil {
			return Card{}, err
		}
		if err := m.add(r); err != nil {
			return Card{}, err
		}
	}
	if err := m.compare(rows); err != nil {
		return Card{}, err
	}
	return m.card()
}

// measurer gathers what a card says.
type measurer struct {
	o        Options
	c        Card
	near     sketches
	alike    map[int32][]int32 // records, from 0, with the earlier ones that they look like
	lengths  map[string]*lengths
	openings map[string]*openings
	names    *names
	habits   []Habit
	sample   sample
	packed   packed
	zip      *gzip.Writer
}

// packed counts bytes before and after gzip.
type packed struct{ before, after int }

// Write counts bytes that gzip gives.
func (p *packed) Write(b []byte) (int, error) {
	p.after += len(b)
	return len(b), nil
}

func newMeter(o Options) (*measurer, error) {
	if o.Near == 0 {
		o.Near = 0.5
	}
	if o.Banned == nil {
		o.Banned = Overused
	}
	if o.Rules == nil {
		o.Rules = Rules
	}
	m := &measurer{o: o, near: newSketches(o.Near), alike: map[int32][]int32{}, lengths: map[string]*lengths{}, openings: map[string]*openings{}, names: newNames(o.Banned)}
	m.zip = gzip.NewWriter(&m.packed)
	for _, r := range o.Rules {
		m.habits = append(m.habits, Habit{Rule: r.ID, About: r.About})
	}
	m.c.Kinds, m.c.Principles = map[string]int{}, map[string]int{}
	return m, nil
}

// learnt is what a row teaches: its text, the last answer, or the chosen one. A prompt teaches nothing; its last message stands for it.
func learnt(r columns.Row) string {
	for _, messages := range [][]because.Message{r.Messages, r.Chosen, r.Prompt} {
		if n := len(messages); n > 0 {
			return messages[n-1].Content
		}
	}
	return r.Text
}

// opener is the first message of the user.
func opener(r columns.Row) string {
	for _, messages := range [][]because.Message{r.Messages, r.Prompt} {
		for _, m := range messages {
			if m.Role == because.RoleUser {
				return m.Content
			}
		}
	}
	return ""
}

func (m *measurer) add(r columns.Row) error {
	m.c.Records++
	m.labels(r)
	all := said(r)
	for _, t := range r.Texts() {
		if isTool(t) {
			continue
		}
		n := len(words.Split(t.Text))
		m.c.Words += n
		m.c.Tokens += (len(t.Text) + 3) / 4
		of := string(t.Role)
		if of == "" {
			of = "text"
		}
		if m.lengths[of] == nil {
			m.lengths[of] = &lengths{}
		}
		m.lengths[of].add(n)
		m.style(t)
	}
	m.names.add(all)
	if earlier := m.near.add(shingles(all)); len(earlier) > 0 {
		m.alike[int32(m.c.Records-1)] = earlier
	}
	answer := learnt(r)
	m.open("answer", answer)
	if user := opener(r); user != "" {
		m.open("user", user)
	}
	m.sample.add(answer)
	m.packed.before += len(answer) + 1
	_, err := m.zip.Write([]byte(answer + "\n"))
	return err
}

// isTool tells a tool's definition, which many records share and nobody learns.
func isTool(t columns.Text) bool { return strings.HasPrefix(t.Place, "tools[") }

// said is what a record says.
func said(r columns.Row) string {
	var b strings.Builder
	for _, t := range r.Texts() {
		if !isTool(t) {
			b.WriteString(t.Text + "\n\n")
		}
	}
	return b.String()
}

// mostPairs bounds the pairs that a card lists.
const mostPairs = 20

// compare compares the records that look alike.
func (m *measurer) compare(rows iter.Seq2[columns.Row, error]) error {
	if len(m.alike) == 0 {
		return nil
	}
	needed := map[int32][]uint32{}
	for row, earlier := range m.alike {
		needed[row] = nil
		for _, e := range earlier {
			needed[e] = nil
		}
	}
	row := int32(-1)
	for r, err := range rows {
		if err != nil {
			return err
		}
		row++
		if _, ok := needed[row]; !ok {
			continue
		}
		needed[row] = shingles(said(r))
		earlier, j, found := nearest(m.alike[row], needed[row], m.o.Near, func(e int32) []uint32 { return needed[e] })
		if !found {
			continue
		}
		m.c.Near.Records++
		if len(m.c.Near.Pairs) < mostPairs {
			m.c.Near.Pairs = append(m.c.Near.Pairs, NearPair{int(row) + 1, earlier + 1, round(j)})
		}
	}
	return nil
}

// labels counts by what the lineage says.
func (m *measurer) labels(r columns.Row) {
	l := lineageOf(r)
	if l.Kind != "" {
		m.c.Kinds[l.Kind]++
	}
	if l.Principle != "" {
		m.c.Principles[l.Principle]++
	}
}

// lineage is what of a row's lineage is looked at.
type lineage struct{ Kind, Principle, Sampled string }

// lineageOf reads a row's lineage, where it has one: JSON or, in Parquet, a string that holds JSON.
func lineageOf(r columns.Row) lineage {
	var l lineage
	if json.Unmarshal(r.Extra["lineage"], &l) == nil {
		return l
	}
	var text string
	if json.Unmarshal(r.Extra["lineage"], &text) != nil || json.Unmarshal([]byte(text), &l) != nil {
		return lineage{}
	}
	return l
}

// style looks for habits in one text.
func (m *measurer) style(t columns.Text) {
	role := t.Role
	if role == "" {
		role = because.RoleAssistant
	}
	text := plain(strings.TrimSpace(t.Text))
	for i, r := range m.o.Rules {
		if r.Role != role {
			continue
		}
		m.habits[i].Of++
		if r.broken(text) {
			m.habits[i].N++
		}
	}
}

func (m *measurer) open(of, text string) {
	if m.openings[of] == nil {
		m.openings[of] = &openings{}
	}
	m.openings[of].add(text)
}

func (m *measurer) card() (Card, error) {
	if err := m.zip.Close(); err != nil {
		return Card{}, err
	}
	c := m.c
	if c.Records == 0 {
		return c, because.E("measure records", "", errors.New("there are no records"), "")
	}
	for _, of := range []string{"system", "user", "assistant", "tool", "text"} {
		if l := m.lengths[of]; l != nil {
			c.Lengths = append(c.Lengths, l.length(of))
		}
	}
	c.Near.Above, c.Near.Share = m.o.Near, share(c.Near.Records, c.Records)
	for _, of := range []string{"answer", "user"} {
		if o := m.openings[of]; o != nil {
			c.Openings = append(c.Openings, o.opening(of, 3), o.opening(of, 8))
		}
	}
	c.Names = m.names.list(c.Records)
	for _, h := range m.habits {
		if h.Of > 0 {
			h.Share = share(h.N, h.Of)
			c.Style = append(c.Style, h)
		}
	}
	c.Variety = m.sample.variety()
	if m.packed.after > 0 {
		c.Variety.Compression = round(float64(m.packed.before) / float64(m.packed.after))
	}
	return c, nil
}
