// Package chat turns conversations into the text that a model was trained on, and a model's answer back into text,
// reasoning and tool calls.
//
// A checkpoint ships its format as a Jinja template (chat_template in tokenizer_config.json, tokenizer.chat_template in a
// GGUF). Parse and Render run it as transformers does: the language and filters of Jinja 3.1 with trim_blocks and
// lstrip_blocks, and of transformers its tojson, raise_exception, strftime_now and the generation tag. Templates come with
// checkpoints from anywhere, so they are bounded in steps, memory and depth, and see plain data alone: no files, no Go values.
//
// Render keeps apart what the template wrote and what it was given. Only the template's own text may hold special
// tokens: a user who writes <|im_end|> must not end the turn.
package chat

import (
	"errors"
	"fmt"
	"time"

	"github.com/because-lab/because"
)

// Template is a parsed chat template. It is immutable and safe for concurrent use.
type Template struct {
	body []stmt
}

// Input is what a template renders.
type Input struct {
	Messages            []because.Message
	Tools               []because.Tool // none: the template sees tools as none
	AddGenerationPrompt bool           // end with what opens the assistant's turn
	BOS, EOS            string         // special tokens; an empty one is undefined in the template
	// Vars are further variables, such as enable_thinking or documents, of the types that encoding/json makes from JSON
	// (and integers, json.RawMessage, []string and maps of strings). A variable may not have the name of a field above.
	Vars map[string]any
	Now  time.Time // for strftime_now
}

// Span is a stretch of rendered text. Template is true for what the template itself wrote (its literals, the tokens
// BOS and EOS, the names of the usual roles) and false for everything that came in with the conversation, or was
// computed from it. Special tokens must be recognised in template spans alone. Neighbours differ in Template.
type Span struct {
	Text     string
	Template bool
}

// Raised is the error of a template that refuses its input by raise_exception: roles in a wrong order, say.
type Raised struct {
	Message string // in the template's words
}

func (r *Raised) Error() string { return r.Message }

// ErrLimit marks a template that took too many steps, too much memory, or nested too deep.
var ErrLimit = errors.New("the template exceeds its limits")

// Parse parses a chat template. Errors name the line. There is no default template: a model without one was not
// trained to chat, and an empty source is an error.
func Parse(jinja string) (t *Template, err error) {
	const op = "parse chat template"
	if jinja == "" {
		return nil, because.E(op, "", errors.New("the model has no chat template"),
			"use an instruct checkpoint, or add chat_template to its tokenizer_config.json; a base model can still complete plain text")
	}
	if len(jinja) > maxSource {
		return nil, because.E(op, "", fmt.Errorf("%w: %d bytes of source, at most %d", ErrLimit, len(jinja), maxSource), "")
	}
	p := &parser{}
	defer catch(op, &p.line, &err)
	p.tokens = lex(jinja, &p.line)
	return &Template{body: p.template()}, nil
}

// Render renders a conversation. The text is what transformers' apply_chat_template gives for the same messages, with
// tool calls as {"type": "function", "function": {"name", "arguments"}}, their arguments as objects, and tools as
// {"type": "function", "function": {"name", "description", "parameters"}}, keys in the order of the JSON they came in.
// A refusal of the template is a *Raised, a template that runs away an ErrLimit; both are wrapped with the line.
func (t *Template) Render(in Input) (spans []Span, err error) {
	vars, err := in.variables()
	if err != nil {
		return nil, because.E("render chat template", "", err, "")
	}
	ev := newInterp(in, vars)
	defer catch("render chat template", &ev.line, &err)
	ev.run(t.body, ev.root)
	return ev.out.text().spans(), nil
}

// Text joins spans to the rendered text.
func Text(spans []Span) string {
	n := 0
	for _, s := range spans {
		n += len(s.Text)
	}
	b := make([]byte, 0, n)
	for _, s := range spans {
		b = append(b, s.Text...)
	}
	return string(b)
}

// failure carries an error up through parser or interpreter, as in encoding/json and text/template; catch ends its way.
type failure struct{ err error }

func fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// catch turns a failure into an error with the line it came from. Any other panic goes on.
func catch(op string, line *int, err *error) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = because.E(op, fmt.Sprintf("line %d", *line), r.err, "")
	default:
		panic(r)
	}
}
