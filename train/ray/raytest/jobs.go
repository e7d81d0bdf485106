package raytest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Job is what was submitted.
type Job struct {
	ID       string
	Entry    string
	Metadata map[string]string
	Vars     map[string]string
	Files    map[string][]byte // of the package
}

// Script says what a job does. The zero value succeeds at once and prints nothing.
type Script struct {
	Pending   time.Duration // before it runs; below 0: for ever
	Lines     []Line
	Status    string // at the end; empty: SUCCEEDED
	Message   string
	ErrorType string
	ExitCode  int
}

// Line is something that a job prints: as it is, without an end of line of its own.
type Line struct {
	After time.Duration   // waits so long first
	Until <-chan struct{} // and until this is closed, unless nil
	Text  string
}

// Print makes lines of texts, each ended.
func Print(texts ...string) (lines []Line) {
	for _, t := range texts {
		lines = append(lines, Line{Text: t + "\n"})
	}
	return lines
}

// Event makes a line of the engine's: its mark and the value's JSON.
func Event(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return "@because " + string(text)
}

type job struct {
	Job
	env    map[string]any
	start  time.Time
	script Script

	mu      sync.Mutex
	status  string
	log     []byte
	lost    bool
	finish  time.Time
	changed chan struct{} // closed when there is more
	ctx     context.Context
	end     context.CancelFunc
}

func terminal(status string) bool {
	return status == "STOPPED" || status == "SUCCEEDED" || status == "FAILED"
}

