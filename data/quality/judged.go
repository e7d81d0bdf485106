package quality

import (
	"math"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/stats"
	"github.com/because-lab/because/judge"
)

// Judged says what a judge made of a file's records by one rubric. Drawn = Graded + Unusable + Failed + Without.
type Judged struct {
	Judge  string `json:"judge"`
	Rubric string `json:"rubric"`
	Hash   string `json:"rubric_hash"` // judge.Rubric.Hash
	Setup  string `json:"judge_hash"`  // judge.Judge.Hash: model, rubric, prompt and options
	// Constitution is name@hash of the constitution that the judge was shown parts of; empty where the rubric needs none.
	Constitution string `json:"constitution,omitempty"`
	File         string `json:"file_sha256"` // of the file whose records these are
	Seed         uint64 `json:"seed"`

	Of       int            `json:"of"`       // records in the file
	Drawn    int            `json:"drawn"`    // records that were to be graded
	Graded   int            `json:"graded"`   // with an answer to every question, or divided votes on some
	Unusable int            `json:"unusable"` // the judge gave no valid answer, or could not be asked about this record; never a score
	Failed   int            `json:"failed"`   // requests failed in a way that may pass; never a score
	Without  int            `json:"without"`  // records with nothing to grade, such as a prompt without an answer
	Reasons  map[string]int `json:"reasons,omitempty"`

	// Excerpts counts how graded records came to their part of the constitution: cited by their lineage, found by their words, or whole.
	Excerpts   map[string]int `json:"excerpts,omitempty"`
	SelfJudged int            `json:"self_judged,omitempty"` // graded records that the judge's own model wrote
	Shortened  int            `json:"shortened,omitempty"`   // graded records too long to be shown whole

	Scores   []JudgeScore  `json:"scores"`
	Requests int           `json:"requests"` // answers, good and bad
	Usage    because.Usage `json:"usage"`
}

// JudgeScore is the mean over graded records of the answers to one question: of a scale with Student's interval, of yes (1) and no (0), or
// of one label of a choice, with Wilson's. Records are the unit. Divided votes are no answer.
type JudgeScore struct {
	Question  string         `json:"question"`
	Label     string         `json:"label,omitempty"` // of a choice
	Kind      judge.Kind     `json:"kind"`
	Min       int            `json:"min"`
	Max       int            `json:"max"`
	N         int            `json:"n"`
	Mean      *float64       `json:"mean"` // null without answers
	Lo        *float64       `json:"lo"`   // of 95 %; null where it does not exist
	Hi        *float64       `json:"hi"`
	Interval  string         `json:"interval"` // t or Wilson
	Undecided int            `json:"undecided,omitempty"`
	Counts    map[string]int `json:"counts,omitempty"` // answers
	Warnings  []string       `json:"warnings,omitempty"`
}

const level = 0.95

// scores counts the answers of verdicts, which stand in the records' order.
func scores(r *judge.Rubric, verdicts []judge.Verdict) []JudgeScore {
	var out []JudgeScore
	for i := range r.Questions {
		q := &r.Questions[i]
		s := JudgeScore{Question: q.ID, Kind: q.Kind, Max: 1, Counts: map[string]int{}}
		var values []float64
		for _, v := range verdicts {
			f, err := v.Finding(q.ID)
			if err != nil {
				s.Undecided++
				continue
			}
			s.N++
			s.Counts[f.Answer]++
			if f.Value != nil {
				values = append(values, *f.Value)
			}
		}
		switch q.Kind {
		case judge.Scale:
			m := stats.MeanT(values, level)
			s.Min, s.Max, s.Interval = q.Min, q.Max, "t"
			s.Mean, s.Lo, s.Hi, s.Warnings = finite(m.Mean), finite(m.Lo), finite(m.Hi), m.Warnings
			out = append(out, s)
		case judge.Choice:
			for _, l := range q.Labels {
				of := s
				of.Label, of.Counts = l.Name, nil
				out = append(out, of.share(s.Counts[l.Name]))
			}
		default:
			out = append(out, s.share(s.Counts[judge.Yes]))
		}
	}
	return out
}

// share makes the score a share of its answers.
func (s JudgeScore) share(k int) JudgeScore {
	s.Interval = "Wilson"
	if s.N == 0 {
		s.Warnings = []string{"no values"}
		return s
	}
	lo, hi := stats.Wilson(k, s.N, level)
	s.Mean, s.Lo, s.Hi = finite(float64(k)/float64(s.N)), &lo, &hi
	return s
}

// finite is a number as JSON can hold it.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
