// Package judge grades transcripts, documents and pairs of answers with a model and a written rubric.
//
// A Rubric says what is asked; a Judge puts it to a model, reads the answer strictly, asks again where it is no
// answer, and counts votes. What can't be read is an error, never a grade. The material is shown inside a fence that
// its text can't imitate, and a grade is taken only from an object that carries a code which the material doesn't
// know, so that nothing written in a transcript can pass for the judge's own word.
//
// Check runs a judge on the gold set, cases with a label and the reason for it, and says how far the judge agrees.
package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// About is what a rubric is asked about.
type About string

// What a rubric can be asked about.
const (
	Conversation About = "transcript"
	Text         About = "document"
	Pair         About = "pair" // two answers to one task, which are compared
)

// Kind is the form of a question's answers.
type Kind string

// The forms of answers.
const (
	YesNo  Kind = "yes-no"
	Choice Kind = "choice" // one of the labels
	Scale  Kind = "scale"  // a whole number
	Prefer Kind = "prefer" // which of a pair: A, B or tie
)

// Answers of YesNo and Prefer questions.
const (
	Yes = "yes"
	No  = "no"
	A   = "A"
	B   = "B"
	Tie = "tie"
)

// Rubric is a set of questions about one subject, with what a judge must know to answer them.
type Rubric struct {
	Name         string
	About        About
	Reasoning    bool   // whether the judge sees what the assistant thought
	Instructions string // prose
	Facts        []Fact
	Questions    []Question

	source string          // the file's text, or empty where Go made it
	places map[string]site // of the parts of a file
}

// Fact is something that a judge is told beside the material, such as the secret that a threat would use.
type Fact struct {
	Name     string
	Means    string // what it is, for the judge
	Optional bool
}

// Question is one thing that is asked.
type Question struct {
	ID   string
	Text string
	Kind Kind
	// Labels are the answers of a Choice, or anchors of a Scale: the name of an anchor is its number.
	Labels   []Label
	Min, Max int // of a Scale
	// Evidence lists the answers that must come with a passage quoted from the material.
	Evidence []string
}

// Label is a possible answer and what it stands for.
type Label struct {
	Name  string
	Means string
}

// Answers lists all answers that a question can have, in the rubric's order.
func (q *Question) Answers() []string {
	switch q.Kind {
	case YesNo:
		return []string{Yes, No}
	case Prefer:
		return []string{A, B, Tie}
	case Scale:
		var all []string
		for v := q.Min; v <= q.Max; v++ {
			all = append(all, strconv.Itoa(v))
		}
		return all
	}
	var all []string
	for _, l := range q.Labels {
		all = append(all, l.Name)
	}
	return all
}

// Question finds a question by its id, nil if there is none.
func (r *Rubric) Question(id string) *Question {
	for i := range r.Questions {
		if r.Questions[i].ID == id {
			return &r.Questions[i]
		}
	}
	return nil
}

// Hash identifies what the rubric says, for records of what a grade was made from.
func (r *Rubric) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %t %q %#v %#v", r.Name, r.About, r.Reasoning, r.Instructions, r.Facts, r.Questions)
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Bounds on a rubric, so that every grading request stays of a sensible size.
const (
	maxQuestions = 24
	maxLabels    = 24
	maxScale     = 100 // values
)

