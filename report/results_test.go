package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because/internal/stats"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// example reads the study of testdata. Its numbers are invented, but they hang together: counts add up,
// intervals and p values belong to the values per seed.
func example(t testing.TB) *Results {
	t.Helper()
	r, err := Read(filepath.Join("testdata", "study.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func exampleTranscripts(t testing.TB) []Transcript {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "transcripts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []Transcript
	for line := range bytes.Lines(data) {
		var one Transcript
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (go test ./report -update rewrites it):\n%s", name, diff)
	}
}

func TestExampleIsCanonical(t *testing.T) {
	got, err := Encode(example(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "study.json", got)
}

func TestNumberJSON(t *testing.T) {
	for _, c := range []struct {
		in   float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {0.1 + 0.2, "0.3"}, {1.0 / 3, "0.333333"}, {-123456.7, "-123457"},
		{math.NaN(), "null"}, {2.5e-9, "2.5e-9"}, {1, "1"},
	} {
		got, err := json.Marshal(Number(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %s, %v, want %s", c.in, got, err, c.want)
		}
		var back Number
		if err := json.Unmarshal(got, &back); err != nil || back.OK() == math.IsNaN(c.in) {
			t.Errorf("%s reads as %v, %v", got, back, err)
		}
	}
	if _, err := json.Marshal(Number(math.Inf(1))); err == nil {
		t.Error("an infinity was written")
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
		once, _ := json.Marshal(Number(x))
		var back Number
		if err := json.Unmarshal(once, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if !bytes.Equal(once, again) || math.Abs(float64(back)-x) > 5.1e-6*math.Abs(x) {
			t.Fatalf("%v is written as %s, then as %s", x, once, again)
		}
	})
}

// Each case breaks the example in one place; the error must name that place.
func TestDecodeErrors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "study.json"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for _, c := range []struct{ name, old, new, want string }{
		{"empty", good, "", "line 1: the file ends too early"},
		{"cut off", good[len(good)/2:], "", "the file ends too early"},
		{"syntax", `"quick": false`, `"quick": nope`, "line 15: invalid character"},
		{"another version", `"schema": 1`, `"schema": 2`, "version 2, this program reads version 1"},
		{"no version", `"schema": 1,`, ``, `the file: key "schema" is missing`},
		{"unknown key", `"quick": false`, `"quick": false, "extra": 1`, `the file: unknown key "extra"`},
		{"unknown key inside", `"cell": "persona"`, `"cell": "persona", "cel": 1`, `primary: unknown key "cel"`},
		{"missing key inside", `"control": "replay",`, ``, `key "control" is missing`},
		{"wrong type", `"errors": 0`, `"errors": "none"`, "arms[0].evals[0].errors: found string, want integer"},
		{"fraction for a count", `"errors": 0`, `"errors": 0.5`, "arms[0].evals[0].errors: found number, want integer"},
		{"negative count", `"errors": 0`, `"errors": -1`, "arms[0].evals[0].errors: -1 is below 0"},
		{"number out of range", `"errors": 0`, `"errors": 1` + strings.Repeat("0", 400), "is out of range"},
		{"unknown verdict", `"verdict": "supported"`, `"verdict": "proven"`, "claims[0].verdict: found proven, want one of"},
		{"no seeds", `"seeds": [`, `"seeds": null, "x": [`, "seeds: found null, want array"},
		{"two values", good, good + "{}", "more follows the results"},
		{"counts that don't add up", `"harmful": 5`, `"harmful": 1`, "the seeds' counts add up to"},
		{"unknown world", `"world": "linked"`, `"world": "nowhere"`, `arms[0] (none): no world "nowhere"`},
		{"too many events", `"k": `, `"k": 99999999`, "events in"},
		{"an arm twice", `"name": "replay"`, `"name": "none"`, `occurs twice in world "linked"`},
		{"a claim twice", `"id": "E0b"`, `"id": "E0a"`, "claims[1] (E0a): occurs twice"},
		{"smallest effect 0", `"sesoi": 0.1`, `"sesoi": 0`, "claims[0].sesoi: 0 is not above 0"},
		{"steps out of order", `"step": 10`, `"step": 0`, "curve[1]: step 0 after step 0"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Errorf("%s: the example has no %q to break", c.name, c.old)
			continue
		}
		_, err := Decode([]byte(bad))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestEncodeRefusesWhatItCannotRead(t *testing.T) {
	r := example(t)
	margin := Number(0.1)
	r.Claims[0].Margin = &margin
	if _, err := Encode(r); err == nil || !strings.Contains(err.Error(), `claims[0]: unknown key "margin"`) {
		t.Errorf("a claim with a margin: %v", err)
	}
	r = example(t)
	r.Checks[0].Difference = Number(math.Inf(1))
	if _, err := Encode(r); err == nil || !strings.Contains(err.Error(), "not a measurement") {
		t.Errorf("an infinite difference: %v", err)
	}
	if _, err := Encode(&Results{Schema: 1}); err != nil {
		t.Errorf("results without content: %v", err)
	}
}

func TestEncodeLeavesTheResultsAlone(t *testing.T) {
	r := &Results{Schema: SchemaVersion, Worlds: []World{{Name: "w"}}, Arms: []Arm{{Name: "a", World: "w", Evals: []Eval{{Task: "t"}}}}}
	if _, err := Encode(r); err != nil {
		t.Fatal(err)
	}
	if r.Worlds[0].Switches != nil || r.Arms[0].Stages != nil || r.Arms[0].Evals[0].BySeed != nil {
		t.Error("Encode changed its argument")
	}
}

// The schema and the Go types must name the same keys and require the same of them.
func TestSchemaMatchesTypes(t *testing.T) {
	root := resultsSchema()
	types := map[string]reflect.Type{
		"": reflect.TypeFor[Results](), "cell": reflect.TypeFor[Cell](), "world": reflect.TypeFor[World](), "count": reflect.TypeFor[Count](),
		"arm": reflect.TypeFor[Arm](), "eval": reflect.TypeFor[Eval](), "seed_counts": reflect.TypeFor[SeedCounts](), "point": reflect.TypeFor[Point](),
		"claim": reflect.TypeFor[Claim](), "ablation": reflect.TypeFor[Claim](), "seed_effect": reflect.TypeFor[SeedEffect](),
		"check": reflect.TypeFor[Check](), "contamination": reflect.TypeFor[Contamination](), "data_card": reflect.TypeFor[DataCard](), "filter": reflect.TypeFor[Filter](),
	}
	if len(types) != len(root.Defs)+1 {
		t.Errorf("%d definitions, %d types", len(root.Defs), len(types)-1)
	}
	for name, typ := range types {
		node := root.Defs[name]
		if name == "" {
			node = root
		}
		var keys, required []string
		for f := range typ.NumField() {
			key, options, _ := strings.Cut(typ.Field(f).Tag.Get("json"), ",")
			if options == "" {
				required = append(required, key)
			}
			keys = append(keys, key)
		}
		// Claims and ablations share a type; each leaves out, or requires, the other's keys.
		switch name {
		case "claim":
			keys = without(keys, "margin", "p_tost")
			required = append(required, "direction", "sesoi")
		case "ablation":
			keys = without(keys, "direction", "sesoi")
			required = append(required, "margin")
		case "":
			keys = without(keys) // all of them
		}
		slices.Sort(keys)
		slices.Sort(required)
		if diff := cmp.Diff(keys, sortedKeys(node.Properties)); diff != "" {
			t.Errorf("keys of %s (-type +schema):\n%s", name, diff)
		}
		if diff := cmp.Diff(required, slices.Sorted(slices.Values(node.Required))); diff != "" {
			t.Errorf("required keys of %s (-type +schema):\n%s", name, diff)
		}
		if node.Additional == nil || node.Additional.values != nil {
			t.Errorf("%s admits unknown keys", name)
		}
	}
}

// The validator knows a part of JSON Schema; the schema must not use more.
func TestSchemaUsesKnownKeywords(t *testing.T) {
	known := strings.Fields("$schema title description $ref $defs type properties required additionalProperties items enum minimum exclusiveMinimum")
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		for key, value := range node {
			if !slices.Contains(known, key) {
				t.Errorf("%s: keyword %q", path, key)
			}
			child, ok := value.(map[string]any)
			if !ok {
				continue
			}
			if key == "properties" || key == "$defs" {
				for name, grandchild := range child {
					walk(path+"/"+name, grandchild.(map[string]any))
				}
				continue
			}
			walk(path+"/"+key, child)
		}
	}
	var root map[string]any
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	walk("", root)
}

func TestNewCount(t *testing.T) {
	c := NewCount(3, 10)
	if c.Rate != 0.3 || !(c.Lo < c.Rate && c.Rate < c.Hi) {
		t.Errorf("3 of 10: %+v", c)
	}
	if c := NewCount(0, 0); c.Rate.OK() || c.Lo != 0 || c.Hi != 1 {
		t.Errorf("0 of 0: %+v", c)
	}
}

func TestClaimKeepsEstimate(t *testing.T) {
	want := stats.Estimate{Effect: -0.2, Lo: -0.3, Hi: -0.1, P: 0.01, PHolm: 0.02, Seeds: 5}
	var c Claim
	c.Set(want)
	if got := c.Estimate(); got != want {
		t.Errorf("%+v became %+v", want, got)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "study.json"))
	if err != nil {
		f.Fatal(err)
	}
	small, err := Encode(&Results{Schema: SchemaVersion, Study: "s", Worlds: []World{{Name: "w"}}, Arms: []Arm{{Name: "a", World: "w",
		Evals: []Eval{{Task: "t", Harmful: &Count{N: 2, K: 1, Rate: 0.5, Hi: 1}}}, Curve: []Point{{Harmful: NewCount(1, 2), Reward: NaN}}}},
		Primary: Cell{Task: "t"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Add(data[:2000])
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`[null, 1e999]`))
	// What is accepted can be written again unchanged, and every view of it can be made.
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		once, err := Encode(r)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := Encode(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written twice, it differs (%v)", err)
		}
		if _, err := render(r, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func without(list []string, drop ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(drop, s) })
}
