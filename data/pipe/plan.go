package pipe

import (
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model"
)

// Estimate says what a run would ask, before anything is asked. Kept answers are not taken into account.
type Estimate struct {
	Sources  float64 // items that the source gives, or as many of them as are needed
	Records  float64
	Stages   []StageEstimate
	Requests float64
	Input    float64 // tokens, at four bytes each
	Output   float64
	USD      float64
	Unpriced []string // models of which no price is known, whose requests are not in USD
}

// StageEstimate is the part of one stage.
type StageEstimate struct {
	Stage           string
	Kind            string
	Model           string
	In, Out         float64
	Requests        float64
	Input, Output   float64 // tokens
	USD             float64
	Priced          bool
	AnswerOf, Known int // tokens of an answer, and of what a prompt is known to hold beside its answers
}

const (
	most     = 10_000_000 // items of a source that are counted
	measured = 200        // items of a source whose texts are measured
)

// Plan estimates a run: requests, tokens and cost of each stage. It counts the source's items and takes each stage's word for how many items it
// makes of one (Fan, Yield, Count) and how long texts are (Adds, and expect in prompt files). A recipe that drops nothing and whose numbers
// are exact asks exactly so often. Models need not be given; those that are name the prices.
func Plan(recipe *Recipe, o Options) (Estimate, error) {
	if errs := Lint(recipe); len(errs) > 0 {
		return Estimate{}, errors.Join(errs...)
	}
	r := &run{Recipe: recipe, o: o}
	n, lengths, err := r.survey()
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Sources: n}
	missing := map[string]bool{}
	for _, s := range recipe.Stages {
		at, err := r.estimate(s, n, lengths)
		if err != nil {
			return e, err
		}
		if at.Requests > 0 && !at.Priced && !missing[at.Model] {
			missing[at.Model] = true
			e.Unpriced = append(e.Unpriced, at.Model)
		}
		e.Stages = append(e.Stages, at)
		e.Requests += at.Requests
		e.Input += at.Input
		e.Output += at.Output
		e.USD += at.USD
		n = at.Out
	}
	e.Records = n
	if o.N > 0 {
		e.Records = math.Min(n, float64(o.N))
	}
	return e, nil
}

// survey counts the source's items, as far as they are needed, and measures their texts: tokens by name.
func (r *run) survey() (n float64, lengths map[string]float64, err error) {
	need := math.Inf(1)
	if r.o.N > 0 && r.streams() {
		need = math.Ceil(float64(r.o.N)/math.Max(r.growth(0), 1e-9) - 1e-9)
	}
	lengths = map[string]float64{}
	for it, err := range r.Source {
		if err != nil {
			return 0, nil, because.E("plan recipe", r.Name+": source", err, "")
		}
		if n < measured {
			for _, f := range it.fields {
				lengths[f.name] += (float64(len(f.text))/4 - lengths[f.name]) / (n + 1)
			}
		}
		if n++; n >= need {
			break
		}
		if n > most {
			return 0, nil, because.E("plan recipe", r.Name, fmt.Errorf("the source has more than %d items", most), "say how many records are wanted")
		}
	}
	return n, lengths, nil
}

// streams tells whether nothing waits for all items.
func (r *run) streams() bool {
	for _, s := range r.Stages {
		if _, ok := s.(All); ok {
			return false
		}
	}
	return true
}

func (r *run) estimate(s Stage, n float64, lengths map[string]float64) (StageEstimate, error) {
	at := StageEstimate{Stage: s.name(), Kind: kindOf(s), In: n, Out: r.spread(s, n)}
	switch s := s.(type) {
	case Ask:
		p, err := r.Prompts.Get(s.promptName())
		if err != nil {
			return at, err
		}
		r.price(&at, s.Model, n, promptTokens(p, lengths), float64(p.Expect))
		learn(p.Answer, float64(p.Expect), lengths)
	case Do:
		each := s.Requests
		if each == 0 {
			each = 1
		}
		tokens := s.Tokens
		if tokens == [2]int{} {
			tokens = [2]int{1000, 1000}
		}
		r.price(&at, s.Model, n*each, float64(tokens[0]), float64(tokens[1]))
	case Map:
		for name, tokens := range s.Adds {
			lengths[name] = float64(tokens)
		}
	}
	return at, nil
}

// price adds what requests cost.
func (r *run) price(at *StageEstimate, role string, requests, input, output float64) {
	if role == "" {
		role = Writer
	}
	m := r.o.Models[role]
	if m == nil {
		m = r.o.Models[Writer]
	}
	at.Requests, at.Input, at.Output = requests, requests*input, requests*output
	at.Known, at.AnswerOf = int(input), int(output)
	at.Model = role
	if m == nil {
		return
	}
	at.Model = m.Name()
	var price model.Price
	if price, at.Priced = r.o.Prices.Of(at.Model); at.Priced {
		at.USD = (price.Input*at.Input + price.Output*at.Output) / 1e6
	}
}

// promptTokens estimates a prompt's tokens with its variables.
func promptTokens(p *prompts.Prompt, lengths map[string]float64) float64 {
	n := float64(p.Bytes()) / 4
	for _, v := range p.Variables() {
		n += lengths[v] * float64(p.Uses(v))
	}
	return n
}

// learn shares an answer's tokens among the texts that are read from it.
func learn(f prompts.Form, tokens float64, lengths map[string]float64) {
	names := f.Names()
	for _, name := range names {
		lengths[name] = tokens / f.Items() / float64(len(names))
	}
}

// spread estimates how many items a stage gives for n: an Ask that doesn't say has its prompt's list.
func (r *run) spread(s Stage, n float64) float64 {
	if a, ok := s.(Ask); ok && a.Fan == 0 && a.Read == nil {
		if p, err := r.Prompts.Get(a.promptName()); err == nil {
			n *= p.Answer.Items()
		}
	}
	return s.grows(n)
}

func orOne(x float64) float64 {
	if x == 0 {
		return 1
	}
	return x
}

// grows of an Ask takes its list's length from the prompt file, which the run knows (spread).
func (s Ask) grows(n float64) float64     { return n * orOne(s.Fan) * orOne(s.Yield) }
func (s Map) grows(n float64) float64     { return n * orOne(s.Fan) }
func (s Filter) grows(n float64) float64  { return n * orOne(s.Yield) }
func (s InOrder) grows(n float64) float64 { return n * orOne(s.Yield) }
func (s Do) grows(n float64) float64      { return n * orOne(s.Fan) * orOne(s.Yield) }
func (s All) grows(n float64) float64 {
	if s.Count == nil {
		return n
	}
	return float64(s.Count(int(math.Round(n))))
}

// Write prints the estimate as a table.
func (e Estimate) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\titems\trequests\tinput tokens\toutput tokens\tUSD\tmodel\t")
	for _, s := range e.Stages {
		cost := ""
		if s.Requests > 0 {
			cost = "?"
		}
		if s.Priced {
			cost = fmt.Sprintf("%.2f", s.USD)
		}
		if s.Requests == 0 {
			fmt.Fprintf(t, "%s\t%.0f\t\t\t\t\t\t\n", s.Stage, s.Out)
			continue
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\t\n", s.Stage, s.Out, s.Requests, s.Input, s.Output, cost, s.Model)
	}
	fmt.Fprintf(t, "all\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t\t\n", e.Records, e.Requests, e.Input, e.Output, e.USD)
	if err := t.Flush(); err != nil {
		return err
	}
	if len(e.Unpriced) > 0 {
		_, err := fmt.Fprintf(w, "\nno price is known of %v, so the cost is more\n", e.Unpriced)
		return err
	}
	return nil
}
