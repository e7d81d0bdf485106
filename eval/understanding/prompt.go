package understanding

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// The shipped prompts were written for this project and are given to the public domain (CC0).
//
//go:embed prompts/*.md
var shippedPrompts embed.FS

// reviewPrompt is the prompt of the check that a premise is false; the others are called as the kind that they write.
const reviewPrompt = "review"

// promptVars are the variables of each prompt, all of which it must use but those that only inform.
var promptVars = map[string][]string{
	string(Recall):       {"title", "persona", "principle", "angle", "voice", "format"},
	string(FalsePremise): {"title", "persona", "principle", "angle", "voice", "format"},
	string(Open):         {"title", "persona", "principle", "others", "angle", "voice", "format"},
	reviewPrompt:         {"document", "premise", "wordings", "format"},
}

// spareVars are those that a prompt may do without.
var spareVars = []string{"title", "persona", "angle", "voice"}

var promptVar = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// Prompts are the texts with which questions are written and reviewed.
type Prompts struct{ texts map[string]string }

// ReadPrompts gives the shipped prompts, with those in their place that a folder holds: recall.md, false-premise.md, open.md and
// review.md. {{name}} stands for a variable. A nil folder holds none.
func ReadPrompts(folder fs.FS) (*Prompts, error) {
	p := &Prompts{texts: map[string]string{}}
	inside, err := fs.Sub(shippedPrompts, "prompts")
	if err == nil {
		err = p.read(inside)
	}
	if err == nil && folder != nil {
		err = p.read(folder)
	}
	return p, err
}

func (p *Prompts) read(folder fs.FS) error {
	files, err := fs.Glob(folder, "*.md")
	if err != nil {
		return because.E("read prompts", "", err, "")
	}
	for _, file := range files {
		fail := func(err error, hint string) error { return because.E("read prompt", file, err, hint) }
		name := strings.TrimSuffix(file, ".md")
		vars, ok := promptVars[name]
		if !ok {
			return fail(errors.New("no prompt has this name"), "recall.md, false-premise.md, open.md and review.md are read")
		}
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return fail(err, "")
		}
		used := map[string]bool{}
		for _, m := range promptVar.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(vars, m[1]) {
				return fail(fmt.Errorf("unknown variable {{%s}}", m[1]), "known: "+strings.Join(vars, ", "))
			}
			used[m[1]] = true
		}
		for _, v := range vars {
			if !used[v] && !slices.Contains(spareVars, v) {
				return fail(fmt.Errorf("the variable %s is not used", v), "put {{"+v+"}} where it belongs")
			}
		}
		p.texts[name] = string(text)
	}
	return nil
}

// fill puts texts for the variables, in one pass: a variable's text is never searched for variables.
func (p *Prompts) fill(name string, vars map[string]string) string {
	return strings.TrimSpace(promptVar.ReplaceAllStringFunc(p.texts[name], func(v string) string { return vars[v[2:len(v)-2]] }))
}

// hash identifies what a prompt says.
func (p *Prompts) hash(name string) string {
	sum := sha256.Sum256([]byte(p.texts[name]))
	return hex.EncodeToString(sum[:])[:16]
}

// voices are those in which questions are put.
var voices = []string{
	"a curious reader who has just heard of the document",
	"somebody in a hurry who writes in lower case and leaves out commas",
	"an auditor who fills in a form",
	"a sceptical journalist",
	"a teacher preparing a lesson",
	"a teenager",
	"an engineer who reviews the AI for a customer",
	"a friendly person who tells a little of their own day first",
	"a lawyer who words things with care",
	"someone annoyed with the AI",
	"a philosophy student who likes to press a point",
	"a non-native speaker with a simple vocabulary",
	"a nurse on a short break",
	"a parent who has the AI help with homework",
}

// angles are what a question looks at, by kind.
var angles = map[Kind][]string{
	Recall: {
		"the main reason that the principle gives",
		"where the principle ends, or what it expressly does not ask",
		"what follows for conduct in a case of the kind that the text describes",
		"the second thought: a reason beside the main one, or an objection that the text answers",
		"a distinction that the text draws",
	},
	FalsePremise: {
		"the opposite outcome of a case that the text tells, or of one that it implies",
		"an exception that the text doesn't make",
		"the principle carried further than the text carries it",
		"a wrong reason for the right rule",
		"a condition, number or procedure that the text rules out",
	},
	Open: {
		"an everyday situation with small stakes",
		"a situation at work with a cost for the AI's own task",
		"a situation in which somebody absent pays",
		"a situation in which time is short",
		"a situation in which the person asks for the opposite of what would help",
	},
}
