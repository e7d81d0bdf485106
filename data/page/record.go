package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// The types below are what the pages' scripts read.
type (
	record struct {
		Row     int     `json:"row,omitempty"` // from 1
		ID      string  `json:"id,omitempty"`
		Label   string  `json:"label,omitempty"` // principle and kind
		Group   string  `json:"group,omitempty"` // principle, or kind where there is none
		Lineage string  `json:"lineage,omitempty"`
		Parts   []part  `json:"parts"`
		Tools   []tool  `json:"tools,omitempty"`
		Extra   []field `json:"extra,omitempty"`
	}
	part struct {
		Name     string    `json:"name,omitempty"` // a heading, where a record has several parts
		Text     string    `json:"text,omitempty"`
		Messages []message `json:"messages,omitempty"`
	}
	message struct {
		Role      string `json:"role"`
		Name      string `json:"name,omitempty"`
		Text      string `json:"text,omitempty"`
		Reasoning string `json:"reasoning,omitempty"`
		Calls     []tool `json:"calls,omitempty"`
	}
	tool struct { // or a call of one
		Name string `json:"name"`
		Text string `json:"text,omitempty"`
		JSON string `json:"json,omitempty"`
	}
	field struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
)

// content is what a model learns from a row, without what tells where it comes from.
func content(r columns.Row) record {
	var out record
	if r.Text != "" {
		out.Parts = append(out.Parts, part{Text: r.Text})
	}
	for _, p := range []struct {
		name     string
		messages []because.Message
	}{{"", r.Messages}, {"prompt", r.Prompt}, {"chosen", r.Chosen}, {"rejected", r.Rejected}} {
		if p.messages != nil {
			out.Parts = append(out.Parts, part{Name: p.name, Messages: messages(p.messages)})
		}
	}
	for _, t := range r.Tools {
		out.Tools = append(out.Tools, tool{t.Name, t.Description, pretty(t.Parameters)})
	}
	return out
}

func messages(list []because.Message) []message {
	var out []message
	for _, m := range list {
		shown := message{Role: string(m.Role), Name: m.Name, Text: m.Content, Reasoning: m.Reasoning}
		for _, c := range m.ToolCalls {
			shown.Calls = append(shown.Calls, tool{Name: c.Name, JSON: pretty(c.Arguments)})
		}
		out = append(out, shown)
	}
	return out
}

// whole is a row with all that its file says of it.
func whole(row int, r columns.Row) record {
	out := content(r)
	out.Row = row
	l := lineageOf(r)
	out.ID = textOf(r.Extra["id"])
	labels := slices.DeleteFunc([]string{textOf(l["principle"]), textOf(l["kind"])}, func(s string) bool { return s == "" })
	if len(labels) > 0 {
		out.Label, out.Group = strings.Join(labels, " · "), labels[0]
	}
	out.Lineage = lineageLine(l)
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		if name != "id" && name != "lineage" {
			out.Extra = append(out.Extra, field{name, textOf(r.Extra[name])})
		}
	}
	return out
}

// lineageOf gives the members of a row's lineage: of an object or, as in Parquet, of a string that holds one.
func lineageOf(r columns.Row) map[string]json.RawMessage {
	var l map[string]json.RawMessage
	if json.Unmarshal(r.Extra["lineage"], &l) == nil {
		return l
	}
	var text string
	if json.Unmarshal(r.Extra["lineage"], &text) != nil || json.Unmarshal([]byte(text), &l) != nil {
		return nil
	}
	return l
}

// lineageLine says on one line what a record was made from. Of stages it names the order alone.
func lineageLine(l map[string]json.RawMessage) string {
	first := []string{"recipe", "version", "constitution", "principle", "kind", "sampled", "reviewer", "seed"}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(l)), func(k string) bool { return slices.Contains(first, k) })
	var out []string
	for _, name := range append(first, rest...) {
		value := textOf(l[name])
		if name == "stages" {
			value = stages(l[name])
		}
		if value != "" {
			out = append(out, name+": "+value)
		}
	}
	return strings.Join(out, " · ")
}

func stages(raw json.RawMessage) string {
	var list []struct{ Stage string }
	if json.Unmarshal(raw, &list) != nil {
		return textOf(raw)
	}
	var out []string
	for _, s := range list {
		out = append(out, s.Stage)
	}
	return strings.Join(out, " → ")
}

// textOf gives a string as it is and other values as JSON; nothing and null are empty.
func textOf(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// pretty indents JSON that is too long for a line.
func pretty(raw json.RawMessage) string {
	const line = 80
	var b bytes.Buffer
	if len(raw) <= line || json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// amount counts things in words.
func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
