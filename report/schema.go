package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Schema is the JSON Schema (draft 2020-12) of results.json.
//
//go:embed results.schema.json
var Schema []byte

// schemaNode is the part of JSON Schema that Schema is written in.
type schemaNode struct {
	Ref              string                 `json:"$ref"`
	Defs             map[string]*schemaNode `json:"$defs"`
	Type             stringList             `json:"type"`
	Properties       map[string]*schemaNode `json:"properties"`
	Required         []string               `json:"required"`
	Additional       *additional            `json:"additionalProperties"`
	Items            *schemaNode            `json:"items"`
	Enum             []any                  `json:"enum"`
	Minimum          *float64               `json:"minimum"`
	ExclusiveMinimum *float64               `json:"exclusiveMinimum"`
}

// stringList is a JSON string or list of strings.
type stringList []string

func (l *stringList) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = stringList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// additional is false (no further properties) or the schema of their values.
type additional struct{ values *schemaNode }

func (a *additional) UnmarshalJSON(data []byte) error {
	if string(data) == "false" {
		return nil
	}
	return json.Unmarshal(data, &a.values)
}

var resultsSchema = sync.OnceValue(func() *schemaNode {
	var root schemaNode
	if err := json.Unmarshal(Schema, &root); err != nil {
		panic("report: results.schema.json: " + err.Error()) // embedded; a test reads it
	}
	return &root
})

// violation finds the first place where a decoded value (json.Decoder with UseNumber) breaks the schema.
// The path reads like arms[3].evals[0].harmful.n.
func (root *schemaNode) violation(node *schemaNode, path string, value any) error {
	if node.Ref != "" {
		node = root.Defs[strings.TrimPrefix(node.Ref, "#/$defs/")]
	}
	kind := jsonKind(value)
	if len(node.Type) > 0 && !slices.Contains(node.Type, kind) && !(kind == "integer" && slices.Contains(node.Type, "number")) {
		return fmt.Errorf("%s: found %s, want %s", place(path), kind, strings.Join(node.Type, " or "))
	}
	if len(node.Enum) > 0 && !slices.ContainsFunc(node.Enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(value) }) {
		return fmt.Errorf("%s: found %v, want one of %v", place(path), value, node.Enum)
	}
	switch v := value.(type) {
	case map[string]any:
		return root.objectViolation(node, path, v)
	case []any:
		for i, item := range v {
			if node.Items == nil {
				break
			}
			if err := root.violation(node.Items, fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
	case json.Number:
		return node.numberViolation(path, v)
	}
	return nil
}

func (root *schemaNode) objectViolation(node *schemaNode, path string, object map[string]any) error {
	for _, key := range node.Required {
		if _, ok := object[key]; !ok {
			return fmt.Errorf("%s: key %q is missing", place(path), key)
		}
	}
	for _, key := range sortedKeys(object) {
		property := node.Properties[key]
		if property == nil && node.Additional != nil {
			if property = node.Additional.values; property == nil {
				return fmt.Errorf("%s: unknown key %q", place(path), key)
			}
		}
		if property == nil {
			continue
		}
		if err := root.violation(property, strings.TrimPrefix(path+"."+key, "."), object[key]); err != nil {
			return err
		}
	}
	return nil
}

func (node *schemaNode) numberViolation(path string, n json.Number) error {
	x, err := n.Float64()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s is out of range", place(path), n)
	case node.Minimum != nil && x < *node.Minimum:
		return fmt.Errorf("%s: %s is below %v", place(path), n, *node.Minimum)
	case node.ExclusiveMinimum != nil && x <= *node.ExclusiveMinimum:
		return fmt.Errorf("%s: %s is not above %v", place(path), n, *node.ExclusiveMinimum)
	}
	return nil
}

func jsonKind(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return fmt.Sprintf("%T", value)
}

func place(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
