package understanding

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/because-lab/because"
)

func TestReadReply(t *testing.T) {
	f := formOf(string(Recall), nil)
	want := reply{texts: map[string]string{"expect": "So."}, lists: map[string][]string{"quotes": {"a b"}, "avoid": nil, "wordings": {"x", "y z"}}}
	plain := `{"quotes": ["a b"], "expect": "So.", "avoid": [], "wordings": ["x", "y z"]}`
	for _, c := range []struct{ name, text string }{
		{"plain", plain},
		{"in prose", "Gladly. " + plain + " I hope that helps {or so}."},
		{"in a fence", "```json\n" + plain + "\n```"},
		{"after a thought", "<think>{\"quotes\": 3}</think>\n" + plain},
		{"after another object", `{"note": 1} {` + plain[1:]},
		{"with commas at the ends", `{"quotes": ["a b",], "expect": "So.", "avoid": [], "wordings": ["x", "y z",],}`},
		{"with another entry", `{"mood": "good", ` + plain[1:]},
		{"with lines and blanks", `{"quotes": ["a\n b", ""], "expect": " So. ", "avoid": [" "], "wordings": ["x", "y\tz"]}`},
	} {
		got, err := f.read(c.text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", "it is empty"}, {"no", "no JSON object"}, {`{"quotes": `, "can't be read"}, {`{"quotes": "a"}`, "not a list of texts"},
		{`{"quotes": ["a"], "expect": 1}`, "not a text"}, {`{"quotes": []}`, `"quotes" is empty`}, {strings.Repeat("x", mostBytes+1), "are read"},
		{strings.Repeat("{", 1000), "can't be read"},
	} {
		if _, err := f.read(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := f.take(because.Response{Text: plain, Stop: because.StopLength}); err != nil {
		t.Errorf("what is whole is taken, wherever it stops: %v", err)
	}
}

// What the schema allows, the reader takes; the example in the prompt is of the same form.
func TestFormsAgree(t *testing.T) {
	for _, name := range []string{string(Recall), string(FalsePremise), string(Open), reviewPrompt} {
		f := formOf(name, []string{"a", "b"})
		var schema struct {
			Properties map[string]struct{ Type string }
			Required   []string
		}
		if err := json.Unmarshal(f.schema().Schema, &schema); err != nil {
			t.Fatal(err)
		}
		if len(schema.Properties) != len(f.fields) || len(schema.Required) != len(f.fields) {
			t.Errorf("%s: %s", name, f.schema().Schema)
		}
		for i, x := range f.fields {
			if schema.Required[i] != x.name || (schema.Properties[x.name].Type == "array") != x.list || !strings.Contains(f.show(), `"`+x.name+`": `) {
				t.Errorf("%s: %s differs", name, x.name)
			}
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{`{"quotes": ["a"], "expect": "b", "avoid": [], "wordings": ["c"]}`, "```{\"a\":{}}", `{"quotes":[",]"],}`, "{{{", "<think>"} {
		f.Add(seed)
	}
	form := formOf(string(Recall), nil)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := form.read(text)
		if err == nil && (r.texts["expect"] == "" || len(r.lists["quotes"]) == 0 || len(r.lists["wordings"]) == 0) {
			t.Fatalf("%q is read as %+v", text, r)
		}
	})
}

func TestLikeness(t *testing.T) {
	for _, c := range []struct {
		a, b     string
		from, to float64
	}{
		{"Why do promises count?", "why do promises COUNT", 1, 1},
		{"Why do promises count?", "What is the kettle for?", 0, 0},
		{"why do small promises count so much", "why do small promises count so little", 0.6, 0.8},
		{"", "why", 0, 0},
		{"It's the constitution's", "its the constitutions", 1, 1},
	} {
		if got := likeness(c.a, c.b); got < c.from || got > c.to || got != likeness(c.b, c.a) {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
	if shared("Is it so that one two three four five six?", "one two three four five six seven") || !shared("one two three four five six seven?", "Zero, one two three four five six seven.") {
		t.Error("a shared run of words is seven long")
	}
}
