package anthropic

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// batchServer is the batch API in memory: the answer to a message echoes it, and messages may tell what is to go wrong.
type batchServer struct {
	t       *testing.T
	mu      sync.Mutex
	results map[string]string
	batches []map[string]any
	posts   int
	cut     bool // the next creation is answered by nothing
}

func (s *batchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("X-Api-Key") != testKey || r.Header.Get("Anthropic-Version") == "" {
		s.t.Error("no key or version")
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/messages/batches")
	switch id := strings.Trim(path, "/"); {
	case r.Method == "POST":
		s.create(w, r)
	case id == "":
		newest := slices.Clone(s.batches)
		slices.Reverse(newest)
		json.NewEncoder(w).Encode(map[string]any{"data": newest, "has_more": false})
	case strings.HasSuffix(id, "/results"):
		w.Write([]byte(s.results[strings.TrimSuffix(id, "/results")]))
	default:
		for _, b := range s.batches {
			if b["id"] == id {
				json.NewEncoder(w).Encode(b)
				return
			}
		}
		http.Error(w, `{"type":"error","error":{"type":"not_found_error","message":"no such batch"}}`, http.StatusNotFound)
	}
}

func (s *batchServer) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Requests []struct {
			ID     string  `json:"custom_id"`
			Params request `json:"params"`
		} `json:"requests"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q.Requests) == 0 {
		s.t.Errorf("%v: %+v", err, q)
	}
	s.posts++
	out := ""
	for _, e := range q.Requests {
		result := ""
		switch text := e.Params.Messages[0].Content[0].Text; text {
		case "expire":
			result = `{"type":"expired"}`
		case "cancel":
			result = `{"type":"canceled"}`
		case "overflow":
			result = `{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}}`
		case "overload":
			result = `{"type":"errored","error":{"type":"error","error":{"type":"api_error","message":"Internal server error"}}}`
		default:
			result = fmt.Sprintf(`{"type":"succeeded","message":{"type":"message","content":[{"type":"text","text":%q}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}}`, "to "+text)
		}
		out += fmt.Sprintf(`{"custom_id":%q,"result":%s}`+"\n", e.ID, result)
	}
	id := fmt.Sprintf("msgbatch_%d", s.posts)
	s.results[id] = out
	b := map[string]any{"id": id, "type": "message_batch", "processing_status": "ended", "created_at": time.Now().UTC().Format(time.RFC3339), "request_counts": map[string]int{"succeeded": len(q.Requests) - 1, "errored": 1}}
	s.batches = append(s.batches, b)
	if s.cut {
		s.cut = false
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(b)
}

func openBatch(t *testing.T, url, dir string) *Batched {
	t.Helper()
	b, err := Batch(open1(t, url+"/v1"), BatchOptions{Dir: dir, MaxSize: 4, MaxWait: 20 * time.Millisecond, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func askAll(t *testing.T, b *Batched, texts ...string) []error {
	errs := make([]error, len(texts))
	var wg sync.WaitGroup
	for i, text := range texts {
		wg.Go(func() {
			r := hello()
			r.Messages[0].Content = text
			got, err := b.Answer(t.Context(), 1, r)
			if errs[i] = err; err == nil && (got.Text != "to "+text || got.Usage.Input != 3 || got.Stop != because.StopEnd) {
				errs[i] = fmt.Errorf("%q was answered by %+v", text, got)
			}
		})
	}
	wg.Wait()
	return errs
}

func TestBatch(t *testing.T) {
	s := &batchServer{t: t, results: map[string]string{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	dir := t.TempDir()
	for _, err := range askAll(t, openBatch(t, srv.URL, dir), "x", "y") { // of the same size as what is cut off
		if err != nil {
			t.Error(err)
		}
	}
	s.mu.Lock()
	s.cut = true
	s.mu.Unlock()
	for _, err := range askAll(t, openBatch(t, srv.URL, dir), "a", "b") {
		if model.KindOf(err) != model.Cut {
			t.Errorf("the submission was cut off, and the error is %v", err)
		}
	}
	b := openBatch(t, srv.URL, dir)
	texts := []string{"a", "b", "expire", "overflow", "cancel", "overload"}
	for i, err := range askAll(t, b, texts...) {
		want := []model.Kind{"", "", model.TimedOut, model.TooLong, model.Rejected, model.Overloaded}[i]
		if model.KindOf(err) != want || err != nil && want == "" {
			t.Errorf("%s: %v", texts[i], err)
		}
	}
	if s.posts != 3 {
		t.Errorf("%d batches, want one, that which was cut off, and one for the rest", s.posts)
	}
	if b.Name() != "anthropic/claude-opus-4-6" {
		t.Error(b.Name())
	}
}