// Check reports what makes a rubric unusable. Load, Parse and New call it.
func (r *Rubric) Check() error {
	switch {
	case !isName(r.Name):
		return r.bad("name", "lower-case letters, digits and hyphens", "%q is no name", r.Name)
	case r.About != Conversation && r.About != Text && r.About != Pair:
		return r.bad("about", "transcript, document or pair", "a rubric can't be about %q", r.About)
	case r.Instructions == "":
		return r.bad("instructions", "say in prose what is graded and why", "there are none")
	case len(r.Questions) == 0 || len(r.Questions) > maxQuestions:
		return r.bad("questions", "", "there are %d; there may be 1 to %d", len(r.Questions), maxQuestions)
	}
	for i, f := range r.Facts {
		at := fmt.Sprintf("facts[%d]", i)
		switch {
		case !isName(f.Name):
			return r.bad(at+".name", "lower-case letters, digits and hyphens", "%q is no name", f.Name)
		case f.Means == "":
			return r.bad(at+".means", "say what it is", "nothing says what %s is", f.Name)
		case slices.ContainsFunc(r.Facts[:i], func(other Fact) bool { return other.Name == f.Name }):
			return r.bad(at+".name", "", "%s stands twice", f.Name)
		}
	}
	for i := range r.Questions {
		if err := r.checkQuestion(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rubric) checkQuestion(i int) error {
	q, at := &r.Questions[i], fmt.Sprintf("questions[%d]", i)
	switch {
	case !isName(q.ID):
		return r.bad(at+".id", "lower-case letters, digits and hyphens", "%q is no id", q.ID)
	case slices.ContainsFunc(r.Questions[:i], func(other Question) bool { return other.ID == q.ID }):
		return r.bad(at+".id", "", "%s stands twice", q.ID)
	case q.Text == "":
		return r.bad(at+".text", "", "%s asks nothing", q.ID)
	case (q.Kind == Prefer) != (r.About == Pair):
		return r.bad(at+".kind", "prefer compares a pair, and only prefer does", "%s can't be asked about a %s", q.Kind, r.About)
	}
	var err error
	switch q.Kind {
	case YesNo, Prefer:
		if len(q.Labels) > 0 {
			err = r.bad(at+".kind", "say in the question what each answer means, or ask for a choice", "%s has no labels of its own", q.Kind)
		}
	case Choice:
		err = r.checkChoice(q, at)
	case Scale:
		err = r.checkScale(q, at)
	default:
		err = r.bad(at+".kind", "yes-no, choice, scale or prefer", "%q is no kind of question", q.Kind)
	}
	if err != nil {
		return err
	}
	answers := q.Answers()
	for _, e := range q.Evidence {
		if !slices.Contains(answers, e) {
			return r.bad(at+".evidence", "list answers of the question", "%q is no answer to %s", e, q.ID)
		}
	}
	return nil
}

func (r *Rubric) checkChoice(q *Question, at string) error {
	if len(q.Labels) < 2 || len(q.Labels) > maxLabels {
		return r.bad(at+".labels", "", "there are %d; a choice has 2 to %d", len(q.Labels), maxLabels)
	}
	for i, l := range q.Labels {
		switch {
		case !isName(l.Name):
			return r.bad(at+".labels", "lower-case letters, digits and hyphens", "%q is no name for an answer", l.Name)
		case l.Means == "":
			return r.bad(at+".labels", "say what counts as it and what doesn't", "nothing says what %s means", l.Name)
		case slices.ContainsFunc(q.Labels[:i], func(other Label) bool { return other.Name == l.Name }):
			return r.bad(at+".labels", "", "%s stands twice", l.Name)
		}
	}
	return nil
}

func (r *Rubric) checkScale(q *Question, at string) error {
	if q.Max <= q.Min || q.Max-q.Min >= maxScale || q.Min < 0 {
		return r.bad(at, "", "a scale from %d to %d; it needs 2 to %d values, none negative", q.Min, q.Max, maxScale)
	}
	last := q.Min - 1
	for _, l := range q.Labels {
		v, err := strconv.Atoi(l.Name)
		switch {
		case err != nil || strconv.Itoa(v) != l.Name || v < q.Min || v > q.Max:
			return r.bad(at+".anchors", "", "%q is not on the scale from %d to %d", l.Name, q.Min, q.Max)
		case v <= last:
			return r.bad(at+".anchors", "give them in rising order", "%d comes after %d", v, last)
		case l.Means == "":
			return r.bad(at+".anchors", "", "nothing says what %d means", v)
		}
		last = v
	}
	if len(q.Labels) < 2 || q.Labels[0].Name != strconv.Itoa(q.Min) || last != q.Max {
		return r.bad(at+".anchors", "without them each grader uses a scale of his own", "the ends %d and %d are not both described", q.Min, q.Max)
	}
	return nil
}

// isName accepts lower-case words and numbers joined by hyphens.
func isName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

var errNothing = errors.New("the file is empty")