// change does something to the job and tells those who wait. Nothing changes a job that has ended.
func (j *job) change(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if terminal(j.status) {
		return
	}
	f()
	if terminal(j.status) {
		j.finish = time.Now()
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// run plays the script.
func (j *job) run() {
	if j.script.Pending < 0 {
		<-j.ctx.Done()
		return
	}
	if !j.wait(j.script.Pending, nil) {
		return
	}
	j.change(func() { j.status = "RUNNING" })
	for _, l := range j.script.Lines {
		if !j.wait(l.After, l.Until) {
			return
		}
		j.change(func() { j.log = append(j.log, l.Text...) })
	}
	status := j.script.Status
	if status == "" {
		status = "SUCCEEDED"
	}
	j.change(func() { j.status = status })
}

func (j *job) wait(d time.Duration, until <-chan struct{}) bool {
	if d > 0 {
		select {
		case <-time.After(d):
		case <-j.ctx.Done():
			return false
		}
	}
	if until != nil {
		select {
		case <-until:
		case <-j.ctx.Done():
			return false
		}
	}
	return j.ctx.Err() == nil
}

func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	var q struct {
		ID       string            `json:"submission_id"`
		Entry    string            `json:"entrypoint"`
		Env      map[string]any    `json:"runtime_env"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Entry == "" || q.ID == "" {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nTypeError: entrypoint must be a string (%v)\n", err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[q.ID] != nil {
		refuse(w, http.StatusInternalServerError, "Traceback (most recent call last):\n  File \"job_head.py\", line 1, in submit_job\nRuntimeError: Request failed with status code 400: "+
			"Traceback (most recent call last):\n  File \"job_agent.py\", line 1, in submit_job\nValueError: Job with submission_id "+q.ID+
			" already exists. Please use a different submission_id.\n.\n")
		return
	}
	j := &job{Job: Job{ID: q.ID, Entry: q.Entry, Metadata: q.Metadata, Vars: texts(q.Env["env_vars"])}, env: q.Env, start: time.Now(), status: "PENDING", changed: make(chan struct{})}
	j.ctx, j.end = context.WithCancel(s.ctx)
	if uri, ok := q.Env["working_dir"].(string); ok {
		files, err := unzip(s.packages[strings.TrimPrefix(uri, "gcs://")])
		if err != nil {
			j.script = Script{Status: "FAILED", ErrorType: "RUNTIME_ENV_SETUP_FAILURE", Message: "runtime_env setup failed: Failed to download " + uri + ": " + err.Error()}
		}
		j.Files = files
	}
	if j.script.Status == "" {
		j.script = s.play(j.Job)
	}
	s.jobs[q.ID] = j
	s.order = append(s.order, q.ID)
	s.work.Go(j.run)
	answer(w, map[string]string{"job_id": q.ID, "submission_id": q.ID})
}

func texts(v any) map[string]string {
	all := map[string]string{}
	m, _ := v.(map[string]any)
	for k, v := range m {
		all[k] = fmt.Sprint(v)
	}
	return all
}

func unzip(text []byte) (map[string][]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			return nil, err
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			return nil, err
		}
		in.Close()
	}
	return files, nil
}

func readAll(r *http.Request, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errors.New("too long")
	}
	return text, err
}

func (j *job) details() map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := map[string]any{"type": "SUBMISSION", "submission_id": j.ID, "job_id": nil, "status": j.status, "entrypoint": j.Entry, "message": "Job is " + strings.ToLower(j.status) + ".",
		"error_type": nil, "start_time": j.start.UnixMilli(), "end_time": nil, "metadata": j.Metadata, "runtime_env": j.env, "driver_exit_code": nil}
	if terminal(j.status) {
		d["end_time"] = j.finish.UnixMilli()
		d["message"], d["driver_exit_code"] = "Job finished successfully.", 0
	}
	if j.status == "FAILED" {
		d["message"], d["error_type"], d["driver_exit_code"] = j.script.Message, j.script.ErrorType, j.script.ExitCode
	}
	return d
}

// find gives the job that a request is about, or answers that there is none.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *job {
	s.mu.Lock()
	j := s.jobs[r.PathValue("id")]
	s.mu.Unlock()
	if j == nil {
		refuse(w, http.StatusNotFound, "Job "+r.PathValue("id")+" does not exist")
	}
	return j
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	all := []any{map[string]any{"type": "DRIVER", "job_id": "01000000", "submission_id": nil, "status": "RUNNING", "entrypoint": "", "metadata": nil}}
	for _, id := range s.order {
		all = append(all, s.jobs[id].details())
	}
	s.mu.Unlock()
	answer(w, all)
}

func (s *Server) details(w http.ResponseWriter, r *http.Request) {
	if j := s.find(w, r); j != nil {
		answer(w, j.details())
	}
}

func (s *Server) stopJob(w http.ResponseWriter, r *http.Request) {
	if j := s.find(w, r); j != nil {
		running := false
		j.change(func() { j.status, running = "STOPPED", true })
		j.end()
		answer(w, map[string]bool{"stopped": running})
	}
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	j := s.find(w, r)
	if j == nil {
		return
	}
	if !terminal(j.details()["status"].(string)) {
		refuse(w, http.StatusInternalServerError, "Traceback (most recent call last):\nRuntimeError: Attempted to delete job '"+j.ID+"', but it is in a non-terminal state RUNNING.\n")
		return
	}
	s.mu.Lock()
	delete(s.jobs, j.ID)
	s.order = slices.DeleteFunc(s.order, func(id string) bool { return id == j.ID })
	s.mu.Unlock()
	answer(w, map[string]bool{"deleted": true})
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	j := s.find(w, r)
	if j == nil {
		return
	}
	j.mu.Lock()
	text, lost := string(j.log), j.lost
	j.mu.Unlock()
	if lost {
		refuse(w, http.StatusInternalServerError, "Traceback (most recent call last):\naiohttp.client_exceptions.ClientConnectorError: Cannot connect to host 192.0.2.9:52365\n")
		return
	}
	answer(w, map[string]string{"logs": text})
}

// tail sends a log as it grows and closes when its job has ended.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	j := s.find(w, r)
	if j == nil {
		return
	}
	s.mu.Lock()
	cut, limit, refused := s.cut, -1, s.noSocket
	if len(s.cuts) > 0 && !refused {
		limit, s.cuts = s.cuts[0], s.cuts[1:]
	}
	s.mu.Unlock()
	if refused {
		refuse(w, http.StatusBadRequest, "Can \"Upgrade\" only to \"WebSocket\".")
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx := conn.CloseRead(r.Context())
	for sent := 0; ; {
		j.mu.Lock()
		text, ended, changed := bytes.Clone(j.log[sent:]), terminal(j.status) || j.lost, j.changed
		if j.lost {
			text = nil
		}
		j.mu.Unlock()
		if limit >= 0 && sent+len(text) >= limit {
			conn.Write(ctx, websocket.MessageText, text[:limit-sent])
			return
		}
		if len(text) > 0 && conn.Write(ctx, websocket.MessageText, text) != nil {
			return
		}
		sent += len(text)
		if ended {
			conn.Close(websocket.StatusNormalClosure, "")
			return
		}
		select {
		case <-changed:
		case <-cut:
			return
		case <-s.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// Jobs gives what was submitted, in order.
func (s *Server) Jobs() (all []Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		all = append(all, s.jobs[id].Job)
	}
	return all
}

// Status is a job's state; empty where there is no such job.
func (s *Server) Status(id string) string {
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	if j == nil {
		return ""
	}
	return j.details()["status"].(string)
}
