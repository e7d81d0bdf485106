package checkpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/model/pretrained/tinychat"
)

// tiny makes a checkpoint that has room for the texts of real studies.
func tiny(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := tinychat.Save(dir, 7); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	roomy := strings.Replace(string(text), `"max_position_embeddings": 128`, `"max_position_embeddings": 16384`, 1)
	if roomy == string(text) {
		t.Fatalf("the number of positions is not where it was:\n%s", text)
	}
	write(t, path, roomy)
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o checkpoint.Options) *checkpoint.Target {
	t.Helper()
	if o.Path == "" {
		o.Path = tiny(t)
	}
	w, err := checkpoint.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// want requires an error with a subject, and with words in its text and hint.
func want(t testing.TB, err error, subject string, words ...string) {
	t.Helper()
	var e *because.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error about %q", err, subject)
	}
	if e.Subject != subject {
		t.Errorf("%v: it is about %q, want %q", err, e.Subject, subject)
	}
	for _, w := range words {
		if text := err.Error() + " " + because.Hint(err); !strings.Contains(text, w) {
			t.Errorf("%q lacks %q", text, w)
		}
	}
}
