package story

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
)

// theEnd is where a base model is stopped; its frame says that stories end so.
const theEnd = "THE END"

// framer lays out the frame of each story.
type framer struct {
	o     Options
	ideas *ideas
}

func (f framer) adds() map[string]int {
	words := f.o.Excerpt
	if words <= 0 {
		words = len(strings.Fields(f.o.Constitution.Text()))
	}
	return map[string]int{"constitution": words * 4 / 3, "excerpt": 900, "idea": 40, "theme": 60, "persona": 2, "words": 1}
}

// frame draws length and theme.
func (f framer) frame(it pipe.Item) ([]pipe.Item, error) {
	n, err := number(it.ID())
	if err != nil {
		return nil, err
	}
	c := f.o.Constitution
	theme := deal("themes", c.Principles, n)
	cite, err := c.Cite(theme.ID)
	if err != nil {
		return nil, err
	}
	idea := f.ideas.at(n)
	text := c.Text()
	if f.o.Excerpt > 0 {
		text = c.Text(around(c, theme, idea, f.o.Excerpt)...)
	}
	persona := c.Persona
	if persona == "" {
		persona = "a made mind"
	}
	return []pipe.Item{it.Without("ideas").With("constitution", text, "excerpt", c.Text(around(c, theme, idea, 600)...), "persona", persona, "idea", idea,
		"theme", theme.Title+". "+theme.Statement(), "citation", cite, "words", strconv.Itoa(deal("lengths", f.o.Lengths, n)))}, nil
}

// around gives a principle and those that bear on a text, within a number of words.
func around(c *constitution.Constitution, p *constitution.Principle, text string, room int) []*constitution.Principle {
	out := []*constitution.Principle{p}
	room -= len(strings.Fields(c.Text(p)))
	for _, q := range c.Excerpt(p.Title+" "+p.Statement()+" "+text, max(room, 1)) {
		if n := len(strings.Fields(c.Text(q))); q.ID != p.ID && n <= room {
			out, room = append(out, q), room-n
		}
	}
	return out
}

// number is a story's place among all: ids are BATCH/PLACE, places count from 1.
func number(id string) (int, error) {
	b, i, ok := strings.Cut(id, "/")
	x, err1 := strconv.Atoi(b)
	y, err2 := strconv.Atoi(i)
	if !ok || err1 != nil || err2 != nil || y < 1 {
		return 0, fmt.Errorf("%q is not the id of a title", id)
	}
	return x*batch + y - 1, nil
}

// tell is the stage that samples the story.
func (f framer) tell() pipe.Ask {
	ask := pipe.Ask{Name: "story", Model: Teller, Uses: []string{"constitution", "persona", "words", "title", "idea?", "theme?"}, Check: f.check}
	if !f.o.Base {
		return ask
	}
	ask.Prompt, ask.Resample, ask.Request, ask.Read = "base", true, begin, told
	return ask
}

// begin makes the frame the start of the answer.
func begin(_ pipe.Item, r *because.Request) error {
	frame := r.Messages[len(r.Messages)-1].Content
	r.Prefill, r.Stop = frame+"\n\n", []string{theEnd}
	r.Messages = []because.Message{{Role: because.RoleUser, Content: "The text of the book."}}
	return nil
}

// told takes the story from behind the frame.
func told(in pipe.Item, answer because.Response) ([]pipe.Item, error) {
	_, story, ok := strings.Cut(answer.Text, "\n"+in.Get("title")+"\n\n")
	if !ok {
		return nil, errors.New("the frame is not in the answer, or does not end with the title")
	}
	if story = strings.TrimSpace(story); story == "" {
		return nil, pipe.Again(pipe.FlawEmpty, "There was no story.")
	}
	return []pipe.Item{in.With("story", story)}, nil
}

// endings are lines of marks, or the words that a story is over, at its end.
var endings = regexp.MustCompile(`(?i)(?:(?:^|\n)[\s*_#~-]*(?:the end\b)?[.\s*_#~-]*)$`)

// clean takes away the title at a story's beginning and the marks of its end.
func clean(it pipe.Item) ([]pipe.Item, error) {
	text := strings.TrimSpace(it.Get("story"))
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.EqualFold(strings.Trim(first, " *_#\"“”"), it.Get("title")) {
		text = strings.TrimSpace(rest)
	}
	text = strings.TrimSpace(endings.ReplaceAllString(text, ""))
	if text == "" {
		return nil, pipe.Drop(pipe.FlawEmpty)
	}
	return []pipe.Item{it.With("story", text)}, nil
}

// check asks again for stories that are much too short or long, or use a worn-out name.
func (f framer) check(in, out pipe.Item) error {
	want, err := strconv.Atoi(in.Get("words"))
	if err != nil {
		return err
	}
	n := len(strings.Fields(out.Get("story")))
	if 2*n < want || n > 2*want {
		return pipe.Again("wrong length", fmt.Sprintf("The story has %d words; it should have some %d.", n, want))
	}
	for _, name := range f.o.Banned {
		if !strings.EqualFold(name, f.o.Constitution.Persona) && hasName(out.Get("story"), name) {
			return pipe.Again("a worn-out name", "It uses the name "+name+", which invented people have far too often.")
		}
	}
	return nil
}

// hasName tells whether a name stands in a text as a word.
func hasName(text, name string) bool {
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 || name == "" {
			return false
		}
		before, after := rest[:i], rest[i+len(name):]
		if !letterAt(before, len(before)-1) && !letterAt(after, 0) {
			return true
		}
		rest = after
	}
}

func letterAt(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 0x80)
}

// distinct drops stories of which more than half is in an earlier one.
func distinct() func(pipe.Item) string {
	near := quality.NewNear(0.5)
	return func(it pipe.Item) string {
		if _, _, found := near.Add(it.Get("story")); found {
			return "nearly the same as an earlier one"
		}
		return ""
	}
}
