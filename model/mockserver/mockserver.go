// Package mockserver is a model behind OpenAI's API that costs next to nothing: for benchmarks of what asks, and for rehearsing
// faults. Which requests fail, and how, depends on the seed, the request and how often it has come, so that two runs meet the same
// faults, and a request that is sent again may succeed.
package mockserver

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server answers every chat completion with the same text. The zero value answers at once and never fails.
type Server struct {
	Latency time.Duration // that an answer takes
	Text    string        // of answers; "" means "The answer is 4."
	Seed    string        // decides which requests fail

	// Shares of requests that fail: with status 429 and Retry-After: 1; with status 500; without an answer; with one that is cut off; with
	// one that is no JSON.
	Limited, Broken, Hanging, Cut, Garbage float64

	mu    sync.Mutex
	stats Stats
	seen  map[[sha256.Size]byte]int
}

// Stats counts requests by what became of them.
type Stats struct {
	Total, Answered, Limited, Broken, Hung, Cut, Garbage int
	InFlight, Peak, Distinct                             int
}

// Handler gives the server's routes: those of the API, GET /stats for counts, POST /reset to start anew.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"object":"list","data":[{"id":"mock","object":"model"}]}`)
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { s.Reset() })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(s.Stats()) })
	return mux
}

// Reset forgets what was asked.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats, s.seen = Stats{}, nil
}

// Stats tells what was asked so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Distinct = len(s.seen)
	return out
}

// arrive counts a request and draws its fate, a number from 0 to 1.
func (s *Server) arrive(body []byte) float64 {
	key := sha256.Sum256(append([]byte(s.Seed+"\x00"), body...))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Total++
	s.stats.InFlight++
	s.stats.Peak = max(s.stats.Peak, s.stats.InFlight)
	if s.seen == nil {
		s.seen = map[[sha256.Size]byte]int{}
	}
	attempt := s.seen[key]
	s.seen[key] = attempt + 1
	draw := sha256.Sum256(binary.LittleEndian.AppendUint32(key[:], uint32(attempt)))
	return float64(binary.LittleEndian.Uint64(draw[:])>>11) / (1 << 53)
}

// leave counts what became of a request.
func (s *Server) leave(count func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.InFlight--
	count(&s.stats)
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fate := s.arrive(body)
	below := func(share float64) bool { fate -= share; return fate < 0 }
	switch {
	case below(s.Limited):
		s.leave(func(c *Stats) { c.Limited++ })
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "rate_limit_exceeded")
		return
	case below(s.Broken):
		s.leave(func(c *Stats) { c.Broken++ })
		fail(w, http.StatusInternalServerError, "server_error")
		return
	case below(s.Hanging):
		<-r.Context().Done()
		s.leave(func(c *Stats) { c.Hung++ })
		return
	}
	select {
	case <-time.After(s.Latency):
	case <-r.Context().Done():
		s.leave(func(c *Stats) { c.Hung++ })
		return
	}
	answer := s.answer(body)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case below(s.Cut):
		s.leave(func(c *Stats) { c.Cut++ })
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		w.Write(answer[:len(answer)/2])
		panic(http.ErrAbortHandler)
	case below(s.Garbage):
		s.leave(func(c *Stats) { c.Garbage++ })
		io.WriteString(w, strings.ReplaceAll(string(answer), `"`, "'"))
		return
	}
	s.leave(func(c *Stats) { c.Answered++ })
	w.Write(answer)
}

func fail(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":"rehearsed","type":%q,"code":%q}}`, kind, kind)
}

func (s *Server) answer(body []byte) []byte {
	said := s.Text
	if said == "" {
		said = "The answer is 4."
	}
	text, err := json.Marshal(said)
	if err != nil {
		panic("mockserver: a text has no JSON: " + err.Error())
	}
	in, out := len(body)/4, len(said)/4+1
	return fmt.Appendf(nil, `{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,"message":{"role":"assistant",`+
		`"content":%s},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`, text, in, out, in+out)
}
