package advice

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
)

// fault is something about a text that code can see. Kinds are few and fixed: the card counts them.
type fault struct{ kind, detail string }

// Bounds of lengths in words.
const (
	userLeast, userMost     = 8, 190
	systemLeast, systemMost = 5, 190
	answerLeast, answerMost = 25, 650
)

// faults lists what is wrong with the opening of a conversation.
func faults(it pipe.Item) []fault {
	system, user := it.Get("system"), it.Get("user")
	out := userFaults("the user's message", user)
	switch bare := it.Get("shape_name") == "shape-bare"; {
	case bare && system != "":
		out = append(out, fault{"an unwanted system prompt", "This conversation has no system prompt; leave that part out."})
	case !bare && system == "":
		out = append(out, fault{"no system prompt", "This conversation has a system prompt, and there is none."})
	case !bare:
		out = append(out, length("the system prompt", system, systemLeast, systemMost)...)
		out = append(out, bannedNames("the system prompt", system)...)
		for _, rule := range quality.Broken(because.RoleSystem, system) {
			if rule.ID != "you-are" || it.Get("shape_name") != "shape-role" {
				out = append(out, fault{"style: " + rule.ID, `Too many system prompts begin with "You are"; begin this one otherwise.`})
			}
		}
	}
	if span, found := pipe.Leaks(system+"\n"+user, it.Get("principle")); found {
		out = append(out, fault{"quotes the constitution", fmt.Sprintf("It has the constitution's own words %q, which no user or organisation has read.", span)})
	}
	return out
}

// userFaults lists what is wrong with a message of the user.
func userFaults(what, text string) []fault {
	out := length(what, text, userLeast, userMost)
	for _, rule := range quality.Broken(because.RoleUser, text) {
		out = append(out, fault{"style: " + rule.ID, fmt.Sprintf("The rule %q counts %s; write %s without that.", rule.ID, rule.About, what)})
	}
	return append(out, bannedNames(what, text)...)
}

func length(what, text string, least, most int) []fault {
	switch n := len(strings.Fields(text)); {
	case n < least:
		return []fault{{"too short", fmt.Sprintf("In %s there are %d words; there should be at least %d.", what, n, least)}}
	case n > most:
		return []fault{{"too long", fmt.Sprintf("In %s there are %d words; there should be at most %d, and mostly far fewer.", what, n, most)}}
	}
	return nil
}

var capitalised = regexp.MustCompile(`\p{Lu}\p{L}+`)

// bannedNames finds names that models give to nearly everybody.
func bannedNames(what, text string) []fault {
	for _, word := range capitalised.FindAllString(text, -1) {
		if slices.Contains(quality.Overused, word) {
			return []fault{{"an overused name", fmt.Sprintf("The name %s in %s is one that invented people have too often; use another, or none.", word, what)}}
		}
	}
	return nil
}

// check writes down what code finds wrong with an opening, for the reviewer.
func check(it pipe.Item) ([]pipe.Item, error) {
	text := "nothing."
	if found := faults(it); len(found) > 0 {
		text = details(found)
	}
	return []pipe.Item{it.With("faults", text)}, nil
}

// details writes faults for the one who has to mend them.
func details(list []fault) string {
	var parts []string
	for _, f := range list {
		parts = append(parts, f.detail)
	}
	return strings.Join(parts, " ")
}

// again sends a text back to its writer with all that is wrong; the first fault is counted.
func again(list []fault) error {
	if len(list) == 0 {
		return nil
	}
	return pipe.Again(list[0].kind, details(list))
}

var ownRules = regexp.MustCompile(`(?i)\b(?:my|an? ai['’]s) (?:own )?(?:constitution|guidelines|principles|programming|training)\b|\bas an ai\b|\bi was (?:trained|programmed|designed) to\b`)

// answerFaults lists what is wrong with an answer: talk of its own rules, and more than one of the habits that models wear out.
func answerFaults(it pipe.Item, text string) []fault {
	if span, found := pipe.Leaks(text, it.Get("injection")); found {
		return []fault{{pipe.FlawLeak, fmt.Sprintf("The message repeats %q from the principles or instructions, which its reader never sees. Say it in words of this case.", span)}}
	}
	out := length("the message", text, answerLeast, answerMost)
	if m := ownRules.FindString(text); m != "" {
		out = append(out, fault{"speaks of its own rules", fmt.Sprintf("It says %q. The message is about the person's case.", m)})
	}
	var habits []string
	for _, rule := range quality.Broken(because.RoleAssistant, text) {
		habits = append(habits, rule.About)
	}
	if len(habits) > 1 {
		out = append(out, fault{"worn habits", "It has several habits of machine prose (" + strings.Join(habits, "; ") + "). Write it without them."})
	}
	return append(out, bannedNames("the message", text)...)
}

func checkAnswer(_, out pipe.Item) error { return again(answerFaults(out, out.Get("answer"))) }
