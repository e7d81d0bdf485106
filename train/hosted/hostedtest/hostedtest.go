// Package hostedtest is OpenAI's fine-tuning API in memory, for tests: files, jobs that advance each time they are looked at, their
// events and result files, and the ways in which all of it goes wrong. It checks requests strictly, and data as the real one does.
package hostedtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Key is the key that requests must carry, unless Behaviour says otherwise.
const Key = "sk-hostedtest-very-secret-0123456789"

// Forbidden is a text that moderation refuses in training data.
const Forbidden = "FORBIDDEN-BY-POLICY"

// Behaviour says how the service behaves. The zero value takes a job through all its states in a few looks and goes well.
type Behaviour struct {
	Key         string // that requests must carry; empty: Key
	FilePolls   int    // looks at a file before it is processed
	QueuePolls  int    // looks at a job before it leaves the queue, beside one in each state
	Steps       int    // training steps, one for each look while it runs; 0: 4
	Busy        int    // every nth request is answered with 429 and a Retry-After; 0: none
	CutUploads  int    // this many uploads are kept, and then the connection is cut without an answer
	CutJobs     int    // the same for jobs
	BrokenJobs  int    // this many creations of jobs are answered with 500 before anything is made
	FailCode    string // jobs end as failed with this code in the middle of their training, and with FailMessage
	FailMessage string
	NoQuota     bool // creations of jobs are answered with 429 and insufficient_quota
	Denied      bool // creations of jobs are answered with 403
	NoMetadata  bool // jobs forget their metadata, as services of another kind may; they keep the suffix
	Base64      bool // result files are given in base64
	NoResults   bool // jobs have no result file
	OldestFirst bool // events are listed in the order in which they happened
	Page        int  // most items of a page, whatever the client asks for; 0: what it asks for
	EchoKey     bool // errors tell the key that the request had
}

// Server is a running service.
type Server struct {
	URL string // with /v1
	b   Behaviour
	srv *httptest.Server

	mu       sync.Mutex
	requests []string // METHOD path
	files    []*file
	jobs     []*job
}

type file struct {
	id, name, purpose string
	text              []byte
	looks             int
}

type job struct {
	id      string
	request request
	status  string
	looks   int
	step    int
	failure map[string]any
	events  []map[string]any
	results string
	tokens  int
}

// request is the body that makes a job; other fields are refused.
type request struct {
	Model      string            `json:"model"`
	Training   string            `json:"training_file"`
	Validation string            `json:"validation_file"`
	Seed       *int64            `json:"seed"`
	Suffix     string            `json:"suffix"`
	Metadata   map[string]string `json:"metadata"`
	Method     struct {
		Type       string `json:"type"`
		Supervised struct {
			Hyperparameters map[string]any `json:"hyperparameters"`
		} `json:"supervised"`
	} `json:"method"`
}

// Start runs a service. Close must be called.
func Start(b Behaviour) *Server {
	if b.Key == "" {
		b.Key = Key
	}
	if b.Steps == 0 {
		b.Steps = 4
	}
	s := &Server{b: b}
	s.srv = httptest.NewServer(s)
	s.URL = s.srv.URL + "/v1"
	return s
}

// Close ends the service.
func (s *Server) Close() { s.srv.Close() }

// Behave changes how the service behaves from now on.
func (s *Server) Behave(change func(*Behaviour)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.b)
}

// Files gives the contents of the uploaded files, in their order.
func (s *Server) Files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, f := range s.files {
		if f.purpose == "fine-tune" {
			out = append(out, string(f.text))
		}
	}
	return out
}

// Jobs gives the bodies that made the jobs, in their order.
func (s *Server) Jobs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, j := range s.jobs {
		text, _ := json.Marshal(j.request) // what was read can be written
		out = append(out, string(text))
	}
	return out
}

// Statuses gives the states of the jobs, in their order.
func (s *Server) Statuses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, j := range s.jobs {
		out = append(out, j.status)
	}
	return out
}

