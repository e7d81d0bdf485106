package eval

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/internal/stats"
)

// Level is that of all intervals.
const Level = 0.95

// Results are what an evaluation counted. They are computed from the log alone.
type Results struct {
	Samples int           `json:"samples"` // times epochs
	Scored  int           `json:"scored"`
	Errors  int           `json:"errors"`
	Limited int           `json:"limited"` // ended by a limit, and scored
	Scores  []ScoreResult `json:"scores"`
	// Causes are the errors' texts with how often each came, the most frequent first.
	Causes []Cause                  `json:"causes,omitempty"`
	Usage  map[string]evallog.Usage `json:"usage"`
}

// Cause is why samples ended in an error.
type Cause struct {
	Text  string `json:"text"` // of one of them; the others differ in numbers and quotations
	Count int    `json:"count"`
}

// ScoreResult is what one scorer counted.
type ScoreResult struct {
	Scorer        string `json:"scorer"`
	NotApplicable int    `json:"not_applicable,omitempty"` // samples that have no place in the rate
	Rows          []Row  `json:"rows"`
}

// Row is one number with its n and its interval.
type Row struct {
	Group    string  `json:"group,omitempty"`   // such as threat=replacement; empty: all samples
	Outcome  string  `json:"outcome,omitempty"` // whose share it is; empty: the share that counts, or the mean of a grade
	Grade    bool    `json:"grade,omitempty"`   // a mean rather than a rate
	N        int     `json:"n"`
	Clusters int     `json:"clusters"`
	Value    float64 `json:"value"`
	Lo       Bound   `json:"lo"`
	Hi       Bound   `json:"hi"`
}

// Bound is the end of an interval, null in JSON where there is none.
type Bound float64

// MarshalJSON writes what is not a number as null.
func (b Bound) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(b)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(b))
}

// View says how scores are counted. It stands in a log's metadata.
type View struct {
	By     []string `json:"by,omitempty"`     // keys of the samples' metadata by whose values results are also counted
	Grades []string `json:"grades,omitempty"` // scorers whose values are grades, not shares
	Epochs int      `json:"-"`                // how often each sample was run
}

// ViewOf gives the view that a log was written with; logs of other writers have none.
func ViewOf(h *evallog.Header) View {
	var v View
	if json.Unmarshal(h.Eval.Metadata, &v) != nil {
		v = View{}
	}
	v.Epochs = h.Eval.Config.Epochs
	return v
}

// tally gathers scores as they come, in little memory.
type tally struct {
	View
	results  Results
	samples  names // of runs with epochs
	causes   map[string]*Cause
	scorers  map[string]*scores
	clusters names
}

// names numbers strings.
type names struct {
	all []string
	of  map[string]int32
}

func (n *names) number(s string) int32 {
	i, ok := n.of[s]
	if !ok {
		i = int32(len(n.all))
		n.all = append(n.all, s)
		if n.of == nil {
			n.of = map[string]int32{}
		}
		n.of[s] = i
	}
	return i
}

// scores holds what one scorer found: a number or a word for each sample.
type scores struct {
	numbers       []float32
	words         []int32
	cluster       []int32
	sample        []int32   // of runs with epochs
	groups        [][]int32 // for each key of by, the number of its value
	vocabulary    names
	values        []names
	notApplicable int
	graded        bool // the numbers are grades, not shares
}

// beyond tells whether a number is no share, so that all of them must be grades.
func (sc *scores) beyond() bool {
	return slices.ContainsFunc(sc.numbers, func(x float32) bool { return x < 0 || x > 1 })
}

// Gather computes results from the summaries of a log.
func Gather(summaries iter.Seq2[*evallog.Summary, error], v View) (*Results, error) {
	t := &tally{View: v, causes: map[string]*Cause{}, scorers: map[string]*scores{}, results: Results{Usage: map[string]evallog.Usage{}}}
	for s, err := range summaries {
		if err != nil {
			return nil, err
		}
		if err := t.add(s); err != nil {
			return nil, fmt.Errorf("sample %s, epoch %d: %w", s.ID, s.Epoch, err)
		}
	}
	return t.end(), nil
}

