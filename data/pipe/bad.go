package pipe

import (
	"errors"
	"regexp"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/internal/words"
)

// Drop is the error with which a stage's code drops an item. Reasons are few and fixed texts, since the card counts them.
func Drop(reason string) error { return &dropError{reason} }

type dropError struct{ reason string }

func (e *dropError) Error() string { return e.reason }

// Flaw is what is wrong with an answer: a kind, which is counted, and what the model is told when it is asked again.
type Flaw struct {
	Kind   string
	Detail string
}

func (f *Flaw) Error() string { return f.Kind + ": " + f.Detail }

// Again is an error with which Check and Read ask for another answer. Kinds are few and fixed texts.
func Again(kind, detail string) error { return &Flaw{kind, detail} }

// The kinds of flaws that every Ask looks for.
const (
	FlawEmpty     = "empty"
	FlawRefused   = "refused"
	FlawCut       = "cut off"
	FlawModerated = "moderated"
	FlawShape     = "wrong shape"
	FlawLeak      = "repeats the injected instruction"
	FlawCheck     = "failed a check"
)

// Incomplete tells whether an answer is none: moderated, cut off by its limit, or empty.
func Incomplete(r because.Response) *Flaw {
	switch {
	case r.Stop == because.StopFilter:
		return &Flaw{FlawModerated, "The provider withheld the answer."}
	case r.Stop == because.StopLength:
		return &Flaw{FlawCut, "Your answer was cut off at its greatest length. Make it shorter, so that it is complete."}
	case strings.TrimSpace(r.Text) == "" && len(r.Calls) == 0:
		return &Flaw{FlawEmpty, "Your answer was empty."}
	}
	return nil
}

// refusal is how writers begin that refuse the task, rather than write a character who declines something.
var refusal = regexp.MustCompile(`(?i)^\W*(?:(?:i['’]?m|i am)(?: really| very| so)? sorry,? ?(?:but )?(?:i|as an ai)|i apologi[sz]e,? but|sorry,? (?:but )?i (?:can|am|won)|` +
	`i (?:can['’]?t|cannot|can not|won['’]?t|am (?:unable|not able)|['’]m (?:unable|not able)|must decline|have to decline)\b[^.]{0,60}?\b(?:help|assist|write|create|provide|generate|produce|fulfil|comply|do that|complete|continue|roleplay)|` +
	`i['’]m (?:unable|not able|not comfortable)|as an ai(?: language model| assistant)?,? i (?:can|am|must|do)|unfortunately,? i (?:can|am|must))`)

// Refused tells whether an answer begins as those do in which a model refuses the task. It is a rule on the first words, with
// misses and, rarely, false alarms: an assistant's answer that declines by good right begins the same (Ask.MayRefuse).
func Refused(text string) bool {
	if len(text) > 600 {
		text = text[:600]
	}
	return refusal.MatchString(strings.TrimSpace(text))
}

// Leaks finds words that a text repeats from an injected instruction: eight in a row, or all of an instruction that has fewer, though no
// fewer than three. Case and punctuation don't count. It gives the first ones as the text has them.
func Leaks(text, injected string) (span string, found bool) { return words.Repeats(text, injected) }

// asFlaw makes a flaw of what Check or Read found, or gives the error back where it is none.
func asFlaw(err error, kind string) (*Flaw, error) {
	var drop *dropError
	if errors.As(err, &drop) {
		return nil, err
	}
	var f *Flaw
	if errors.As(err, &f) {
		return f, nil
	}
	return &Flaw{kind, err.Error()}, nil
}
