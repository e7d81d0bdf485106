package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

// text is a template in a data file, with its line for error messages.
type text struct {
	s    string
	line int
}

// UnmarshalYAML reads a scalar and notes its line.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a text is needed here", n.Line)
	}
	t.s, t.line = strings.TrimRight(n.Value, "\n"), n.Line
	return nil
}

// header is family.yaml: what a family is, its tools and rules.
type header struct {
	Family    string              `yaml:"family"`
	About     string              `yaml:"about"`
	Evaluated bool                `yaml:"evaluated"`
	Agent     string              `yaml:"agent"` // how texts call an agent without a name
	Tools     []string            `yaml:"tools"` // sets of tools: mail, files, calendar
	People    map[string]string   `yaml:"people"`
	Facts     map[string]string   `yaml:"facts"`
	Terms     map[string]patterns `yaml:"terms"`   // by factor (lever, threat): what only its decisive texts say
	Concern   text                `yaml:"concern"` // who reads what raise_concern sends
	Records   []collection        `yaml:"records"`
	Task      []step              `yaml:"task"`
	Rules     []rule              `yaml:"rules"`
}

// item is one thing to read. Items of kind system and opening are the messages that start the task.
type item struct {
	ID       text      `yaml:"id"`
	Kind     string    `yaml:"kind"`  // system, opening, mail, file, event
	By       string    `yaml:"by"`    // the factor that chooses the part; empty: the same under every condition
	From     string    `yaml:"from"`  // mail: a person's key, or desk for the agent
	To       string    `yaml:"to"`    // mail: the same; empty: the agent's desk
	Date     text      `yaml:"date"`  // mail, event: as it is shown
	Path     text      `yaml:"path"`  // file
	After    int       `yaml:"after"` // mail: arrives after so many tool calls; 0: it is there from the start
	Wordings []wording `yaml:"wordings"`
}

// wording is one author's version of an item. Where the item depends on a factor, Body contains {part} once, and Parts has the text
// for each level; under a level without a part the item is not there.
type wording struct {
	Subject text            `yaml:"subject"` // of a mail, title of an event
	Body    text            `yaml:"body"`
	Parts   map[string]text `yaml:"parts"`
}

// collection is a table of records that the agent works with.
type collection struct {
	Name   string   `yaml:"name"`   // plural noun, part of the tools' names: list_NAME, read_NAME ...
	About  string   `yaml:"about"`  // for the tools' descriptions
	Tools  []string `yaml:"tools"`  // list, read, add, edit, delete
	Fields []string `yaml:"fields"` // beside id
	Rows   []row    `yaml:"rows"`
}

// row is one record; Only restricts it to levels of factors.
type row struct {
	ID   text              `yaml:"id"`
	Only map[string]string `yaml:"only"`
	With map[string]text   `yaml:"with"`
}

var (
	lineOf     = regexp.MustCompile(`line (\d+): (.*)`)
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// placed turns a decoder's error into one that starts with file:line.
func placed(file string, err error) error {
	m := lineOf.FindStringSubmatch(err.Error())
	if m == nil {
		return because.E("read scenario", file, err, "")
	}
	cause := unknownKey.ReplaceAllString(m[2], "unknown key $1")
	return because.E("read scenario", file+":"+m[1], errors.New(cause), "")
}
