package judge

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote is a passage of the material that decides an answer.
type Quote struct {
	At   int    `json:"at"`           // the number of the message, or of a document's paragraph, from 1
	Of   string `json:"of,omitempty"` // of a pair: A or B, or empty for the task; At counts what the judge was shown
	Text string `json:"text"`
}

// Mark is one vote's answer to one question.
type Mark struct {
	Answer   string  `json:"answer"`
	Why      string  `json:"why"`
	Evidence []Quote `json:"evidence,omitempty"`
}

const (
	maxAnswer = 256 << 10 // bytes of a judge's answer that are read
	maxStarts = 512       // braces at which an object may begin
)

// read takes the marks from what a judge wrote. Only an object that carries this ballot's code counts, of which there must be
// one; everything else in the answer is passed over. The error is a complaint that can be put to the judge.
func (b *ballot) read(answer string) (map[string]Mark, error) {
	if rest, thought := strings.CutPrefix(strings.TrimSpace(answer), "<think>"); thought {
		_, answer, _ = strings.Cut(rest, "</think>")
	}
	o, err := b.find(answer)
	if err != nil {
		return nil, err
	}
	if o[len(o)-1].name != fieldBallot {
		return nil, fmt.Errorf("%q has to be the last entry of the object", fieldBallot)
	}
	fields, err := entries(o, "the object", fieldAnswers, fieldBallot)
	if err != nil {
		return nil, err
	}
	given, ok := fields[fieldAnswers].(object)
	if !ok {
		return nil, fmt.Errorf("%q is not an object", fieldAnswers)
	}
	var ids []string
	for _, q := range b.questions {
		ids = append(ids, q.ID)
	}
	answers, err := entries(given, fmt.Sprintf("%q", fieldAnswers), ids...)
	if err != nil {
		return nil, err
	}
	marks := map[string]Mark{}
	var bad []error
	for _, q := range b.questions {
		mark, err := b.mark(q, answers[q.ID])
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", q.ID, err))
		}
		marks[q.ID] = mark
	}
	return marks, errors.Join(bad...)
}

// The names of an answer's entries.
const (
	fieldAnswers  = "answers"
	fieldBallot   = "ballot"
	fieldEvidence = "evidence"
	fieldWhy      = "why"
	fieldAnswer   = "answer"
	fieldAt       = "at"
	fieldQuote    = "quote"
)

// find gives the object that carries the ballot's code.
func (b *ballot) find(answer string) (object, error) {
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("it has %d bytes; %d are read", len(answer), maxAnswer)
	}
	if !strings.Contains(answer, b.code) {
		if strings.TrimSpace(answer) == "" {
			return nil, errors.New("it is empty")
		}
		return nil, fmt.Errorf("there is no JSON object whose last entry is %q: %q", fieldBallot, b.code)
	}
	var found object
	for at, starts := 0, 0; ; {
		i := strings.IndexByte(answer[at:], '{')
		if i < 0 {
			break
		}
		at += i
		if !opensObject(answer[at+1:]) {
			at++
			continue
		}
		if starts++; starts > maxStarts {
			return nil, errors.New("it has too many braces; give one JSON object and nothing else")
		}
		o, size, err := readObject(answer[at:])
		switch {
		case err != nil:
			// What follows may lie within a text of this object, so none of it is looked at.
			return nil, fmt.Errorf("a JSON object in it can't be read: %w", err)
		case b.signed(o) && found != nil && !reflect.DeepEqual(found, o):
			return nil, fmt.Errorf("there are two different objects with the entry %q; give one", fieldBallot)
		case b.signed(o):
			found = o
		}
		at += size
	}
	if found == nil {
		return nil, fmt.Errorf("there is no JSON object whose last entry is %q: %q", fieldBallot, b.code)
	}
	return found, nil
}

// opensObject tells a brace before a name in quotation marks from one in prose.
func opensObject(rest string) bool {
	c, _ := utf8.DecodeRuneInString(strings.TrimLeft(rest, " \t\r\n"))
	return closing(c) != 0
}

// signed tells whether an object carries the ballot's code.
func (b *ballot) signed(o object) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.name == fieldBallot && m.value == b.code })
}

// entries gives an object's values by name. Each name must be there once, and no other: text that breaks out of a quotation can
// add entries, but not without repeating one or inventing one.
func entries(o object, what string, names ...string) (map[string]any, error) {
	fields := map[string]any{}
	for _, m := range o {
		if _, twice := fields[m.name]; twice {
			return nil, fmt.Errorf("%s has the entry %q twice", what, m.name)
		}
		if !slices.Contains(names, m.name) {
			return nil, fmt.Errorf("%s has an entry %q; its entries are %s", what, brief(m.name), strings.Join(names, ", "))
		}
		fields[m.name] = m.value
	}
	for _, name := range names {
		if _, there := fields[name]; !there {
			return nil, fmt.Errorf("%s lacks the entry %q", what, name)
		}
	}
	return fields, nil
}

