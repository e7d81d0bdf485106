// Package report turns the results of a study into what people and programs read: results.json, tables
// for the terminal, report.md, a one-file report.html, figures (SVG and Vega-Lite) and sample transcripts.
//
// A study fills Results; everything else here is a pure function of Results and of the transcripts, so
// equal results give equal bytes. The package shows numbers and judges none: effects, intervals, p values
// and verdicts come with the results.
package report

import "github.com/because-lab/because/internal/stats"

// SchemaVersion is the version of the schema of results.json that this package writes and reads.
const SchemaVersion = 1

// Results is the content of results.json. Rates lie in [0, 1]; effects are differences of rates (treated
// minus control) unless a claim's metric says otherwise; intervals are 95 % intervals.
type Results struct {
	Schema int    `json:"schema"`
	Study  string `json:"study"`
	Title  string `json:"title"`
	Target string `json:"target"` // "organism", "local:PATH" or "provider/model"
	// Premise is what the target takes for granted, in prose; for the organism, the rule that ties
	// conduct to values in its world. Limits is what the study does not show.
	Premise string   `json:"premise"`
	Limits  string   `json:"limits"`
	Seeds   []uint64 `json:"seeds"`
	Quick   bool     `json:"quick"` // fewer seeds and samples: numbers to try things out, not to report

	Constitution Constitution `json:"constitution"`
	Worlds       []World      `json:"worlds"`
	// Primary and Recall name the evals that the table of arms shows; Control is the arm that each
	// world's others are compared with.
	Primary Cell   `json:"primary"`
	Recall  *Cell  `json:"recall,omitempty"`
	Control string `json:"control"`

	Arms          []Arm         `json:"arms"`
	Claims        []Claim       `json:"claims"`
	Ablations     []Claim       `json:"ablations"`
	Checks        []Check       `json:"checks"`
	Contamination Contamination `json:"contamination"`
	Data          []DataCard    `json:"data"`
	Warnings      []string      `json:"warnings"`  // what a reader of any number here must know
	Reproduce     []string      `json:"reproduce"` // shell commands that make these results again
}

// Constitution names the document whose principles are taught. Hash is the SHA-256 of its content, in hex.
type Constitution struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
}

// World is one setting in which arms are trained, with the switches of the study file that make it.
type World struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	Switches map[string]string `json:"switches"`
}

// Cell is one condition of one evaluation: task "honeypots" in the cell "persona".
type Cell struct {
	Task string `json:"task"`
	Cell string `json:"cell"`
}

// Arm is one treatment of the same initial model, in one world.
type Arm struct {
	Name  string `json:"name"` // unique within its world
	Title string `json:"title"`
	World string `json:"world"`
	// Stages says in words what was done to the initial model, in order.
	Stages []string `json:"stages"`
	// TokensTrained counts every token that a training step of the arm's own stages read, replay and
	// repetitions included, as the mean over seeds; OwnTokens the unique tokens of the arm's recipe.
	TokensTrained int64 `json:"tokens_trained"`
	OwnTokens     int64 `json:"own_tokens"`
	// Sweep names the series of arms that differ in OwnTokens alone; empty for all others.
	Sweep string  `json:"sweep,omitempty"`
	Evals []Eval  `json:"evals"`
	Curve []Point `json:"curve,omitempty"` // along RL, in order of step
}

// Eval is what one cell of one evaluation counted, over all seeds and for each. A kind of count that the
// task does not make is absent. Errors are samples that could not be scored; they are in no n.
type Eval struct {
	Task      string `json:"task"`
	Cell      string `json:"cell"`
	Harmful   *Count `json:"harmful,omitempty"`
	Invalid   *Count `json:"invalid,omitempty"`
	Admirable *Count `json:"admirable,omitempty"`
	Correct   *Count `json:"correct,omitempty"`
	Errors    int    `json:"errors"`
	// Validity says whether the task measures anything here: valid, weak or invalid, by the known-group checks of its world, or
	// untested where the world has none for it.
	Validity Validity     `json:"validity,omitempty"`
	BySeed   []SeedCounts `json:"by_seed"`
}

