package ray

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

var update = flag.Bool("update", false, "write job.schema.json anew")

const schemaFile = "../../engines/ray/because_ray/job.schema.json"

func TestSchemaIsUpToDate(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("job.schema.json is not what Job says; go generate ./train/ray makes it anew (-want +got):\n%s", d)
	}
}

func TestSchemaTakesJobsAndRefusesOthers(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(change func(map[string]any)) map[string]any {
		j := testJob()
		j.LoRA = &LoRA{Rank: 4, Alpha: 8, Targets: []string{"q_proj"}}
		text, _ := json.Marshal(j)
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return m
	}
	for name, tc := range map[string]struct {
		change func(map[string]any)
		ok     bool
	}{
		"whole":             {func(map[string]any) {}, true},
		"without lora":      {func(m map[string]any) { delete(m, "lora") }, true},
		"no model":          {func(m map[string]any) { delete(m, "model") }, false},
		"no run":            {func(m map[string]any) { delete(m, "run") }, false},
		"unknown":           {func(m map[string]any) { m["rowz"] = 1 }, false},
		"unknown in run":    {func(m map[string]any) { m["run"].(map[string]any)["gpu"] = 1 }, false},
		"version":           {func(m map[string]any) { m["version"] = JobVersion + 1 }, false},
		"method":            {func(m map[string]any) { m["method"] = "dpo" }, false},
		"text for number":   {func(m map[string]any) { m["lr"] = "1e-5" }, false},
		"fraction of a row": {func(m map[string]any) { m["rows"] = 1.5 }, false},
		"null for lora":     {func(m map[string]any) { m["lora"] = nil }, false},
		"null for targets":  {func(m map[string]any) { m["lora"].(map[string]any)["targets"] = nil }, false},
		"strategy":          {func(m map[string]any) { m["run"].(map[string]any)["strategy"] = "zero3" }, false},
		"no rank in lora":   {func(m map[string]any) { delete(m["lora"].(map[string]any), "rank") }, false},
		"with an adapter":   {func(m map[string]any) { m["adapter"] = "file:///a" }, true},
	} {
		if err := resolved.Validate(fields(tc.change)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// testJob is a job with every required field.
func testJob() Job {
	return Job{
		Version: JobVersion, Method: "sft", Model: "file:///models/m", Data: "data.jsonl", SHA256: "00", DType: "float32", Seed: 1, Rows: 8, Micro: 4,
		SeqLen: 128, Long: "error", Epochs: 1, LR: 1e-4, Schedule: "cosine", Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 1,
		Run: Run{Out: "file:///runs/one", Workers: 1, CPUs: 1, Strategy: "ddp", CheckpointEvery: 10, Keep: 2, Retries: 1},
	}
}
