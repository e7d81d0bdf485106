// Package raytest is a cluster for tests: Ray's Jobs, packages, nodes and Serve REST APIs in memory, as Ray 2.60 answers them, with jobs that print what a test says
// and with faults on demand. Nothing is run.
package raytest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server is a cluster. Its methods may be called at any time, from any goroutine.
type Server struct {
	URL string

	http *httptest.Server
	play func(Job) Script
	stop context.CancelFunc // of all jobs
	ctx  context.Context
	work sync.WaitGroup

	mu        sync.Mutex
	version   string
	token     string
	nodes     []Node
	packages  map[string][]byte
	jobs      map[string]*job
	order     []string // of submission
	apps      map[string]json.RawMessage
	serve     func(app string, looks int) (status, message string)
	servePort int
	looks     map[string]int
	faults    []*fault
	slow      time.Duration
	down      time.Time // until when all connections are refused
	noSocket  bool
	noState   bool
	cut       chan struct{} // closed to cut all streams
	cuts      []int         // bytes after which the next streams are cut
	seen      map[string]int
}

// Node is a machine of the cluster.
type Node struct {
	Name     string
	CPU, GPU float64
	Kind     string // of accelerator, such as A100
	Memory   float64
}

// New starts a cluster of one node with 4 CPUs and no GPU. Play says what a job does that was submitted; nil: it succeeds at once and prints nothing.
func New(play func(Job) Script) *Server {
	s := &Server{play: play, version: "2.60.0", nodes: []Node{{Name: "head", CPU: 4, Memory: 16 << 30}}, packages: map[string][]byte{}, jobs: map[string]*job{},
		apps: map[string]json.RawMessage{}, looks: map[string]int{}, servePort: 8000, cut: make(chan struct{}), seen: map[string]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.play == nil {
		s.play = func(Job) Script { return Script{} }
	}
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /api/version":                s.getVersion,
		"GET /api/packages/gcs/{name}":    s.getPackage,
		"PUT /api/packages/gcs/{name}":    s.putPackage,
		"POST /api/jobs/{$}":              s.submit,
		"GET /api/jobs/{$}":               s.list,
		"GET /api/jobs/{id}":              s.details,
		"DELETE /api/jobs/{id}":           s.remove,
		"POST /api/jobs/{id}/stop":        s.stopJob,
		"GET /api/jobs/{id}/logs":         s.logs,
		"GET /api/jobs/{id}/logs/tail":    s.tail,
		"GET /api/v0/nodes":               s.stateNodes,
		"GET /nodes":                      s.summaryNodes,
		"GET /api/serve/applications/":    s.getApps,
		"PUT /api/serve/applications/":    s.putApps,
		"DELETE /api/serve/applications/": s.deleteApps,
		"GET /{$}":                        func(w http.ResponseWriter, _ *http.Request) { page(w, http.StatusOK) },
	} {
		mux.HandleFunc(pattern, h)
	}
	s.http = httptest.NewServer(s.gate(mux))
	s.URL = s.http.URL
	return s
}

// Close ends the cluster with all its jobs.
func (s *Server) Close() {
	s.stop()
	s.CutStreams()
	s.work.Wait()
	s.http.CloseClientConnections()
	s.http.Close()
}

func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	w.Write([]byte("<!doctype html><html><body>Ray Dashboard</body></html>"))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
}

// gate lets requests through, late or not at all.
func (s *Server) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Method + " " + r.URL.Path
		s.mu.Lock()
		s.seen[key]++
		slow, down, f, token := s.slow, time.Now().Before(s.down), s.fault(key), s.token
		s.mu.Unlock()
		if slow > 0 {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
			}
		}
		switch {
		case down || f != nil && f.status == 0 && !f.after:
			abort()
		case f != nil && f.after:
			next.ServeHTTP(httptest.NewRecorder(), r) // done, but nobody hears of it
			abort()
		case f != nil && f.html:
			page(w, f.status)
		case f != nil:
			refuse(w, f.status, f.text)
		case token != "" && r.Header.Get("Authorization") == "":
			refuse(w, http.StatusUnauthorized, "Unauthorized: Missing authentication token")
		case token != "" && r.Header.Get("Authorization") != "Bearer "+token:
			refuse(w, http.StatusForbidden, "Forbidden: Invalid authentication token")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// abort cuts the connection of the request that is being answered.
func abort() { panic(http.ErrAbortHandler) }

func (s *Server) getVersion(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	v := s.version
	s.mu.Unlock()
	answer(w, map[string]string{"version": "4", "ray_version": v, "ray_commit": "0", "session_name": "session"})
}

func (s *Server) getPackage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	_, ok := s.packages[r.PathValue("name")]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "Package gcs://"+r.PathValue("name")+" does not exist")
	}
}

// packageLimit is the most that Ray's dashboard takes in one request.
const packageLimit = 100 << 20

func (s *Server) putPackage(w http.ResponseWriter, r *http.Request) {
	text, err := readAll(r, packageLimit)
	switch {
	case err != nil:
		refuse(w, http.StatusRequestEntityTooLarge, "Maximum request body size 104857600 exceeded")
		return
	case !strings.HasSuffix(r.PathValue("name"), ".zip"):
		refuse(w, http.StatusInternalServerError, "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nValueError: no package's name\n")
		return
	}
	s.mu.Lock()
	s.packages[r.PathValue("name")] = text
	s.mu.Unlock()
}

func (s *Server) stateNodes(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noState {
		refuse(w, http.StatusNotFound, "404: Not Found")
		return
	}
	nodes := []any{map[string]any{"node_name": "gone", "state": "DEAD", "resources_total": map[string]any{"GPU": 64.0}}}
	for i, n := range s.nodes {
		nodes = append(nodes, map[string]any{"node_name": n.Name, "node_ip": "192.0.2.1", "is_head_node": i == 0, "state": "ALIVE", "resources_total": n.resources("accelerator_type:")})
	}
	answer(w, map[string]any{"result": true, "data": map[string]any{"result": map[string]any{"total": len(nodes), "result": nodes}}})
}

func (s *Server) summaryNodes(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := []any{}
	for i, n := range s.nodes {
		nodes = append(nodes, map[string]any{"hostname": n.Name, "raylet": map[string]any{"nodeName": n.Name, "isHeadNode": i == 0, "state": "ALIVE",
			"resourcesTotal": n.resources("acceleratorType:")}})
	}
	answer(w, map[string]any{"result": true, "data": map[string]any{"summary": nodes}})
}

func (n Node) resources(kind string) map[string]any {
	r := map[string]any{"CPU": n.CPU, "memory": n.Memory, "node:__internal_head__": 1.0}
	if n.GPU > 0 {
		r["GPU"] = n.GPU
	}
	if n.Kind != "" {
		r[kind+n.Kind] = 1.0
	}
	return r
}
