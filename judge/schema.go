package judge

import (
	"encoding/json"
	"fmt"

	"github.com/because-lab/because"
	"github.com/google/jsonschema-go/jsonschema"
)

// schema is the JSON Schema of a valid answer, in the subset that providers' strict modes take: every entry required, no other
// allowed. What it can't say, such as that a quotation stands in the material, is checked after.
func (b *ballot) schema() (*because.Schema, error) {
	questions := map[string]*jsonschema.Schema{}
	var ids []string
	for i, q := range b.questions {
		answer := &jsonschema.Schema{Type: "string"}
		if q.Kind == Scale {
			answer.Type = "integer"
			for v := q.Min; v <= q.Max; v++ {
				answer.Enum = append(answer.Enum, v)
			}
		} else {
			for _, l := range b.answers[i] {
				answer.Enum = append(answer.Enum, l.Name)
			}
		}
		quotation := record([]string{fieldAt, fieldQuote}, map[string]*jsonschema.Schema{fieldAt: {Type: "integer"}, fieldQuote: {Type: "string"}})
		questions[q.ID] = record([]string{fieldEvidence, fieldWhy, fieldAnswer}, map[string]*jsonschema.Schema{
			fieldEvidence: {Type: "array", Items: quotation},
			fieldWhy:      {Type: "string"},
			fieldAnswer:   answer,
		})
		ids = append(ids, q.ID)
	}
	whole := record([]string{fieldAnswers, fieldBallot}, map[string]*jsonschema.Schema{
		fieldAnswers: record(ids, questions),
		fieldBallot:  {Type: "string", Enum: []any{b.code}},
	})
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("schema of the answer: %w", err)
	}
	return &because.Schema{Name: "grades", Schema: text}, nil
}

// record is an object with just these entries, in this order.
func record(order []string, entries map[string]*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: entries, Required: order, PropertyOrder: order,
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, // written as false
	}
}
