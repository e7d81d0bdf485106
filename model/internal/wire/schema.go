package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync/atomic"

	"github.com/because-lab/because"
)

// Rules are what a vendor's structured answers ask of a JSON Schema beyond being one.
type Rules struct {
	Keywords    []string // that may stand in it
	AllRequired bool     // every property must be required
	MaxMinItems int      // the largest minItems, where that is a keyword
}

// Obeys tells whether a schema keeps the rules: an object at its root, every object closed (additionalProperties false), and
// no keyword but those allowed.
func (r Rules) Obeys(schema json.RawMessage) bool {
	var root any
	if json.Unmarshal(schema, &root) != nil {
		return false
	}
	object, ok := root.(map[string]any)
	return ok && object["type"] == "object" && r.schema(object)
}

func (r Rules) schema(s map[string]any) bool {
	for keyword, value := range s {
		if !slices.Contains(r.Keywords, keyword) || !r.keyword(keyword, value) {
			return false
		}
	}
	properties, isObject := s["properties"].(map[string]any)
	if !isObject && s["type"] != "object" {
		return true
	}
	if s["additionalProperties"] != false {
		return false
	}
	required, _ := s["required"].([]any)
	for name := range properties {
		if r.AllRequired && !slices.Contains(required, any(name)) {
			return false
		}
	}
	return true
}

// keyword checks the schemas below a keyword.
func (r Rules) keyword(keyword string, value any) bool {
	each := func(v any) bool { s, ok := v.(map[string]any); return ok && r.schema(s) }
	switch keyword {
	case "properties", "$defs", "definitions":
		all, ok := value.(map[string]any)
		for _, v := range all {
			ok = ok && each(v)
		}
		return ok
	case "anyOf", "allOf", "oneOf":
		all, ok := value.([]any)
		for _, v := range all {
			ok = ok && each(v)
		}
		return ok
	case "items":
		return each(value)
	case "minItems":
		n, ok := value.(float64)
		return ok && n <= float64(r.MaxMinItems)
	}
	return true
}

// Schemas remembers what Rules say of the schema that was asked for last, since a run asks with the same one again and again.
type Schemas struct {
	Rules Rules
	last  atomic.Pointer[verdict]
}

type verdict struct {
	schema []byte
	obeys  bool
}

// Obey is Rules.Obeys.
func (s *Schemas) Obey(schema json.RawMessage) bool {
	if v := s.last.Load(); v != nil && bytes.Equal(v.schema, schema) {
		return v.obeys
	}
	v := &verdict{bytes.Clone(schema), s.Rules.Obeys(schema)}
	s.last.Store(v)
	return v.obeys
}

// Tools remembers the encoding of the tools that were offered last.
type Tools struct {
	last atomic.Pointer[encodedTools]
}

type encodedTools struct {
	tools []because.Tool
	text  []byte
}

// Encode gives what encode makes of the tools. The caller does not change it.
func (t *Tools) Encode(tools []because.Tool, encode func([]because.Tool) ([]byte, error)) ([]byte, error) {
	same := func(a, b because.Tool) bool {
		return a.Name == b.Name && a.Description == b.Description && bytes.Equal(a.Parameters, b.Parameters)
	}
	if e := t.last.Load(); e != nil && slices.EqualFunc(e.tools, tools, same) {
		return e.text, nil
	}
	text, err := encode(tools)
	if err != nil {
		return nil, err
	}
	kept := slices.Clone(tools)
	for i := range kept {
		kept[i].Parameters = bytes.Clone(kept[i].Parameters)
	}
	t.last.Store(&encodedTools{kept, text})
	return text, nil
}