// Validity is the verdict on a task in a world.
type Validity string

// The verdicts. Numbers of an invalid task are not interpretable as propensities.
const (
	Valid    Validity = "valid"
	Weak     Validity = "weak"
	Invalid  Validity = "invalid"
	Untested Validity = "untested"
)

// Count is k events in n samples with Wilson's 95 % interval of the rate. Pooled over seeds it is the
// uncertainty of sampling from these models; comparisons between arms are made by seed, in the claims.
type Count struct {
	N    int    `json:"n"`
	K    int    `json:"k"`
	Rate Number `json:"rate"` // null when n is 0
	Lo   Number `json:"lo"`
	Hi   Number `json:"hi"`
}

// NewCount counts k events in n samples. It panics unless 0 <= k <= n.
func NewCount(k, n int) Count {
	lo, hi := stats.Wilson(k, n, 0.95)
	c := Count{N: n, K: k, Rate: NaN, Lo: Number(lo), Hi: Number(hi)}
	if n > 0 {
		c.Rate = Number(float64(k) / float64(n))
	}
	return c
}

// SeedCounts is one seed's share of an Eval: the number of samples and the events among them.
type SeedCounts struct {
	Seed      uint64 `json:"seed"`
	N         int    `json:"n"`
	Harmful   *int   `json:"harmful,omitempty"`
	Invalid   *int   `json:"invalid,omitempty"`
	Admirable *int   `json:"admirable,omitempty"`
	Correct   *int   `json:"correct,omitempty"`
	Errors    int    `json:"errors"`
}

// Point is one evaluation along an RL run, pooled over seeds. Reward is the mean reward of the step's own
// samples; at step 0 nothing was sampled yet and it is null.
type Point struct {
	Step      int    `json:"step"`
	Harmful   Count  `json:"harmful"`
	Invalid   Count  `json:"invalid"`
	Admirable *Count `json:"admirable,omitempty"`
	Correct   *Count `json:"correct,omitempty"`
	Reward    Number `json:"reward"`
}

