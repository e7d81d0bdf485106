package parquet

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	text := Type{}
	call := Type{Fields: []Field{{Name: "name"}, {Name: "arguments"}}}
	message := Type{Fields: []Field{{Name: "role"}, {Name: "content"}, {Name: "calls", Type: Type{List: &call}, Optional: true}, {Name: "name", Type: text, Optional: true}}}
	columns := []Field{{Name: "messages", Type: Type{List: &message}}, {Name: "id"}, {Name: "note", Optional: true}}
	path := filepath.Join(t.TempDir(), "a.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f, columns)
	var want []map[string]any
	for i := range rowsPerGroup + 3 {
		id := fmt.Sprint(i)
		row := func() map[string]any {
			return map[string]any{"id": id, "note": nil, "messages": []any{
				map[string]any{"role": "user", "content": "ä " + id, "calls": nil, "name": nil},
				map[string]any{"role": "assistant", "content": "", "name": "n", "calls": []any{map[string]any{"name": "f", "arguments": "{}"}}},
			}}
		}
		want = append(want, row())
		if err := w.Write(row()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var got []map[string]any
	for row, err := range Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%.2000s", d)
	}
}
