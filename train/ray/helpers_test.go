package ray

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dataFile writes a file of data and gives its checksum.
func dataFile(t testing.TB, text string) (path, sum string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256([]byte(text))
	return path, hex.EncodeToString(s[:])
}

// metricsOf reads what a recorder has written; a line that is cut off is left out.
func metricsOf(t testing.TB, dir string) (all []Metric) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, metricsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		var m Metric
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}