// Requests gives the method and path of every request that begins with a prefix, such as "POST".
func (s *Server) Requests(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.requests {
		if strings.HasPrefix(r, prefix) {
			out = append(out, r)
		}
	}
	return out
}

// DeleteFiles forgets the uploaded files.
func (s *Server) DeleteFiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	s.requests = append(s.requests, r.Method+" "+path)
	if r.Header.Get("Authorization") != "Bearer "+s.b.Key {
		said := "Incorrect API key provided."
		if s.b.EchoKey {
			said += " You gave " + r.Header.Get("Authorization")
		}
		s.fail(w, 401, "invalid_api_key", said, "")
		return
	}
	if s.b.Busy > 0 && len(s.requests)%s.b.Busy == 0 {
		w.Header().Set("Retry-After-Ms", "1")
		s.fail(w, 429, "rate_limit_exceeded", "Too many requests.", "")
		return
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "files":
		s.serveFiles(w, r, parts[1:])
	case len(parts) >= 2 && parts[0] == "fine_tuning" && parts[1] == "jobs":
		s.serveJobs(w, r, parts[2:])
	default:
		s.fail(w, 404, "", "Unknown path.", "")
	}
}

func (s *Server) serveFiles(w http.ResponseWriter, r *http.Request, rest []string) {
	switch {
	case r.Method == http.MethodPost && len(rest) == 0:
		s.upload(w, r)
	case r.Method == http.MethodGet && len(rest) == 0:
		var all []map[string]any
		for _, f := range slices.Backward(s.files) {
			if p := r.URL.Query().Get("purpose"); p == "" || p == f.purpose {
				all = append(all, s.describe(f))
			}
		}
		s.list(w, r, all)
	default:
		i := slices.IndexFunc(s.files, func(f *file) bool { return len(rest) > 0 && f.id == rest[0] })
		if i < 0 || r.Method != http.MethodGet {
			s.fail(w, 404, "", "No such File object.", "id")
			return
		}
		if len(rest) == 2 && rest[1] == "content" {
			w.Write(s.files[i].text)
			return
		}
		s.files[i].looks++
		reply(w, s.describe(s.files[i]))
	}
}

func (s *Server) describe(f *file) map[string]any {
	status := "processed"
	if f.looks < s.b.FilePolls {
		status = "uploaded"
	}
	return map[string]any{"object": "file", "id": f.id, "filename": f.name, "purpose": f.purpose, "bytes": len(f.text), "status": status, "created_at": 1_700_000_000}
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	part, header, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "fine-tune" {
		s.fail(w, 400, "invalid_request_error", fmt.Sprintf("not an upload for fine-tuning: %v", err), "purpose")
		return
	}
	text, err := io.ReadAll(part)
	if err != nil {
		s.fail(w, 400, "invalid_request_error", err.Error(), "file")
		return
	}
	f := &file{id: fmt.Sprintf("file-%d", len(s.files)+1), name: header.Filename, purpose: "fine-tune", text: text}
	s.files = append(s.files, f)
	if s.b.CutUploads > 0 {
		s.b.CutUploads--
		panic(http.ErrAbortHandler)
	}
	reply(w, s.describe(f))
}

// list gives a page of a list whose order is that of items.
func (s *Server) list(w http.ResponseWriter, r *http.Request, items []map[string]any) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = 20
	}
	if s.b.Page > 0 {
		limit = min(limit, s.b.Page)
	}
	if after := r.URL.Query().Get("after"); after != "" {
		i := slices.IndexFunc(items, func(m map[string]any) bool { return m["id"] == after })
		items = items[i+1:]
	}
	page := items[:min(limit, len(items))]
	if page == nil {
		page = []map[string]any{}
	}
	reply(w, map[string]any{"object": "list", "data": page, "has_more": len(page) < len(items)})
}

func (s *Server) fail(w http.ResponseWriter, status int, code, message, param string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := map[string]any{"message": message, "type": "invalid_request_error", "param": nil, "code": nil}
	if code != "" {
		e["code"] = code
	}
	if param != "" {
		e["param"] = param
	}
	json.NewEncoder(w).Encode(map[string]any{"error": e})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
