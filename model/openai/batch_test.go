package openai

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// batchServer is OpenAI's batch API in memory: the answer to a message echoes it, and messages may tell what is to go wrong.
type batchServer struct {
	t       *testing.T
	mu      sync.Mutex
	files   map[string]string
	batches []map[string]any
	posts   int
	cut     bool   // the next creation is answered by nothing
	status  string // of batches
}

func (s *batchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+testKey {
		s.t.Error("no key")
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	switch {
	case r.Method == "POST" && path == "/files":
		if r.FormValue("purpose") != "batch" {
			s.t.Errorf("purpose %q", r.FormValue("purpose"))
		}
		file, _, err := r.FormFile("file")
		if err != nil {
			s.t.Error(err)
			return
		}
		text := &strings.Builder{}
		bufio.NewReader(file).WriteTo(text)
		id := fmt.Sprintf("file-%d", len(s.files)+1)
		s.files[id] = text.String()
		json.NewEncoder(w).Encode(map[string]any{"id": id})
	case r.Method == "POST" && path == "/batches":
		s.create(w, r)
	case r.Method == "GET" && path == "/batches":
		json.NewEncoder(w).Encode(map[string]any{"data": s.batches, "has_more": false})
	case r.Method == "GET" && strings.HasPrefix(path, "/batches/"):
		for _, b := range s.batches {
			if "/batches/"+b["id"].(string) == path {
				json.NewEncoder(w).Encode(b)
				return
			}
		}
		http.Error(w, `{"error":{"message":"no such batch"}}`, http.StatusNotFound)
	case strings.HasSuffix(path, "/content"):
		w.Write([]byte(s.files[strings.Split(path, "/")[2]]))
	default:
		s.t.Errorf("%s %s", r.Method, path)
	}
}

func (s *batchServer) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Input    string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Endpoint != "/v1/chat/completions" || q.Window != "24h" {
		s.t.Errorf("%v: %+v", err, q)
	}
	s.posts++
	out, bad := s.work(s.files[q.Input])
	id := fmt.Sprintf("batch_%d", s.posts)
	s.files[id+"-out"], s.files[id+"-bad"] = out, bad
	b := map[string]any{"id": id, "status": s.status, "created_at": time.Now().Unix(), "output_file_id": id + "-out", "error_file_id": id + "-bad", "metadata": q.Metadata}
	if s.status == "failed" {
		b["errors"] = map[string]any{"data": []any{map[string]any{"code": "invalid_json_line", "message": "not JSON", "line": 3}}}
	}
	s.batches = append(s.batches, b)
	if s.cut {
		s.cut = false
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(b)
}

// work answers a file of requests.
func (s *batchServer) work(lines string) (out, bad string) {
	for line := range strings.Lines(lines) {
		var q struct {
			ID     string `json:"custom_id"`
			Method string `json:"method"`
			URL    string `json:"url"`
			Body   request
		}
		if err := json.Unmarshal([]byte(line), &q); err != nil || q.Method != "POST" || q.URL != "/v1/chat/completions" {
			s.t.Errorf("%v: %s", err, line)
		}
		text := *q.Body.Messages[0].Content
		switch text {
		case "expire":
			bad += fmt.Sprintf(`{"id":"r","custom_id":%q,"response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}`+"\n", q.ID)
		case "overflow":
			bad += fmt.Sprintf(`{"id":"r","custom_id":%q,"response":{"status_code":400,"body":{"error":{"message":"too long","code":"context_length_exceeded"}}},"error":null}`+"\n", q.ID)
		default:
			out += fmt.Sprintf(`{"id":"r","custom_id":%q,"response":{"status_code":200,"body":{"model":"m-1","choices":[{"message":{"content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}},"error":null}`+"\n", q.ID, "to "+text)
		}
	}
	return out, bad
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
	s := &batchServer{t: t, files: map[string]string{}, status: "completed", cut: true}
	srv := httptest.NewServer(s)
	defer srv.Close()
	dir := t.TempDir()
	for _, err := range askAll(t, openBatch(t, srv.URL, dir), "a", "b") {
		if model.KindOf(err) != model.Cut {
			t.Errorf("the submission was cut off, and the error is %v", err)
		}
	}
	b := openBatch(t, srv.URL, dir)
	for i, err := range askAll(t, b, "a", "b", "expire", "overflow") {
		want := []model.Kind{"", "", model.TimedOut, model.TooLong}[i]
		if model.KindOf(err) != want || err != nil && want == "" {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if s.posts != 2 {
		t.Errorf("%d batches, want that which was cut off, and one for the rest", s.posts)
	}
	s.mu.Lock()
	s.status = "failed"
	s.mu.Unlock()
	for _, err := range askAll(t, b, "c") {
		if model.KindOf(err) != model.Rejected || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("a batch that failed gives %v", err)
		}
	}
	if b.Name() != "served/m" {
		t.Error(b.Name())
	}
}
