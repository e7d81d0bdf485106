package judge

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/because-lab/because"
)

const opPrompt = "read judge's prompt"

// Prompt is the text of a request to a judge, with places for what changes from case to case. Its file is Markdown: a line
// <!-- system --> starts the system message, <!-- user --> the user's, and {{name}} stands for a variable.
type Prompt struct {
	parts  []promptPart
	source string
}

type promptPart struct {
	role because.Role
	text string // with variables
}

// The variables of a prompt. Those that a prompt must use carry the question, the material and the fence: a judge that doesn't
// know where the fence ends, or the code, can't give a valid answer.
const (
	varInstructions = "instructions"
	varFacts        = "facts"
	varSubject      = "subject"
	varQuestions    = "questions"
	varFormat       = "format"
	varMarker       = "marker"
)

var promptVars = []string{varFacts, varFormat, varInstructions, varMarker, varQuestions, varSubject}

var (
	promptHead = regexp.MustCompile(`^<!--\s*(\S+)\s*-->$`)
	promptVar  = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
)

// ParsePrompt reads and checks a prompt; name says in errors where it comes from.
func ParsePrompt(name string, text []byte) (*Prompt, error) {
	p := &Prompt{source: string(text)}
	bad := func(line int, hint, format string, args ...any) error {
		return because.E(opPrompt, site{name, line}.subject(""), fmt.Errorf(format, args...), hint)
	}
	used := map[string]bool{}
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		if m := promptHead.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			role := because.Role(m[1])
			if role != because.RoleSystem && role != because.RoleUser {
				return nil, bad(i+1, "<!-- system --> or <!-- user -->", "no message is of role %q", m[1])
			}
			if slices.ContainsFunc(p.parts, func(part promptPart) bool { return part.role == role || part.role == because.RoleUser }) {
				return nil, bad(i+1, "one system message at most, then one of the user", "a second or misplaced %s message", role)
			}
			p.parts = append(p.parts, promptPart{role: role})
			continue
		}
		if len(p.parts) == 0 {
			if strings.TrimSpace(line) != "" {
				return nil, bad(i+1, "start with <!-- system --> or <!-- user -->", "text before the first message")
			}
			continue
		}
		for _, m := range promptVar.FindAllStringSubmatch(line, -1) {
			if !slices.Contains(promptVars, m[1]) {
				return nil, bad(i+1, "known: "+strings.Join(promptVars, ", "), "unknown variable {{%s}}", m[1])
			}
			used[m[1]] = true
		}
		if rest := promptVar.ReplaceAllString(line, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
			return nil, bad(i+1, "a variable is written {{name}}, on one line", "a variable that does not end")
		}
		p.parts[len(p.parts)-1].text += line + "\n"
	}
	if len(p.parts) == 0 || p.parts[len(p.parts)-1].role != because.RoleUser {
		return nil, bad(0, "a line <!-- user --> starts it", "there is no user message")
	}
	for _, v := range promptVars {
		if !used[v] {
			return nil, bad(0, "put {{"+v+"}} where it belongs", "the variable %s is not used", v)
		}
	}
	return p, nil
}

// render fills the variables in one pass: a variable's text is never searched for variables.
func (p *Prompt) render(vars map[string]string) []because.Message {
	var messages []because.Message
	for _, part := range p.parts {
		text := promptVar.ReplaceAllStringFunc(part.text, func(v string) string { return vars[v[2:len(v)-2]] })
		messages = append(messages, because.Message{Role: part.role, Content: strings.TrimSpace(text)})
	}
	return messages
}

// Hash identifies what the prompt says.
func (p *Prompt) Hash() string {
	sum := sha256.Sum256([]byte(p.source))
	return hex.EncodeToString(sum[:])[:16]
}

// LoadPrompt reads a prompt's file.
func LoadPrompt(file string) (*Prompt, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E(opPrompt, file, err, "")
	}
	return ParsePrompt(file, text)
}

// The shipped prompts were written for this project and are given to the public domain (CC0).
//
//go:embed prompts/*.md
var shippedPrompts embed.FS

// DefaultPrompt is the prompt of judges that are given no other.
var DefaultPrompt = sync.OnceValue(func() *Prompt {
	const name = "grade.md"
	text, err := shippedPrompts.ReadFile("prompts/" + name)
	if err != nil {
		panic("judge: " + err.Error()) // embedded at build time
	}
	p, err := ParsePrompt(name, text)
	if err != nil {
		panic(errors.Join(errors.New("judge: shipped prompt"), err)) // a test parses it
	}
	return p
})
