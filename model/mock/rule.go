package mock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// When is what a rule asks of a request: everything that is given must hold. A pattern is a text that must occur, in this case of
// letters, or /REGULAR EXPRESSION/ (RE2); an empty one asks nothing.
type When struct {
	Last   string `yaml:"last"`   // the last message, whoever's it is
	Any    string `yaml:"any"`    // some message
	System string `yaml:"system"` // some system message
	Result string `yaml:"result"` // some tool's result since the assistant's last turn
	Tool   string `yaml:"tool"`   // a tool of this name is offered
	Format string `yaml:"format"` // the answer must follow the schema of this name
	Turn   int    `yaml:"turn"`   // the assistant's nth turn in the conversation, from 1
	// Nth is the nth request that the model gets, from 1. Requests that are sent at once come in any order.
	Nth int `yaml:"nth"`
}

// pattern is a compiled pattern; nil asks nothing.
type pattern func(text string) bool

func compilePattern(key, text string) (pattern, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/' {
		re, err := regexp.Compile(text[1 : len(text)-1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return re.MatchString, nil
	}
	return func(s string) bool { return strings.Contains(s, text) }, nil
}

// compiled is a rule that is ready to be used.
type compiled struct {
	Rule
	place                     int // in the list of rules
	last, any, system, result pattern
	json                      string
	calls                     []rawCall
}

type rawCall struct {
	Name      string
	Arguments json.RawMessage
}

// kinds are the errors that a rule may give.
var kinds = []model.Kind{model.RateLimited, model.Overloaded, model.TimedOut, model.Cut, model.Garbled, model.Unreachable, model.BadTLS, model.Denied,
	model.NotFound, model.NoTools, model.TooLong, model.Filtered, model.Rejected, model.OverBudget}

// compile checks a rule and prepares it.
func compile(place int, r Rule) (compiled, error) {
	c := compiled{Rule: r, place: place}
	if err := check(r); err != nil {
		return c, err
	}
	for _, p := range []struct {
		key, text string
		into      *pattern
	}{{"when.last", r.Last, &c.last}, {"when.any", r.Any, &c.any}, {"when.system", r.System, &c.system}, {"when.result", r.Result, &c.result}} {
		var err error
		if *p.into, err = compilePattern(p.key, p.text); err != nil {
			return c, err
		}
	}
	if r.JSON != nil {
		text, err := encode(r.JSON)
		if err != nil {
			return c, fmt.Errorf("json: %w", err)
		}
		c.json = string(text)
	}
	for i, call := range r.Calls {
		if call.Name == "" {
			return c, fmt.Errorf("calls[%d] has no name", i)
		}
		arguments := call.Arguments
		if arguments == nil {
			arguments = map[string]any{}
		}
		raw, err := encode(arguments)
		if err != nil {
			return c, fmt.Errorf("calls[%d].arguments: %w", i, err)
		}
		c.calls = append(c.calls, rawCall{call.Name, raw})
	}
	return c, nil
}

// encode gives JSON with sorted keys, and without the escapes that only HTML needs.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// check finds what contradicts itself in a rule.
func check(r Rule) error {
	texts := 0
	for _, given := range []bool{r.Answer != "", len(r.Answers) > 0, r.JSON != nil, r.Do != nil} {
		if given {
			texts++
		}
	}
	answers := texts > 0 || r.Reasoning != "" || len(r.Calls) > 0 || r.Stop != ""
	stops := []because.StopReason{"", because.StopEnd, because.StopLength, because.StopCalls, because.StopFilter}
	switch {
	case texts > 1:
		return errors.New("give one of answer, answers, json")
	case r.Error != "" && answers, r.Hang && (answers || r.Error != ""):
		return errors.New("a rule answers, or gives an error, or hangs")
	case r.Do != nil && (r.Reasoning != "" || len(r.Calls) > 0 || r.Stop != ""):
		return errors.New("a function gives the whole answer")
	case r.Error != "" && !slices.Contains(kinds, r.Error):
		return fmt.Errorf("error: no kind is called %q; there are %s", r.Error, joinKinds())
	case r.RetryAfter != 0 && r.Error == "":
		return errors.New("retry_after belongs to an error")
	case r.RetryAfter < 0, r.After < 0:
		return errors.New("a time is negative")
	case !slices.Contains(stops, r.Stop):
		return fmt.Errorf("stop: no reason is called %q; there are stop, length, tool_calls, content_filter", r.Stop)
	case r.Share < 0 || r.Share > 1 || math.IsNaN(r.Share):
		return fmt.Errorf("share is %v; it must lie between 0 and 1", r.Share)
	case r.Turn < 0, r.Nth < 0:
		return errors.New("when.turn and when.nth count from 1")
	}
	return nil
}

func joinKinds() string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// view is a request as rules look at it.
type view struct {
	request because.Request
	nth     int
	turn    int
}

// matches tells whether all conditions of a rule hold.
func (c compiled) matches(v view) bool {
	messages := v.request.Messages
	hasTool := func(name string) bool {
		return slices.ContainsFunc(v.request.Tools, func(t because.Tool) bool { return t.Name == name })
	}
	switch {
	case c.Turn != 0 && c.Turn != v.turn, c.Nth != 0 && c.Nth != v.nth:
		return false
	case c.Tool != "" && !hasTool(c.Tool):
		return false
	case c.Format != "" && (v.request.Format == nil || v.request.Format.Name != c.Format):
		return false
	case c.last != nil && (len(messages) == 0 || !c.last(messages[len(messages)-1].Content)):
		return false
	case c.any != nil && !some(messages, "", c.any), c.system != nil && !some(messages, because.RoleSystem, c.system):
		return false
	case c.result != nil && !some(messages[lastTurn(messages):], because.RoleTool, c.result):
		return false
	}
	return c.Error != "" || c.Hang || c.Do != nil || c.suits(v.request, hasTool)
}

// suits tells whether an answer is of the form that a request asks for.
func (c compiled) suits(r because.Request, hasTool func(string) bool) bool {
	for _, call := range c.calls {
		if r.Choice == "none" || !hasTool(call.Name) {
			return false
		}
	}
	switch r.Choice {
	case "", "auto", "none":
	case "required":
		if len(c.calls) == 0 {
			return false
		}
	default:
		if len(c.calls) == 0 || slices.ContainsFunc(c.calls, func(call rawCall) bool { return call.Name != r.Choice }) {
			return false
		}
	}
	if r.Format == nil || len(c.calls) > 0 {
		return true
	}
	if len(c.Answers) > 0 {
		return !slices.ContainsFunc(c.Answers, func(s string) bool { return !isJSON(r.Prefill + s) })
	}
	return isJSON(r.Prefill + c.Answer + c.json)
}

// some tells whether a message of a role, or of any role for "", has a pattern.
func some(messages []because.Message, role because.Role, p pattern) bool {
	return slices.ContainsFunc(messages, func(m because.Message) bool { return (role == "" || m.Role == role) && p(m.Content) })
}

// lastTurn is where what came after the assistant's last turn begins.
func lastTurn(messages []because.Message) int {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == because.RoleAssistant {
			return i + 1
		}
	}
	return 0
}

// drawn tells whether a rule that takes a share of the requests takes this one, which has been seen so often before.
func (c compiled) drawn(id [32]byte, again int) bool {
	return c.Share == 0 || draw(id, fmt.Sprintf("share %d", c.place), again).Float64() < c.Share
}
