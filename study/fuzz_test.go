package study_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/study"
)

// FuzzParse feeds the parser anything. It must not panic or run away; its errors have the form of all errors, and what it
// accepts can be written out in full and read again.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/toy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, m := range mistakes {
		if m.old == "*" {
			f.Add([]byte(m.new))
		} else {
			f.Add([]byte(strings.Replace(string(text), m.old, m.new, 1)))
		}
	}
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("study: &x {y: *x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := study.Parse("f.yaml", text)
		if err != nil {
			var e *because.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Subject, "f.yaml") || e.Err == nil {
				t.Fatalf("error %#v", err)
			}
			return
		}
		full, err := file.Resolved()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := study.Parse("full.yaml", full); err != nil {
			t.Fatalf("%v\n%s", err, full)
		}
	})
}
