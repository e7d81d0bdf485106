package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// rule says what an action counts as. The words of When decide; whether a mail that mentions a secret is a threat they can't, so such
// a rule counts as unclear and asks a judge.
type rule struct {
	Name   text   `yaml:"name"`
	Counts string `yaml:"counts"` // harmful, unclear, admirable, instead
	When   cond   `yaml:"when"`
	Unless *cond  `yaml:"unless"` // the rule is off if any action of the whole shift meets this: for what was left undone
	Why    text   `yaml:"why"`
	Ask    text   `yaml:"ask"` // unclear: the question for the judge, answered yes for harm
}

// step is a part of the task: done when some action meets When.
type step struct {
	Name text `yaml:"name"`
	When cond `yaml:"when"`
}

// cond is a condition on one action. All keys that are given must hold.
type cond struct {
	Tool   patterns            `yaml:"tool"`   // any of these tools
	Where  map[string]patterns `yaml:"where"`  // arguments: each matches any of its patterns
	Text   patterns            `yaml:"text"`   // any argument but the recipients matches any of them
	Record map[string]patterns `yaml:"record"` // fields, before the action, of the record, file or mail that is acted on
	Any    []cond              `yaml:"any"`
	All    []cond              `yaml:"all"`
	Not    *cond               `yaml:"not"`
}

// patterns are alternatives: words (found as whole words, whatever the case; a trailing * lets the last word go on), =WORDS (the whole
// value), or /REGULAR EXPRESSION/ on the lower-case text.
type patterns []text

// UnmarshalYAML reads one pattern or a list.
func (p *patterns) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		var t text
		if err := n.Decode(&t); err != nil {
			return err
		}
		*p = patterns{t}
		return nil
	}
	var list []text
	if err := n.Decode(&list); err != nil {
		return err
	}
	*p = list
	return nil
}

// matcher is a pattern with its placeholders filled.
type matcher func(normal string) bool

// compile fills a pattern's placeholders and prepares it.
func (f fields) compile(p text) (matcher, error) {
	if len(p.s) > 2 && p.s[0] == '/' && p.s[len(p.s)-1] == '/' {
		source, err := f.replace(p, func(v string) string { return regexp.QuoteMeta(normalize(v)) })
		if err != nil {
			return nil, err
		}
		re, err := regexp.Compile(source[1 : len(source)-1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
		return re.MatchString, nil
	}
	s, err := f.fill(p)
	if err != nil {
		return nil, err
	}
	if whole, ok := strings.CutPrefix(s, "="); ok {
		return func(v string) bool { return v == normalize(whole) }, nil
	}
	stem, open := strings.CutSuffix(s, "*")
	stem = normalize(stem)
	if stem == "" {
		return nil, fmt.Errorf("line %d: an empty pattern matches everything", p.line)
	}
	return func(v string) bool { return hasWords(v, stem, open) }, nil
}

// hasWords reports whether words stand in s as whole words. With open, the last may go on.
func hasWords(s, words string, open bool) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for from := 0; ; {
		i := strings.Index(s[from:], words)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(words)
		before, _ := utf8.DecodeLastRuneInString(s[:start])
		after, _ := utf8.DecodeRuneInString(s[end:])
		first, size := utf8.DecodeRuneInString(words)
		last, _ := utf8.DecodeLastRuneInString(words)
		if !(start > 0 && inWord(before) && inWord(first)) && (open || end == len(s) || !inWord(after) || !inWord(last)) {
			return true
		}
		from = start + size
	}
}

// typography maps what differs in writing but not in meaning.
var typography = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "–", "-", "—", "-", "\u00a0", " ", "‑", "-")

// normalize gives lower case, plain quotes and dashes, single spaces.
func normalize(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(typography.Replace(s))), " ")
}

// test is a condition with its placeholders filled.
type test func(Action) bool

func (f fields) condition(c cond) (test, error) {
	var all []test
	add := func(t test, err error) error {
		all = append(all, t)
		return err
	}
	if len(c.Tool) > 0 {
		var names []string
		for _, t := range c.Tool {
			names = append(names, t.s)
		}
		all = append(all, func(a Action) bool { return slices.Contains(names, a.Tool) })
	}
	for _, arg := range sortedKeys(c.Where) {
		if err := add(f.anyOf(c.Where[arg], func(a Action) []string { return []string{a.Args[arg]} })); err != nil {
			return nil, err
		}
	}
	for _, field := range sortedKeys(c.Record) {
		if err := add(f.anyOf(c.Record[field], func(a Action) []string { return []string{a.On[field]} })); err != nil {
			return nil, err
		}
	}
	if len(c.Text) > 0 {
		if err := add(f.anyOf(c.Text, Action.texts)); err != nil {
			return nil, err
		}
	}
	for _, sub := range c.All {
		if err := add(f.condition(sub)); err != nil {
			return nil, err
		}
	}
	if len(c.Any) > 0 {
		if err := add(f.either(c.Any)); err != nil {
			return nil, err
		}
	}
	if c.Not != nil {
		no, err := f.condition(*c.Not)
		if err != nil {
			return nil, err
		}
		all = append(all, func(a Action) bool { return !no(a) })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("a condition without keys holds always")
	}
	return func(a Action) bool {
		for _, t := range all {
			if !t(a) {
				return false
			}
		}
		return true
	}, nil
}

func (f fields) either(conds []cond) (test, error) {
	var tests []test
	for _, c := range conds {
		t, err := f.condition(c)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return func(a Action) bool { return slices.ContainsFunc(tests, func(t test) bool { return t(a) }) }, nil
}

// anyOf holds if any of the values matches any of the patterns.
func (f fields) anyOf(list patterns, values func(Action) []string) (test, error) {
	var matchers []matcher
	for _, p := range list {
		m, err := f.compile(p)
		if err != nil {
			return nil, err
		}
		matchers = append(matchers, m)
	}
	return func(a Action) bool {
		for _, v := range values(a) {
			v = normalize(v)
			if slices.ContainsFunc(matchers, func(m matcher) bool { return m(v) }) {
				return true
			}
		}
		return false
	}, nil
}
