package main

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// No key is written anywhere: not into a log, kept answers, errors or output, even where the server sends it back.
func TestKeysAreNeverWritten(t *testing.T) {
	t.Parallel()
	const key = "sk-secret-0123456789abcdef"
	got := make(chan string, 100)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"error":{"message":"Incorrect API key provided: ` + key + `."}}`))
	}))
	defer at.Close()
	dir := askMany(t, 3)
	cmd := exec.Command("because", "eval", "sums.yaml", "--model", "openai-api:"+at.URL+"/v1/mock", "--cache", "read-write", "--cache-dir", "answers")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), compatibleKey+"="+key)
	out, err := cmd.CombinedOutput()
	if exitCodeOf(err) != exitFailed || !strings.Contains(string(out), "access denied") {
		t.Errorf("code %d:\n%s", exitCodeOf(err), out)
	}
	if sent := <-got; sent != "Bearer "+key {
		t.Errorf("the server was sent %q", sent)
	}
	if strings.Contains(string(out), key) {
		t.Errorf("the key is printed:\n%s", out)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), key) {
			t.Errorf("the key stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
