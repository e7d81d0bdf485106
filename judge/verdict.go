package judge

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/because-lab/because"
)

// Verdict is what a judge found on one subject.
type Verdict struct {
	Rubric   string        `json:"rubric"`
	Judge    string        `json:"judge"`
	Votes    int           `json:"votes"`
	Findings []Finding     `json:"findings"` // in the rubric's order
	Asked    int           `json:"asked"`    // requests that it took, repeated ones among them
	Usage    because.Usage `json:"usage"`
	LeftOut  LeftOut       `json:"left_out"` // of the material, for want of room
	// SelfJudged says that the judge is the model whose work it graded. Models prefer their own work, so read such grades with
	// care or use another judge.
	SelfJudged bool `json:"self_judged,omitempty"`
}

// Finding is the answer to one question.
type Finding struct {
	Question string `json:"question"`
	// Answer is what more than half of the votes say, or the median of a scale's; empty if Undecided.
	Answer    string `json:"answer,omitempty"`
	Undecided bool   `json:"undecided,omitempty"` // no answer has more than half of the votes
	// Value is the answer as a number: 1 and 0 for yes and no, a scale's value, and for a pair 1 for A, 0.5 for a tie, 0 for B.
	Value *float64 `json:"value,omitempty"`
	// Counts are the votes by answer.
	Counts map[string]int `json:"counts"`
	// Swayed counts the votes on a pair that changed with the order of the two; each counts as a tie.
	Swayed int    `json:"swayed,omitempty"`
	Marks  []Mark `json:"marks"` // all of them; of a pair, two a vote: as A first, as B first
}

// Undecided is the error of asking for an answer on which the votes were divided.
type Undecided struct {
	Rubric, Question string
	Counts           map[string]int
}

func (u *Undecided) Error() string {
	return fmt.Sprintf("%s: %s: the votes are divided: %s", u.Rubric, u.Question, countsText(u.Counts))
}

func countsText(counts map[string]int) string {
	text := ""
	for i, a := range sortedKeys(counts) {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", a, counts[a])
	}
	return text
}

// Finding gives the finding on a question, or an error where the votes are divided (Undecided) or the rubric has no such question.
func (v Verdict) Finding(question string) (Finding, error) {
	for _, f := range v.Findings {
		switch {
		case f.Question != question:
		case f.Undecided:
			return f, &Undecided{v.Rubric, question, f.Counts}
		default:
			return f, nil
		}
	}
	return Finding{}, fmt.Errorf("rubric %s has no question %q", v.Rubric, question)
}

// Why gives the reason and the quotations of the first vote for the finding's answer.
func (f Finding) Why() Mark {
	for _, m := range f.Marks {
		if m.Answer == f.Answer {
			return m
		}
	}
	if len(f.Marks) > 0 {
		return f.Marks[0]
	}
	return Mark{}
}

// tally counts the votes.
func (j *Judge) tally(v *Verdict, polled []vote) {
	for i := range j.rubric.Questions {
		q := &j.rubric.Questions[i]
		f := Finding{Question: q.ID, Counts: map[string]int{}}
		var answers []string
		for _, p := range polled {
			answer := p.papers[0][q.ID].Answer
			for _, paper := range p.papers {
				f.Marks = append(f.Marks, paper[q.ID])
				if paper[q.ID].Answer != answer {
					answer = Tie
				}
			}
			if len(p.papers) == 2 && p.papers[0][q.ID].Answer != p.papers[1][q.ID].Answer {
				f.Swayed++
			}
			f.Counts[answer]++
			answers = append(answers, answer)
		}
		f.Answer = majority(f.Counts, len(polled))
		if q.Kind == Scale {
			f.Answer = median(answers)
		}
		f.Undecided = f.Answer == ""
		f.Value = q.value(f.Answer)
		v.Findings = append(v.Findings, f)
	}
}

// majority gives the answer of more than half of the votes, or "".
func majority(counts map[string]int, votes int) string {
	for answer, n := range counts {
		if 2*n > votes {
			return answer
		}
	}
	return ""
}

// median gives the middle of an odd number of values.
func median(answers []string) string {
	var values []int
	for _, a := range answers {
		v, err := strconv.Atoi(a)
		if err != nil {
			panic("judge: a scale's answer is no number: " + a) // read has checked it
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return strconv.Itoa(values[len(values)/2])
}

// value is an answer as a number, nil where it is none.
func (q *Question) value(answer string) *float64 {
	v := 0.0
	switch {
	case q.Kind == Scale && answer != "":
		n, err := strconv.Atoi(answer)
		if err != nil {
			return nil
		}
		v = float64(n)
	case q.Kind == YesNo && answer == Yes, q.Kind == Prefer && answer == A:
		v = 1
	case q.Kind == Prefer && answer == Tie:
		v = 0.5
	case q.Kind == YesNo && answer == No, q.Kind == Prefer && answer == B:
	default:
		return nil
	}
	return &v
}