// Claim is a statement that the study tests: an effect with a predicted direction and a smallest effect of
// interest (claims), or the absence of one within a margin (ablations, negative controls).
type Claim struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Published is the effect that was published, in words and numbers; Metric is what is counted;
	// Contrast says what is compared with what.
	Published string `json:"published"`
	Metric    string `json:"metric"`
	Contrast  string `json:"contrast"`
	// Direction and SESOI (smallest effect size of interest) belong to claims, Margin to ablations. The
	// direction "none" predicts an effect smaller than SESOI either way.
	Direction stats.Direction `json:"direction,omitempty"`
	SESOI     *Number         `json:"sesoi,omitempty"`
	Margin    *Number         `json:"margin,omitempty"`

	Effect Number `json:"effect"`
	Lo     Number `json:"lo"`
	Hi     Number `json:"hi"`
	P      Number `json:"p"`      // two-sided, of no effect; of TOST where the direction is "none"
	PHolm  Number `json:"p_holm"` // adjusted over the study's claims; null for ablations
	// PTOST is the p of the two one-sided tests that the effect is within the margin; ablations only.
	PTOST   *Number      `json:"p_tost,omitempty"`
	N       int          `json:"n"`     // samples behind the contrast, all arms and seeds
	Seeds   int          `json:"seeds"` // pairs behind the interval
	PerSeed []SeedEffect `json:"per_seed"`

	Verdict  stats.Verdict `json:"verdict"`
	Reason   string        `json:"reason"` // why this verdict
	Note     string        `json:"note,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
}

// SeedEffect is the contrast in one seed. Treated and Control are its two sides, where it has two.
type SeedEffect struct {
	Seed    uint64  `json:"seed"`
	Treated *Number `json:"treated,omitempty"`
	Control *Number `json:"control,omitempty"`
	Effect  Number  `json:"effect"`
}

// Set fills the numbers of c from an estimate.
func (c *Claim) Set(e stats.Estimate) {
	c.Effect, c.Lo, c.Hi = Number(e.Effect), Number(e.Lo), Number(e.Hi)
	c.P, c.PHolm, c.Seeds = Number(e.P), Number(e.PHolm), e.Seeds
}

// Estimate gives the numbers of c as an estimate.
func (c *Claim) Estimate() stats.Estimate {
	return stats.Estimate{Effect: float64(c.Effect), Lo: float64(c.Lo), Hi: float64(c.Hi),
		P: float64(c.P), PHolm: float64(c.PHolm), Seeds: c.Seeds}
}

// Check is a known-group check of the instrument: two groups whose difference is known beforehand. An
// instrument that does not tell them apart measures nothing.
type Check struct {
	Name       string `json:"name"`
	Title      string `json:"title"`
	World      string `json:"world"`
	HighCell   string `json:"high_cell"` // the group known to do more harm
	LowCell    string `json:"low_cell"`
	High       Count  `json:"high"`
	Low        Count  `json:"low"`
	Difference Number `json:"difference"` // high minus low
	Lo         Number `json:"lo"`
	Hi         Number `json:"hi"`
	Passed     bool   `json:"passed"`
	Reason     string `json:"reason"`
}

// Contamination is the search for the evaluation in the training data: its kinds, names, companies,
// wordings and decisive spans. Records were made, Checked of them searched, Removed taken out before
// training, and Hits found in what was trained on; a sound study has Checked = Records and no hits.
type Contamination struct {
	Records int `json:"records"`
	Checked int `json:"checked"`
	Removed int `json:"removed"`
	Hits    int `json:"hits"`
	Spans   int `json:"spans"` // the number of things searched for
	// Examples are the first hits, as "arm, seed: what was found".
	Examples []string `json:"examples,omitempty"`
}

// DataCard describes one recipe's records, over all seeds.
type DataCard struct {
	Name           string   `json:"name"`
	Title          string   `json:"title"`
	World          string   `json:"world"`
	Records        int      `json:"records"`
	Tokens         int64    `json:"tokens"`
	Filters        []Filter `json:"filters"`
	Distinct       Number   `json:"distinct"`        // distinct word 4-grams over all word 4-grams
	NearDuplicates int      `json:"near_duplicates"` // records as long as an earlier one that differ from it in at most 3 words
	Contaminated   int      `json:"contaminated"`    // records removed since they touched the evaluation
	Example        string   `json:"example"`         // one record
}

// Filter is one stage of a recipe that drops records.
type Filter struct {
	Name string `json:"name"`
	In   int    `json:"in"`
	Kept int    `json:"kept"`
}

// Transcript is one sample that a person can read: what an arm's model was given and what it did.
type Transcript struct {
	Arm      string `json:"arm"`
	World    string `json:"world"`
	Seed     uint64 `json:"seed"`
	Task     string `json:"task"`
	Cell     string `json:"cell,omitempty"`
	Outcome  string `json:"outcome"`
	Why      string `json:"why,omitempty"` // what the scorer found
	Prompt   string `json:"prompt"`
	Response string `json:"response"`
}

// Find gives the eval of a cell, or nil.
func (a *Arm) Find(c Cell) *Eval {
	for i := range a.Evals {
		if a.Evals[i].Task == c.Task && a.Evals[i].Cell == c.Cell {
			return &a.Evals[i]
		}
	}
	return nil
}

// WorldArms gives the arms of one world in the order of the study, without those trained by RL when rl is
// false and those alone when it is true.
func (r *Results) WorldArms(world string, rl bool) []*Arm {
	var arms []*Arm
	for i := range r.Arms {
		if a := &r.Arms[i]; a.World == world && (len(a.Curve) > 0) == rl {
			arms = append(arms, a)
		}
	}
	return arms
}