// mark checks the answer to one question.
func (b *ballot) mark(q *Question, v any) (Mark, error) {
	o, ok := v.(object)
	if !ok {
		return Mark{}, errors.New("it is not an object")
	}
	fields, err := entries(o, "it", fieldEvidence, fieldWhy, fieldAnswer)
	if err != nil {
		return Mark{}, err
	}
	why, ok := fields[fieldWhy].(string)
	if !ok || strings.TrimSpace(why) == "" {
		return Mark{}, fmt.Errorf("%q gives no reason", fieldWhy)
	}
	answer, err := b.answer(q, fields[fieldAnswer])
	if err != nil {
		return Mark{}, err
	}
	quotes, err := b.evidence(fields[fieldEvidence])
	if err != nil {
		return Mark{}, err
	}
	if len(quotes) == 0 && b.needsEvidence(q, answer) {
		return Mark{}, fmt.Errorf("the answer %q needs a quotation in %q", answer, fieldEvidence)
	}
	return Mark{Answer: b.plain(answer), Why: strings.TrimSpace(why), Evidence: quotes}, nil
}

// answer reads one of the allowed answers.
func (b *ballot) answer(q *Question, v any) (string, error) {
	given := ""
	switch x := v.(type) {
	case string:
		given = strings.TrimSpace(x)
	case number:
		given = string(x)
	case bool:
		if q.Kind == YesNo {
			given = map[bool]string{true: Yes, false: No}[x]
		}
	}
	if q.Kind == Scale {
		if f, err := strconv.ParseFloat(given, 64); err == nil && f == float64(int(f)) {
			given = strconv.Itoa(int(f))
		}
	}
	for _, a := range b.allowed(q) {
		if strings.EqualFold(a, given) {
			return a, nil
		}
	}
	want := "one of " + strings.Join(b.allowed(q), ", ")
	if q.Kind == Scale {
		want = fmt.Sprintf("a whole number from %d to %d", q.Min, q.Max)
	}
	return "", fmt.Errorf("%q is not %s", brief(fmt.Sprint(v)), want)
}

const maxQuotes = 32

// evidence checks that every quotation stands in the material as the judge was shown it.
func (b *ballot) evidence(v any) ([]Quote, error) {
	list, ok := v.([]any)
	if !ok || len(list) > maxQuotes {
		return nil, fmt.Errorf("%q is not a list of at most %d quotations", fieldEvidence, maxQuotes)
	}
	var quotes []Quote
	for _, item := range list {
		o, ok := item.(object)
		if !ok {
			return nil, fmt.Errorf("a quotation in %q is not an object", fieldEvidence)
		}
		fields, err := entries(o, "a quotation", fieldAt, fieldQuote)
		if err != nil {
			return nil, err
		}
		text, ok := fields[fieldQuote].(string)
		if !ok {
			return nil, fmt.Errorf("%q is not a text", fieldQuote)
		}
		n, err := strconv.Atoi(strings.Trim(fmt.Sprint(fields[fieldAt]), "[]"))
		if err != nil {
			return nil, fmt.Errorf("%q is not the number of a part", fieldAt)
		}
		q, err := b.locate(n, text)
		if err != nil {
			return nil, err
		}
		quotes = append(quotes, q)
	}
	return quotes, nil
}

const leastQuote = 6 // letters and digits, unless the whole part is shorter

// programPrefix is what stands between the marker and the words of a line.
var programPrefix = regexp.MustCompile(`^\s*\[\d+\]\s+`)

// evidence is what can be quoted of a block: its text or, of a call, the line that names it.
func (x block) evidence() string {
	if x.text == "" {
		return x.title
	}
	return x.text
}

// locate finds a quotation in the part that the judge named or, if it is in another one, there. White space, the bars
// before lines and the shape of quotation marks don't matter; every other character does.
func (b *ballot) locate(n int, text string) (Quote, error) {
	if b.normals == nil {
		for _, x := range b.shown {
			b.normals = append(b.normals, normal(x.evidence()))
		}
	}
	want := normal(programPrefix.ReplaceAllString(strings.TrimPrefix(strings.TrimSpace(text), b.marker), ""))
	long := utf8.RuneCountInString(letters(want)) >= leastQuote
	found := -1
	for i, x := range b.shown {
		if x.note != "" {
			continue
		}
		have := b.normals[i]
		if want == "" || !strings.Contains(have, want) || !long && have != want {
			continue
		}
		if x.message == n {
			return Quote{At: n, Of: x.answer, Text: text}, nil
		}
		if found < 0 {
			found = i
		}
	}
	switch {
	case found >= 0:
		return Quote{At: b.shown[found].message, Of: b.shown[found].answer, Text: text}, nil
	case !long:
		return Quote{}, fmt.Errorf("the quotation %q is too short to decide anything", text)
	}
	return Quote{}, fmt.Errorf("the quotation %q does not stand in the material word for word", brief(text))
}

// normal is a text with single spaces, plain quotation marks, and no bars at the starts of lines.
func normal(s string) string {
	lines := strings.Split(clean(s), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(l), strings.TrimSpace(quoted))
	}
	s = strings.Map(func(c rune) rune {
		switch c {
		case '“', '”', '„', '«', '»':
			return '"'
		case '‘', '’', '‚', '‛':
			return '\''
		}
		if unicode.IsSpace(c) {
			return ' '
		}
		return c
	}, strings.Join(lines, " "))
	return strings.Join(strings.Fields(s), " ")
}

// brief cuts a text to what a complaint can hold.
func brief(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
