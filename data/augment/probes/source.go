package probes

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/internal/input"
)

// domain is a field that probes are about.
type domain struct {
	Name  string `yaml:"name"`
	About string `yaml:"about"`
}

// matter is a principle in both constitutions.
type matter struct{ a, b *constitution.Principle }

// writer lays out matters and domains.
type writer struct {
	o       Options
	matters []matter
	domains []domain
	spans   *quality.Index
}

func (o Options) open(want func(a, b *constitution.Principle) bool) (*writer, *prompts.Set, error) {
	if o.A == nil || o.B == nil {
		return nil, nil, because.E(op, "constitutions", errors.New("two are needed"), "")
	}
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, nil, err
	}
	w := &writer{o: o}
	for _, a := range o.A.Principles {
		if b, ok := o.B.Principle(a.ID); ok && want(a, b) {
			w.matters = append(w.matters, matter{a, b})
		}
	}
	if len(w.matters) == 0 {
		return nil, nil, because.E(op, o.A.Name+" and "+o.B.Name, errors.New("no principle of the same id suits"),
			"probes need principles with different reasons, demonstrations such with the same statement")
	}
	if w.domains, err = o.domains(); err != nil {
		return nil, nil, err
	}
	w.spans, err = quality.SpanIndex(o.Spans)
	return w, set, err
}

func (o Options) domains() ([]domain, error) {
	file, text, err := "domains.yaml", []byte(nil), error(nil)
	if o.Domains != "" {
		file = o.Domains
		text, err = os.ReadFile(file)
	} else {
		text, err = files.ReadFile(file)
	}
	if err != nil {
		return nil, because.E("read domains of probes", file, err, "")
	}
	return parseDomains(file, text)
}

func parseDomains(file string, text []byte) ([]domain, error) {
	var y struct {
		Domains []domain `yaml:"domains"`
	}
	if err := input.YAML("read domains of probes", file, text, &y); err != nil {
		return nil, err
	}
	if len(y.Domains) == 0 {
		return nil, because.E("read domains of probes", file, errors.New("there is none"), "")
	}
	for i, d := range y.Domains {
		if d.Name == "" || d.About == "" {
			return nil, because.E("read domains of probes", file, fmt.Errorf("domain %d (%q) needs name and about", i+1, d.Name), "")
		}
	}
	return y.Domains, nil
}

func (w *writer) cited() string {
	return w.o.A.Name + "@" + w.o.A.Hash() + " " + w.o.B.Name + "@" + w.o.B.Hash()
}

// source gives every matter once before any comes again, each time with another domain.
func (w *writer) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		for n := 0; ; n++ {
			m := w.matters[n%len(w.matters)]
			d := w.domains[(n/len(w.matters)+n)%len(w.domains)]
			cite, err := w.o.A.Cite(m.a.ID)
			it := pipe.New(fmt.Sprintf("%05d/%s", n, m.a.ID), "principle", cite, "rule", m.a.Statement(),
				"text_a", w.o.A.Text(m.a), "text_b", w.o.B.Text(m.b), "domain", d.Name, "about", d.About)
			if !yield(it, err) {
				return
			}
		}
	}
}

func (w *writer) contamination(names ...string) pipe.Filter {
	return pipe.Filter{Name: "contamination", Keep: func(it pipe.Item) string {
		if len(w.spans.Find(columns.Row{Text: joined(it, names)})) > 0 {
			return "contains what an evaluation reserves"
		}
		return ""
	}}
}

func distinct(names ...string) func(pipe.Item) string {
	near := quality.NewNear(0.5)
	return func(it pipe.Item) string {
		if _, _, found := near.Add(joined(it, names)); found {
			return "nearly the same as an earlier one"
		}
		return ""
	}
}

func joined(it pipe.Item, names []string) string {
	var texts []string
	for _, n := range names {
		texts = append(texts, it.Get(n))
	}
	return strings.Join(texts, "\n")
}
