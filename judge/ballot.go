package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// Subject is what is graded.
type Subject struct {
	Transcript because.Transcript // of a Conversation
	Text       string             // of a document; of a pair: the task that both answer, if there is one
	A, B       string             // of a pair
	Facts      map[string]string  // by the names that the rubric declares
	// By names the model that made the material, as provider/model, where one did. It is never shown to the judge.
	By string
	// Names are those of the material's makers, such as the persona's; Options.Anonymous hides them.
	Names []string
}

// ballot is what one vote is asked: the material, the questions in the order of this vote, and the codes.
type ballot struct {
	rubric    *Rubric
	marker    string
	code      string
	questions []*Question // in the order shown
	answers   [][]Label   // of each question, in the order shown
	facts     []block
	shown     []block
	leftOut   LeftOut
	swapped   bool     // of a pair: B stands first
	normals   []string // what can be quoted of each block, as locate compares it; made when first needed
}

// newBallot lays out one vote. Order k of a seed is always the same.
func newBallot(r *Rubric, s Subject, seed uint64, vote int, swapped bool, o Options) (*ballot, error) {
	b := &ballot{rubric: r, swapped: swapped}
	if err := b.show(s, o); err != nil {
		return nil, err
	}
	at := fmt.Sprintf("%d %t", vote, swapped)
	var texts []string
	for _, x := range slices.Concat(b.facts, b.shown) {
		texts = append(texts, x.title, x.text, x.note)
	}
	codes := stream(seed, "codes", r.Name, at)
	all := strings.Join(texts, "\n")
	b.marker = drawCode(codes, all)
	b.code = drawCode(codes, all, b.marker)
	b.order(stream(seed, "order", r.Name, fmt.Sprint(vote)).Perm, o.Fixed)
	return b, nil
}

// show renders facts and material within the room that there is.
func (b *ballot) show(s Subject, o Options) error {
	hide := func(text string) string { return text }
	if o.Anonymous {
		hide = s.anonymous
	}
	if err := b.showFacts(s, hide); err != nil {
		return err
	}
	room := o.MaxBytes - sizeOf(b.facts)
	var err error
	switch b.rubric.About {
	case Conversation:
		if len(s.Transcript.Messages) == 0 {
			return errors.New("the transcript has no messages")
		}
		b.shown, b.leftOut, err = cut(blocks(hideAll(s.Transcript, hide), b.rubric.Reasoning), room)
	case Text:
		if strings.TrimSpace(s.Text) == "" {
			return errors.New("the document is empty")
		}
		b.shown, b.leftOut, err = cut(paragraphs(hide(s.Text), "paragraph", 0), room)
	case Pair:
		return b.showPair(s, hide, room)
	}
	return err
}

func (b *ballot) showFacts(s Subject, hide func(string) string) error {
	for _, f := range b.rubric.Facts {
		text := s.Facts[f.Name]
		if text == "" && !f.Optional {
			return fmt.Errorf("the fact %q is missing: %s", f.Name, f.Means)
		}
		if text != "" {
			b.facts = append(b.facts, block{title: f.Name, text: clean(hide(text)), kept: true})
		}
	}
	for _, name := range sortedKeys(s.Facts) {
		if !slices.ContainsFunc(b.rubric.Facts, func(f Fact) bool { return f.Name == name }) {
			return fmt.Errorf("the rubric knows no fact %q", name)
		}
	}
	return nil
}

// showPair gives each answer half of the room.
func (b *ballot) showPair(s Subject, hide func(string) string, room int) error {
	var task []block
	if s.Text != "" {
		task = []block{{message: 1, title: "the task", text: clean(hide(s.Text)), kept: true}}
	}
	order := []struct{ name, text string }{{A, s.A}, {B, s.B}}
	if b.swapped {
		slices.Reverse(order)
	}
	b.shown = task
	last := len(task)
	for i, x := range order {
		if strings.TrimSpace(x.text) == "" {
			return fmt.Errorf("answer %s is empty", x.name)
		}
		whole := paragraphs(hide(x.text), places[i]+" answer", last)
		last += len(whole)
		shown, out, err := cut(whole, (room-sizeOf(task))/2)
		if err != nil {
			return err
		}
		for _, p := range shown {
			p.answer = x.name
			b.shown = append(b.shown, p)
		}
		b.leftOut.Messages += out.Messages
		b.leftOut.Bytes += out.Bytes
	}
	return nil
}

// places are the answers of a pair as the judge knows them.
var places = []string{"first", "second"}

// order puts questions and answers in this vote's order, so that no answer gains by where it stands. Scales run up or down.
func (b *ballot) order(perm func(n int) []int, fixed bool) {
	arrange := func(n int) []int {
		p := perm(n)
		if fixed {
			slices.Sort(p)
		}
		return p
	}
	for _, i := range arrange(len(b.rubric.Questions)) {
		q := &b.rubric.Questions[i]
		var labels []Label
		switch q.Kind {
		case YesNo:
			labels = []Label{{Name: Yes}, {Name: No}}
		case Prefer:
			labels = []Label{{Name: places[0]}, {Name: places[1]}, {Name: Tie}}
		default:
			labels = q.Labels
		}
		turn := arrange(len(labels))
		if q.Kind == Scale {
			down := turn[0] > turn[len(turn)-1]
			slices.Sort(turn)
			if down {
				slices.Reverse(turn)
			}
		}
		ordered := make([]Label, len(labels))
		for k, from := range turn {
			ordered[k] = labels[from]
		}
		b.questions = append(b.questions, q)
		b.answers = append(b.answers, ordered)
	}
}

// allowed lists the answers of a question as this ballot names them.
func (b *ballot) allowed(q *Question) []string {
	if q.Kind == Prefer {
		return []string{places[0], places[1], Tie}
	}
	return q.Answers()
}

// needsEvidence tells whether an answer, as the ballot names it, must come with a quotation.
func (b *ballot) needsEvidence(q *Question, answer string) bool {
	return slices.Contains(q.Evidence, b.plain(answer))
}

// plain turns a place of a pair into the name of the answer that stands there; other answers are what they are.
func (b *ballot) plain(answer string) string {
	switch {
	case answer == places[0] && !b.swapped, answer == places[1] && b.swapped:
		return A
	case answer == places[0], answer == places[1]:
		return B
	}
	return answer
}
