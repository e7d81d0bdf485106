package clients

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder answers every request below a path with the body for it, and keeps what was sent.
type recorder struct {
	mu      sync.Mutex
	answers map[string]string // by path
	sent    []sent
}

// sent is a request: its path, its headers, and its body as JSON. A form's file of JSON lines is a list.
type sent struct {
	path   string
	header http.Header
	body   any
}

func record(t *testing.T, answers map[string]string) (*recorder, string) {
	t.Helper()
	r := &recorder{answers: answers}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return r, srv.URL
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	data, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	s := sent{path: q.Method + " " + q.URL.Path, header: q.Header}
	if kind, o, err := mime.ParseMediaType(q.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		s.body = form(data, o["boundary"])
	} else if len(data) > 0 {
		s.body = decode(data)
	}
	r.mu.Lock()
	r.sent = append(r.sent, s)
	answer, ok := r.answers[q.URL.Path]
	r.mu.Unlock()
	if !ok {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(answer))
}

func decode(data []byte) any {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err.Error() + ": " + string(data)
	}
	return v
}

// form gives a form's fields; a file's lines are decoded.
func form(data []byte, boundary string) any {
	out := map[string]any{}
	parts := multipart.NewReader(strings.NewReader(string(data)), boundary)
	for {
		p, err := parts.NextPart()
		if err != nil {
			return out
		}
		text, err := io.ReadAll(p)
		if err != nil {
			return err.Error()
		}
		if p.FileName() == "" {
			out[p.FormName()] = string(text)
			continue
		}
		var lines []any
		for line := range strings.Lines(string(text)) {
			lines = append(lines, decode([]byte(line)))
		}
		out[p.FormName()] = lines
	}
}

// take gives what was sent since the last call.
func (r *recorder) take() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.sent
	r.sent = nil
	return out
}

// same compares two requests, which mean the same where they differ in the ways that tidy evens out.
func same(t *testing.T, official, ours sent, headers ...string) {
	t.Helper()
	if official.path != ours.path {
		t.Errorf("paths %s and %s", official.path, ours.path)
	}
	for _, name := range headers {
		if a, b := official.header.Get(name), ours.header.Get(name); a != b || a == "" {
			t.Errorf("%s: %q and %q", name, a, b)
		}
	}
	if diff := cmp.Diff(tidy(official.body), tidy(ours.body)); diff != "" {
		t.Errorf("the official client (-) and ours (+):\n%s", diff)
	}
}

// tidy leaves out fields that are null, as which the APIs read absent ones; writes the text of a tool's result as the list of
// blocks that it stands for; and a call's arguments, JSON in a string, as JSON.
func tidy(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = tidy(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if value != nil {
				out[name] = tidy(value)
			}
		}
		if text, ok := out["content"].(string); ok && out["type"] == "tool_result" {
			out["content"] = []any{map[string]any{"type": "text", "text": text}}
		}
		if text, ok := out["arguments"].(string); ok {
			out["arguments"] = decode([]byte(text))
		}
		return out
	}
	return v
}
