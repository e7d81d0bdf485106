package ray

import (
	"bytes"
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"
)

//go:generate go test -run ^TestSchemaIsUpToDate$ -update .

// Choices of the job's fields that take one of a few words.
var (
	methods    = []any{"sft", "sdf", "rl"}
	dtypes     = []any{"float32", "bfloat16"}
	longs      = []any{"error", "cut", "split"}
	schedules  = []any{"cosine", "linear", "constant"}
	strategies = []any{"ddp", "fsdp"}
)

// Schema is the JSON schema (draft 2020-12) of Job, from which it is made: fields without omitempty are required, unknown ones are refused. The engine
// carries it as job.schema.json.
func Schema() ([]byte, error) {
	s, err := jsonschema.For[Job](nil)
	if err != nil {
		return nil, err
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "Job"
	s.Description = "What a Ray cluster is asked to train. Made from the Go type train/ray.Job; do not edit."
	run, lora := s.Properties["run"], s.Properties["lora"]
	for _, c := range []struct {
		in     *jsonschema.Schema
		field  string
		values []any
	}{{s, "version", []any{JobVersion}}, {s, "method", methods}, {s, "dtype", dtypes}, {s, "long", longs}, {s, "schedule", schedules}, {run, "strategy", strategies}} {
		c.in.Properties[c.field].Enum = c.values
	}
	only(lora, "object")
	only(s.Properties["grpo"], "object")
	only(lora.Properties["targets"], "array")
	only(s.Properties["snapshots"], "array")
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// only takes null from the types of a field: what is absent is left out.
func only(s *jsonschema.Schema, kind string) { s.Types, s.Type = nil, kind }
