package wire

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"pgregory.net/rapid"
)

// TestStrings checks that any string survives JSON, but for what is not UTF-8.
func TestStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		text := AppendString([]byte("x"), s)[1:]
		var back string
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%q became %s: %v", s, text, err)
		}
		want := ""
		for _, r := range s { // one U+FFFD for each wrong byte, as encoding/json writes them
			want += string(r)
		}
		if back != want || !utf8.Valid(text) {
			t.Fatalf("%q became %q", s, back)
		}
	})
}

// TestArguments checks that a model's arguments come back word for word.
func TestArguments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`{"a":1}`, `"s"`, `""`, ` "s" `, `{`, `[]`, ` `, `null`, `7`, "\u2028"})).Draw(t, "text")
		raw := Arguments(text)
		if !json.Valid(raw) {
			t.Fatalf("%q became %s", text, raw)
		}
		back, wrong := Wrong(raw)
		if text == "" {
			text = "{}"
		}
		if !wrong {
			back = string(raw)
		}
		if back != text {
			t.Fatalf("%q came back as %q", text, back)
		}
		var object map[string]any
		if err := json.Unmarshal(AppendInput(nil, raw), &object); err != nil || object == nil {
			t.Fatalf("%s is sent as %s: %v", raw, AppendInput(nil, raw), err)
		}
	})
}

func TestRules(t *testing.T) {
	r := Rules{Keywords: []string{"type", "properties", "required", "additionalProperties", "items", "anyOf", "$defs", "$ref", "minItems"}, AllRequired: true, MaxMinItems: 1}
	lenient := r
	lenient.AllRequired = false
	tests := []struct {
		schema           string
		obeys, leniently bool
	}{
		{`{"type":"object","properties":{},"additionalProperties":false}`, true, true},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`, true, true},
		{`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`, false, true},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, false, false},
		{`{"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false}`, false, false},
		{`{"type":"object","properties":{"a":{"type":"array","minItems":2}},"required":["a"],"additionalProperties":false}`, false, false},
		{`{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/x"}]}}},"required":["a"],"additionalProperties":false,"$defs":{"x":{"type":"object"}}}`, false, false},
		{`{"type":"object","additionalProperties":false,"not":{}}`, false, false},
		{`{"type":"string"}`, false, false},
		{`true`, false, false},
		{`{`, false, false},
	}
	for _, tt := range tests {
		if got := r.Obeys(json.RawMessage(tt.schema)); got != tt.obeys {
			t.Errorf("%s: %v", tt.schema, got)
		}
		s := Schemas{Rules: lenient}
		for range 2 {
			if got := s.Obey(json.RawMessage(tt.schema)); got != tt.leniently {
				t.Errorf("%s: leniently %v", tt.schema, got)
			}
		}
	}
}

// TestToolsSeeChanges checks that tools changed in place are encoded anew.
func TestToolsSeeChanges(t *testing.T) {
	var cache Tools
	n := 0
	encode := func(tools []because.Tool) ([]byte, error) { n++; return []byte(tools[0].Parameters), nil }
	tools := []because.Tool{{Name: "f", Parameters: json.RawMessage(`{"a":1}`)}}
	for range 3 {
		if _, err := cache.Encode(tools, encode); err != nil {
			t.Fatal(err)
		}
	}
	tools[0].Parameters[5] = '2'
	got, err := cache.Encode(tools, encode)
	if err != nil || string(got) != `{"a":2}` || n != 2 {
		t.Errorf("%s, %v after %d encodings", got, err, n)
	}
}

// TestSizes checks the bound of answers, announced and not.
func TestSizes(t *testing.T) {
	for _, announced := range []bool{true, false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if announced {
				w.Header().Set("Content-Length", "67108865")
			}
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 64 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
			w.Write([]byte(" "))
		}))
		c, err := New(Options{Name: "m", BaseURL: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Post(t.Context(), "/", nil); model.KindOf(err) != model.Garbled || !strings.Contains(err.Error(), "64 MiB") {
			t.Errorf("announced %v: %v", announced, err)
		}
		srv.Close()
	}
}

func TestBaseURLs(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:8000/v1":    "http://localhost:8000/v1",
		" https://u:p@h/v1/?key=abc ": "https://h/v1",
		"localhost:8000/v1":           "",
		"ftp://h/v1":                  "",
		"https://":                    "",
		"http://secret%zz@h/":         "",
		"https://h/v1#part":           "",
	} {
		c, err := New(Options{BaseURL: text})
		if err != nil {
			if want != "" || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if c.Base() != want {
			t.Errorf("%s: %s", text, c.Base())
		}
	}
}

// TestBaseQuery checks that a base URL's query, as some proxies want it, stays with every request.
func TestBaseQuery(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.RequestURI() != "/v1/chat?api-version=3" || user != "u" || password != "p" {
			t.Errorf("%s, %s, %s", r.URL, user, password)
		}
		w.Write([]byte("{}"))
	}))
	defer srv.Close()
	c, err := New(Options{BaseURL: strings.Replace(srv.URL, "//", "//u:p@", 1) + "/v1?api-version=3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Post(t.Context(), "/chat", nil); err != nil {
		t.Error(err)
	}
}

// TestIDs keeps a server from leading requests elsewhere.
func TestIDs(t *testing.T) {
	c, err := New(Options{BaseURL: "http://h"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "../x", "a/b", "a?b", "é"} {
		if _, err := c.ID(id); model.KindOf(err) != model.Garbled {
			t.Errorf("%q: %v", id, err)
		}
	}
	if id, err := c.ID("batch_1-aB"); err != nil || id != "batch_1-aB" {
		t.Error(id, err)
	}
}

func FuzzProblem(f *testing.F) {
	for _, s := range []string{`{"error":{"message":"m","code":429,"type":"t","metadata":{"raw":{"a":1}}}}`, `{"error":"x"}`, `{"detail":[1]}`, `{"message":1}`, `null`, `{"error":[1]}`} {
		f.Add([]byte(s), 400)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		p, ok := ParseProblem(body)
		if ok != (p.text() != "") {
			t.Errorf("%s: %+v, %v", body, p, ok)
		}
		if Classify(status, p) == "" {
			t.Errorf("status %d with %s has no kind", status, body)
		}
	})
}

// TestSecretsAreHidden checks every spelling, and that placeholders stay readable.
func TestSecretsAreHidden(t *testing.T) {
	hide := hider([]string{`p"ss word/+`, "none"})
	for _, text := range []string{`p"ss word/+`, `p\"ss word/+`, "p%22ss+word%2F%2B", "p%22ss%20word%2F+", "cCJzcyB3b3JkLys="} {
		if got := hide("it was " + text + "."); got != "it was [key]." {
			t.Errorf("%q stays: %q", text, got)
		}
	}
	if got := hide("none of sk-abc********wxyz and sk-ant-api03-AbCdEf_12"); got != "none of [key] and [key]" {
		t.Error(got)
	}
}
