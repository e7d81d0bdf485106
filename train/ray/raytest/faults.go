package raytest

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// fault is what befalls the next requests of a kind.
type fault struct {
	match  string
	left   int
	status int // 0: the connection is cut
	text   string
	html   bool
	after  bool // once the request is done
}

// fault takes the first that a request falls under. The lock is held.
func (s *Server) fault(key string) *fault {
	for _, f := range s.faults {
		if f.left > 0 && strings.Contains(key, f.match) {
			f.left--
			return f
		}
	}
	return nil
}

func (s *Server) add(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Fail makes the next n requests fail whose method and path, such as "GET /api/version", contain a text: with a status and, as Ray does, a traceback.
func (s *Server) Fail(match string, n, status int) {
	s.add(fault{match: match, left: n, status: status,
		text: fmt.Sprintf("Traceback (most recent call last):\n  File \"head.py\", line 1, in f\n    g()\nRuntimeError: fault %d on order.\n", status)})
}

// Say makes the next n requests fail with a text.
func (s *Server) Say(match string, n, status int, text string) {
	s.add(fault{match: match, left: n, status: status, text: text})
}

// Page makes the next n requests answer with a web page, as a proxy does.
func (s *Server) Page(match string, n, status int) {
	s.add(fault{match: match, left: n, status: status, html: true})
}

// Cut cuts the connections of the next n requests before anything is done.
func (s *Server) Cut(match string, n int) { s.add(fault{match: match, left: n}) }

// Lose does what the next n requests want and cuts their connections before the answer.
func (s *Server) Lose(match string, n int) { s.add(fault{match: match, left: n, after: true}) }

// Slow makes every request wait.
func (s *Server) Slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = d
}

// CutStreams cuts the connections of all that follow a log.
func (s *Server) CutStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// CutAfter cuts each of the next streams after so many bytes of its log.
func (s *Server) CutAfter(bytes ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts = append(s.cuts, bytes...)
}

// Restart takes the head away for a time and brings it back with all it knew; jobs go on meanwhile.
func (s *Server) Restart(down time.Duration) {
	s.mu.Lock()
	s.down = time.Now().Add(down)
	s.mu.Unlock()
	s.CutStreams()
}

// Forget makes the cluster forget all jobs and packages, as a head does that kept nothing.
func (s *Server) Forget() {
	s.mu.Lock()
	jobs := s.jobs
	s.jobs, s.order, s.packages = map[string]*job{}, nil, map[string][]byte{}
	s.mu.Unlock()
	for _, j := range jobs {
		j.end()
	}
	s.CutStreams()
}

// LoseLog makes a job's log unreadable, as when its node is gone.
func (s *Server) LoseLog(id string) {
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	if j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.lost = true
	}
}

// NoWebSocket refuses streams, as some proxies do.
func (s *Server) NoWebSocket() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noSocket = true
}

// NoStateAPI takes the state API away, as on clusters of old.
func (s *Server) NoStateAPI() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noState = true
}

// SetNodes changes the cluster's machines.
func (s *Server) SetNodes(nodes ...Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = nodes
}

// SetVersion changes the version of Ray that the cluster claims.
func (s *Server) SetVersion(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = v
}

// SetToken makes the cluster want a token.
func (s *Server) SetToken(t string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = t
}

// Requests counts those so far by method and path.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}
