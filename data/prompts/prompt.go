// Package prompts reads prompt files: what a recipe's stage sends to a model, and how the answer to it looks. Researchers edit them, so they are
// Markdown, and what is wrong in one is an error with file and line.
//
// # The format
//
//	---
//	about: Scenarios that test one principle.     # for people
//	max_tokens: 3000                              # of the answer; 0 or nothing: the model's own limit
//	temperature: 1                                # nothing: 1; own: the model's own
//	effort: low                                   # of a reasoning model; nothing: its default
//	expect: 900                                   # tokens that an answer is thought to have, for estimates
//	answer:                                       # nothing: the whole answer is a text called answer
//	  list: scenario
//	  count: 8
//	---
//	<!-- system -->
//	{{> persona}}
//	<!-- user -->
//	Think of eight scenarios that test this principle:
//
//	{{principle}}
//
//	{{answer_form}}
//
// A line <!-- system -->, <!-- user --> or <!-- assistant --> starts a message; a system message comes first, and the last is the user's. A message
// whose text is empty once its variables are filled is left out. {{name}} stands for a variable. {{> name}} on a line of its own stands for the
// text of the file _name.md, in which variables may stand too. Text in a comment <!-- # ... --> on lines of its own is for people and is not sent.
//
// # The forms of answers
//
//	answer: {text: NAME}                    the whole answer is the text NAME; what stands within <NAME>...</NAME>, if these tags are there
//	answer: {sections: [A, B]}              the texts within <A>...</A> and <B>...</B>; "A?", in quotation marks, may be missing
//	answer: {list: NAME, count: 8}          eight texts, each within <NAME>...</NAME>; or least: and most:
//	answer: {list: NAME, sections: [A, B]}  the same, with sections within each
//	answer: {json: NAME}                    a JSON object that follows the schema in NAME.schema.json; its members become texts
//
// {{answer_form}} is filled with words that ask for the form.
package prompts

import (
	"github.com/because-lab/because"
)

// Prompt is a prompt file.
type Prompt struct {
	Name        string // of the file, without .md
	File        string // as messages name it
	About       string
	Answer      Form
	MaxTokens   int
	Temperature float64
	Effort      string
	Expect      int // tokens of an answer, estimated

	source   string // with what it includes
	hash     string
	messages []part
	places   map[string]place // where each variable first stands
}

// part is a message with variables.
type part struct {
	role   because.Role
	pieces []piece
}

// piece is a text or, if it has a name, a variable.
type piece struct {
	text, variable string
}

// place is a line of a file.
type place struct {
	file string
	line int
}

// Form is how an answer looks. At most one of Text, Sections or List, and JSON is set; sections may stand in a list.
type Form struct {
	Text        string
	Sections    []Section
	List        string
	Least, Most int // of a list's items; Most 0: no bound
	JSON        string
	Schema      *because.Schema // of JSON
}

// Section is a part of an answer between tags.
type Section struct {
	Name     string
	Optional bool
}
