package quality

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/internal/words"
)

// Reserved is what an evaluation keeps to itself.
type Reserved struct {
	Name  string
	Texts []string // of which runs of 8 and 13 words are looked for
	Spans []string // sentences that are looked for whole, such as scenario.DecisiveSpans
}

// The sorts of hits. Runs of 13 words are the field's usual sign of contamination (Brown et al., "Language models are few-shot learners",
// 2020); runs of 8 find more, turns of phrase among them that anybody may use; a span is decisive.
const (
	HitSpan = "span"
	Hit13   = "13-gram"
	Hit8    = "8-gram"
)

// Hit is a place of a record that holds something reserved.
type Hit struct {
	Row      int    `json:"row"` // from 1
	Place    string `json:"place"`
	Sort     string `json:"sort"`
	Reserved string `json:"reserved"` // whose
	Text     string `json:"text"`     // as the record has it
}

// Contamination says what of a file is reserved.
type Contamination struct {
	Checked int            `json:"checked"` // records
	Against map[string]int `json:"against"` // words and spans looked for, by whose they are
	Records map[string]int `json:"records"` // with at least one hit, by sort
	Hits    []Hit          `json:"hits,omitempty"`
}

// mostHits bounds the hits that are listed; records are counted beyond.
const mostHits = 200

// Index finds what is reserved in records.
type Index struct {
	against map[string]int
	grams   map[int]map[uint64]string // by length: whose
	spans   map[uint64][]reservedSpan // by the hash of their first words
}

type reservedSpan struct {
	owner string
	words []uint64
}

// spanHead is how many first words find a span.
const spanHead = 4

// NewIndex makes an index. A span has at least four words; one that has fewer would be found anywhere, and is an error.
func NewIndex(reserved ...Reserved) (*Index, error) {
	x := &Index{against: map[string]int{}, grams: map[int]map[uint64]string{8: {}, 13: {}}, spans: map[uint64][]reservedSpan{}}
	for _, r := range reserved {
		for _, text := range r.Texts {
			ws := words.Split(text)
			x.against[r.Name] += len(ws)
			for n, grams := range x.grams {
				for i := 0; i+n <= len(ws); i++ {
					key := words.Gram(ws[i : i+n])
					if _, ok := grams[key]; !ok {
						grams[key] = r.Name
					}
				}
			}
		}
		for _, span := range r.Spans {
			ws := words.Split(span)
			if len(ws) < spanHead {
				return nil, because.E("check contamination", r.Name, fmt.Errorf("the span %q has fewer than %d words", span, spanHead), "")
			}
			hashes := make([]uint64, len(ws))
			for i, w := range ws {
				hashes[i] = w.Hash
			}
			key := words.Gram(ws[:spanHead])
			x.spans[key] = append(x.spans[key], reservedSpan{r.Name, hashes})
			x.against[r.Name]++
		}
	}
	return x, nil
}

// Find gives the hits of a row, without its number: all spans, and runs of words as long as they go on.
func (x *Index) Find(r columns.Row) []Hit {
	var hits []Hit
	for _, t := range r.Texts() {
		ws := words.Split(t.Text)
		add := func(sort, owner string, from, to int) {
			hits = append(hits, Hit{Place: t.Place, Sort: sort, Reserved: owner, Text: t.Text[ws[from].From:ws[to-1].To]})
		}
		x.findSpans(ws, add)
		x.findRuns(ws, add)
	}
	return hits
}

func (x *Index) findSpans(ws []words.Word, add func(sort, owner string, from, to int)) {
	for i := 0; i+spanHead <= len(ws); i++ {
		for _, s := range x.spans[words.Gram(ws[i:i+spanHead])] {
			if i+len(s.words) > len(ws) {
				continue
			}
			same := true
			for j, h := range s.words {
				same = same && ws[i+j].Hash == h
			}
			if same {
				add(HitSpan, s.owner, i, i+len(s.words))
			}
		}
	}
}

// findRuns joins runs that overlap; one that holds 13 words in a row is a hit of that sort.
func (x *Index) findRuns(ws []words.Word, add func(sort, owner string, from, to int)) {
	for i := 0; i+8 <= len(ws); {
		owner, ok := x.grams[8][words.Gram(ws[i:i+8])]
		if !ok {
			i++
			continue
		}
		sort, end := Hit8, i
		for ; end+8 <= len(ws); end++ {
			if _, ok := x.grams[8][words.Gram(ws[end:end+8])]; !ok {
				break
			}
			if end+13 <= len(ws) {
				if _, ok := x.grams[13][words.Gram(ws[end:end+13])]; ok {
					sort = Hit13
				}
			}
		}
		add(sort, owner, i, end+7)
		i = end + 7
	}
}

// Contaminated checks the rows of a file against what is reserved.
func Contaminated(rows iter.Seq2[columns.Row, error], x *Index) (Contamination, error) {
	c := Contamination{Against: x.against, Records: map[string]int{HitSpan: 0, Hit13: 0, Hit8: 0}}
	for r, err := range rows {
		if err != nil {
			return c, err
		}
		c.Checked++
		sorts := map[string]bool{}
		for _, h := range x.Find(r) {
			h.Row = c.Checked
			sorts[h.Sort] = true
			if len(c.Hits) < mostHits {
				c.Hits = append(c.Hits, h)
			}
		}
		for s := range sorts {
			c.Records[s]++
		}
	}
	if c.Checked == 0 {
		return c, because.E("check contamination", "", errors.New("there are no records"), "")
	}
	return c, nil
}

// Write prints what was found, with places.
func (c Contamination) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records checked against", c.Checked)
	names := make([]string, 0, len(c.Against))
	for name := range c.Against {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, " %s (%d words and spans)", name, c.Against[name])
	}
	fmt.Fprintf(&b, "\nrecords with a decisive span: %d, with 13 words in a row: %d, with 8: %d\n", c.Records[HitSpan], c.Records[Hit13], c.Records[Hit8])
	hits := slices.Clone(c.Hits)
	order := map[string]int{HitSpan: 0, Hit13: 1, Hit8: 2}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(order[a.Sort], order[b.Sort]) })
	for _, h := range hits {
		fmt.Fprintf(&b, "  row %d, %s: %s of %s: %q\n", h.Row, h.Place, h.Sort, h.Reserved, short(h.Text, 160))
	}
	if len(c.Hits) == mostHits {
		fmt.Fprintf(&b, "  (no more than %d are listed)\n", mostHits)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
