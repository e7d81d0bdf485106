package reward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func post(t *testing.T, h http.Handler, token, body string) (int, answer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	return w.Code, a
}

func TestHandler(t *testing.T) {
	var seen [][]string
	h := Handler(Of(func(_ context.Context, task, prompt string, answers []string) ([]float64, error) {
		if task == "bad" {
			return nil, errors.New("no such task")
		}
		seen = append(seen, append([]string{task, prompt}, answers...))
		var out []float64
		for _, a := range answers {
			out = append(out, float64(len(a)))
		}
		if task == "short" {
			out = out[1:]
		}
		if task == "nan" {
			out[0] = math.NaN()
		}
		return out, nil
	}), "secret")
	items := `{"items":[{"id":"1","task":"a","prompt":"p","completion":"x"},{"id":"2","task":"a","prompt":"p","completion":"xx"},{"id":"3","task":"b","prompt":"p","completion":""}]}`
	if code, a := post(t, h, "secret", items); code != 200 || !cmp.Equal(a.Rewards, []float64{1, 2, 0}) {
		t.Errorf("%d %+v", code, a)
	}
	if want := [][]string{{"a", "p", "x", "xx"}, {"b", "p", ""}}; !cmp.Equal(seen, want) {
		t.Errorf("asked for %v", seen)
	}
	one := func(task string) string { return fmt.Sprintf(`{"items":[{"task":%q,"completion":"x"}]}`, task) }
	for _, c := range []struct {
		token, body string
		code        int
		says        string
	}{
		{"", items, 401, "token"},
		{"wrong", items, 401, "token"},
		{"secret", `{"items":[]}`, 400, "0 items"},
		{"secret", `{"items":[{"answer":"x"}]}`, 400, "unknown field"},
		{"secret", `{"items":`, 400, "read items"},
		{"secret", one("bad"), 500, "no such task"},
		{"secret", one("short"), 500, "0 rewards of 1"},
		{"secret", one("nan"), 500, "reward 1 is NaN"},
	} {
		if code, a := post(t, h, c.token, c.body); code != c.code || !strings.Contains(a.Error, c.says) || a.Rewards != nil {
			t.Errorf("%s: %d %+v", c.body, code, a)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
	if w.Code != 204 {
		t.Errorf("health: %d", w.Code)
	}
}

// FuzzRequest wants an answer that its own form reads, whatever is sent.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"items":[{"id":"1","task":"a","prompt":"p","completion":"x"}]}`))
	f.Add([]byte(`{"items":[{}]} trailing`))
	h := Handler(func(_ context.Context, items []Item) ([]float64, error) { return make([]float64, len(items)), nil }, "")
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		var a answer
		text, _ := io.ReadAll(w.Body)
		if err := json.Unmarshal(text, &a); err != nil || (w.Code == 200) != (a.Error == "" && len(a.Rewards) > 0) {
			t.Errorf("%q: %d %q", body, w.Code, text)
		}
	})
}
