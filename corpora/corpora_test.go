package corpora

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	if d := cmp.Diff([]string{"advice", "behaviour", "deliberation", "documents", "rl-prompts", "stories"}, Names()); d != "" {
		t.Error(d)
	}
	for _, name := range Names() {
		if text, ok := Text(name); !ok || !bytes.HasPrefix(text, []byte("{")) {
			t.Errorf("%s is no JSON lines", name)
		}
	}
	if _, ok := Text("README"); ok {
		t.Error("there is a corpus that is none")
	}
	if first := Hash(); len(first) != 64 || Hash() != first {
		t.Error("the hash is none")
	}
}