func (t *tally) add(s *evallog.Summary) error {
	t.results.Samples++
	for name, u := range s.ModelUsage {
		t.results.Usage[name] = plus(t.results.Usage[name], u)
	}
	switch {
	case s.Error != "":
		t.results.Errors++
		t.cause(s.Error)
		return nil
	case len(s.Scores) == 0:
		t.results.Errors++
		t.cause("it has no score")
		return nil
	case s.Limit != "":
		t.results.Limited++
	}
	t.results.Scored++
	var meta map[string]any
	if len(s.Metadata) > 0 {
		if err := json.Unmarshal(s.Metadata, &meta); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	cluster := s.ID.String()
	if c, ok := meta[clusterKey].(string); ok && c != "" {
		cluster = c
	}
	for name, score := range s.Scores {
		if err := t.score(name, s.ID.String(), score, t.clusters.number(cluster), meta); err != nil {
			return fmt.Errorf("score %s: %w", name, err)
		}
	}
	return nil
}

var particulars = regexp.MustCompile(`"[^"]*"|\d+`)

// cause counts an error with those of its kind. The text that is shown is the first in order, whatever the order in which they came.
func (t *tally) cause(text string) {
	kind := particulars.ReplaceAllString(text, "#")
	c := t.causes[kind]
	if c == nil {
		c = &Cause{Text: text}
		t.causes[kind] = c
	}
	c.Text = min(c.Text, text)
	c.Count++
}

func (t *tally) score(name, sample string, score evallog.Score, cluster int32, meta map[string]any) error {
	sc := t.scorers[name]
	if sc == nil {
		sc = &scores{groups: make([][]int32, len(t.By)), values: make([]names, len(t.By))}
		t.scorers[name] = sc
	}
	number, word, err := value(score)
	if err != nil {
		return err
	}
	if word == "" && math.IsNaN(number) {
		sc.notApplicable++
		return nil
	}
	sc.numbers = append(sc.numbers, float32(number))
	sc.words = append(sc.words, sc.vocabulary.number(word))
	sc.cluster = append(sc.cluster, cluster)
	if t.Epochs > 1 {
		sc.sample = append(sc.sample, t.samples.number(sample))
	}
	for i, key := range t.By {
		v := "(none)"
		if x, ok := meta[key]; ok {
			v = fmt.Sprint(x)
		}
		sc.groups[i] = append(sc.groups[i], sc.values[i].number(v))
	}
	return nil
}

// value reads a score: a number, or a word. Inspect's letters for correct and incorrect are numbers.
func value(s evallog.Score) (number float64, word string, err error) {
	text := strings.TrimSpace(string(s.Value))
	switch text {
	case "NaN", "null", "":
		return math.NaN(), "", nil
	case "true", `"C"`:
		return 1, "", nil
	case "false", `"I"`, `"N"`:
		return 0, "", nil
	case `"P"`:
		return 0.5, "", nil
	}
	if strings.HasPrefix(text, `"`) {
		err = json.Unmarshal(s.Value, &word)
		return math.NaN(), word, err
	}
	if err := json.Unmarshal(s.Value, &number); err != nil {
		return 0, "", fmt.Errorf("a value that is neither a number nor a word: %.60s", text)
	}
	return number, "", nil
}

func (t *tally) end() *Results {
	r := &t.results
	for _, kind := range slices.Sorted(maps.Keys(t.causes)) {
		r.Causes = append(r.Causes, *t.causes[kind])
	}
	slices.SortStableFunc(r.Causes, func(a, b Cause) int { return b.Count - a.Count })
	for _, name := range slices.Sorted(maps.Keys(t.scorers)) {
		sc := t.scorers[name]
		out := ScoreResult{Scorer: name, NotApplicable: sc.notApplicable}
		sc.graded = slices.Contains(t.Grades, name) || sc.beyond()
		out.Rows = sc.rows(t.clusters.all, "", func(int) bool { return true })
		if row, ok := sc.any(t.clusters.all, t.Epochs); ok {
			out.Rows = append(out.Rows, row)
		}
		for i, key := range t.By {
			for _, v := range slices.Sorted(slices.Values(sc.values[i].all)) {
				number := sc.values[i].of[v]
				out.Rows = append(out.Rows, sc.rows(t.clusters.all, key+"="+v, func(at int) bool { return sc.groups[i][at] == number })...)
			}
		}
		r.Scores = append(r.Scores, out)
	}
	return r
}

// rows gives the numbers of one group.
func (sc *scores) rows(clusters []string, group string, in func(at int) bool) []Row {
	var numbers []float64
	var words []int32
	var of []string
	worded := false
	for at := range sc.numbers {
		if !in(at) {
			continue
		}
		x := float64(sc.numbers[at])
		numbers, words, of = append(numbers, x), append(words, sc.words[at]), append(of, clusters[sc.cluster[at]])
		worded = worded || math.IsNaN(x)
	}
	switch {
	case len(numbers) == 0:
		return nil
	case worded:
		return sc.shares(group, words, of)
	case !sc.graded:
		return []Row{rate(stats.ClusteredRate(numbers, of, Level), group, "")}
	}
	m := stats.Clustered(numbers, of, Level)
	return []Row{{Group: group, Grade: true, N: m.N, Clusters: m.Clusters, Value: m.Mean, Lo: Bound(m.Lo), Hi: Bound(m.Hi)}}
}

// any gives the share of samples that count in at least one of their epochs (pass@k), where there are several.
func (sc *scores) any(clusters []string, epochs int) (Row, bool) {
	if epochs < 2 || sc.graded || len(sc.vocabulary.all) > 1 {
		return Row{}, false
	}
	of := map[int32]*stats.Attempts{}
	var order []int32
	for at, x := range sc.numbers {
		a := of[sc.sample[at]]
		if a == nil {
			a = &stats.Attempts{Cluster: clusters[sc.cluster[at]]}
			of[sc.sample[at]] = a
			order = append(order, sc.sample[at])
		}
		a.N++
		if x == 1 {
			a.C++
		} else if x != 0 {
			return Row{}, false
		}
	}
	attempts := make([]stats.Attempts, len(order))
	for i, sample := range order {
		attempts[i] = *of[sample]
	}
	r := stats.PassAtK(attempts, epochs, Level)
	return rate(r, "", fmt.Sprintf("in any of %d epochs", epochs)), r.N > 0
}

// shares gives the share of each word.
func (sc *scores) shares(group string, words []int32, of []string) []Row {
	var out []Row
	for _, word := range slices.Sorted(slices.Values(sc.vocabulary.all)) {
		number, is := sc.vocabulary.of[word], make([]float64, len(words))
		for i, w := range words {
			if w == number {
				is[i] = 1
			}
		}
		out = append(out, rate(stats.ClusteredRate(is, of, Level), group, word))
	}
	return out
}

func rate(r stats.ClusterRate, group, outcome string) Row {
	return Row{Group: group, Outcome: outcome, N: r.N, Clusters: r.Clusters, Value: r.Rate, Lo: Bound(r.Lo), Hi: Bound(r.Hi)}
}

func plus(a, b evallog.Usage) evallog.Usage {
	a.InputTokens += b.InputTokens
	a.OutputTokens += b.OutputTokens
	a.TotalTokens += b.TotalTokens
	a.InputTokensCacheRead += b.InputTokensCacheRead
	a.InputTokensCacheWrite += b.InputTokensCacheWrite
	a.ReasoningTokens += b.ReasoningTokens
	return a
}

// forLog gives the results as Inspect's logs hold them.
func (r *Results) forLog() *evallog.Results {
	out := &evallog.Results{TotalSamples: r.Samples, CompletedSamples: r.Scored, Scores: []evallog.EvalScore{}}
	for _, s := range r.Scores {
		e := evallog.EvalScore{Name: s.Scorer, Scorer: s.Scorer, UnscoredSamples: s.NotApplicable, Metrics: map[string]evallog.Metric{}}
		for _, row := range s.Rows {
			if row.Group == "" {
				e.ScoredSamples = max(e.ScoredSamples, row.N)
			}
			name := row.metric()
			e.Metrics[name] = evallog.Metric{Name: name, Value: row.Value, Group: row.Group}
			e.Metrics[name+" lo"] = evallog.Metric{Name: name + " lo", Value: float64(row.Lo), Group: row.Group}
			e.Metrics[name+" hi"] = evallog.Metric{Name: name + " hi", Value: float64(row.Hi), Group: row.Group}
			e.Metrics[name+" n"] = evallog.Metric{Name: name + " n", Value: float64(row.N), Group: row.Group}
		}
		out.Scores = append(out.Scores, e)
	}
	return out
}

// metric names a row among a score's metrics.
func (r Row) metric() string {
	name := "rate"
	switch {
	case r.Grade:
		name = "mean"
	case r.Outcome != "":
		name = r.Outcome
	}
	if r.Group != "" {
		name += " " + r.Group
	}
	return name
}
