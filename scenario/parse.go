package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/because-lab/because"
)

// ParseCalls finds calls of the form
//
//	<call name="send_mail"><to>a@b.example</to><body>text</body></call>
//
// in a text. White space between tags, code fences and talk around the calls don't matter; values may contain raw or escaped &, < and >, and
// end at their own closing tag. A call that is malformed is left out and gives an error with its place.
func ParseCalls(text string) (calls []because.ToolCall, errs []error) {
	for from := 0; ; {
		start := nextCall(text, from)
		if start < 0 {
			return calls, errs
		}
		call, end, err := parseCall(text, start)
		if err != nil {
			errs = append(errs, because.E("parse call", fmt.Sprintf("at byte %d", start), err, ""))
		} else {
			call.ID = fmt.Sprintf("call-%d", len(calls)+1)
			calls = append(calls, call)
		}
		from = end
	}
}

// nextCall finds the next opening tag of a call.
func nextCall(s string, from int) int {
	for {
		i := strings.Index(s[from:], "<call")
		if i < 0 {
			return -1
		}
		from += i
		after := s[from+len("<call"):]
		if after == "" || strings.ContainsAny(after[:1], " \t\r\n>/") {
			return from
		}
		from += len("<call")
	}
}

// parseCall parses the call that starts at start, and tells where to go on: after the call, or, if it is malformed, after its opening.
func parseCall(s string, start int) (because.ToolCall, int, error) {
	again := start + len("<call")
	tagEnd := strings.IndexByte(s[start:], '>')
	if tagEnd < 0 {
		return because.ToolCall{}, again, errors.New("the tag <call is not closed")
	}
	tag := s[again : start+tagEnd]
	pos := start + tagEnd + 1
	tag, alone := strings.CutSuffix(strings.TrimSpace(tag), "/")
	name, err := nameAttribute(tag)
	if err != nil {
		return because.ToolCall{}, again, err
	}
	args := map[string]string{}
	for !alone {
		rest := strings.TrimLeft(s[pos:], " \t\r\n")
		pos = len(s) - len(rest)
		if strings.HasPrefix(rest, "</call>") {
			pos += len("</call>")
			break
		}
		arg, value, end, err := parseArgument(s, pos)
		if err != nil {
			return because.ToolCall{}, again, fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := args[arg]; twice {
			return because.ToolCall{}, again, fmt.Errorf("%s: argument %q is given twice", name, arg)
		}
		args[arg], pos = value, end
	}
	data, err := json.Marshal(args)
	if err != nil {
		return because.ToolCall{}, pos, err
	}
	return because.ToolCall{Name: name, Arguments: data}, pos, nil
}

// nameAttribute reads name="..." with double, single or no quotes.
func nameAttribute(tag string) (string, error) {
	tag = strings.TrimSpace(tag)
	value, ok := strings.CutPrefix(tag, "name")
	if ok {
		value, ok = strings.CutPrefix(strings.TrimSpace(value), "=")
	}
	if !ok {
		return "", errors.New(`<call has no name="..."`)
	}
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	if !isName(value) {
		return "", fmt.Errorf("%q is not a tool's name", value)
	}
	return value, nil
}

// parseArgument parses <arg>value</arg> at pos.
func parseArgument(s string, pos int) (arg, value string, end int, err error) {
	if pos >= len(s) {
		return "", "", pos, errors.New("</call> is missing")
	}
	if s[pos] != '<' {
		return "", "", pos, fmt.Errorf("text between arguments: %.30q", s[pos:])
	}
	tagEnd := strings.IndexByte(s[pos:], '>')
	if tagEnd < 0 {
		return "", "", pos, errors.New("an argument's tag is not closed")
	}
	arg = strings.TrimSpace(s[pos+1 : pos+tagEnd])
	if !isName(arg) {
		return "", "", pos, fmt.Errorf("<%.30s> is not an argument", arg)
	}
	from := pos + tagEnd + 1
	closing := "</" + arg + ">"
	i := strings.Index(s[from:], closing)
	if i < 0 {
		return "", "", pos, fmt.Errorf("%s is missing", closing)
	}
	value = strings.TrimSpace(strings.ToValidUTF8(html.UnescapeString(s[from:from+i]), "\uFFFD"))
	return arg, value, from + i + len(closing), nil
}

func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return s != ""
}

// argument is one argument of a call in its XML form.
type argument struct{ name, value string }

// xmlCall writes a call in the form that ParseCalls reads.
func xmlCall(tool string, args []argument) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<call name=%q>", tool)
	for _, a := range args {
		fmt.Fprintf(&b, "<%s>%s</%s>", a.name, xmlEscape.Replace(a.value), a.name)
	}
	b.WriteString("</call>")
	return b.String()
}

var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
