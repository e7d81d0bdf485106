package serve

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// metrics count what the server does.
type metrics struct {
	inFlight   atomic.Int64
	prompt     atomic.Int64 // tokens
	generated  atomic.Int64 // tokens
	firstToken *histogram

	mu        sync.Mutex
	requests  map[outcome]int64
	durations map[string]*histogram // by route
}

// outcome is how requests are counted.
type outcome struct {
	route  string
	status int
}

// seconds are the upper bounds of the histograms' buckets.
var seconds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}

func newMetrics() *metrics {
	return &metrics{firstToken: newHistogram(), requests: map[outcome]int64{}, durations: map[string]*histogram{}}
}

// request counts a request that has ended.
func (m *metrics) request(route string, status int, took float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[outcome{route, status}]++
	if m.durations[route] == nil {
		m.durations[route] = newHistogram()
	}
	m.durations[route].observe(took)
}

// histogram counts observations below each bound.
type histogram struct {
	mu     sync.Mutex
	counts []int64 // one more than bounds: the last is above all
	sum    float64
	n      int64
}

func newHistogram() *histogram { return &histogram{counts: make([]int64, len(seconds)+1)} }

func (h *histogram) observe(x float64) {
	i, _ := slices.BinarySearch(seconds, x)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[i]++
	h.sum += x
	h.n++
}

// mean gives the average observation and whether there is any.
func (h *histogram) mean() (float64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum / float64(h.n), h.n > 0
}

// write appends the histogram in Prometheus' text format; labels may be empty.
func (h *histogram) write(b *bytes.Buffer, name, labels string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inner, outer := "", ""
	if labels != "" {
		inner, outer = labels+",", "{"+labels+"}"
	}
	below := int64(0)
	for i, count := range h.counts {
		below += count
		bound := "+Inf"
		if i < len(seconds) {
			bound = strconv.FormatFloat(seconds[i], 'g', -1, 64)
		}
		fmt.Fprintf(b, "%s_bucket{%sle=\"%s\"} %d\n", name, inner, bound, below)
	}
	fmt.Fprintf(b, "%s_sum%s %s\n", name, outer, strconv.FormatFloat(h.sum, 'g', -1, 64))
	fmt.Fprintf(b, "%s_count%s %d\n", name, outer, h.n)
}

// retryAfter guesses in whole seconds when a place will be free: the mean duration of a chat, shared among those who generate.
func (s *Server) retryAfter() int {
	s.metrics.mu.Lock()
	h := s.metrics.durations["/v1/chat/completions"]
	s.metrics.mu.Unlock()
	if h == nil {
		return 1
	}
	mean, _ := h.mean()
	return int(math.Min(math.Max(math.Ceil(mean/float64(cap(s.slots))), 1), 30))
}

// writeMetrics answers in Prometheus' text format, version 0.0.4.
func (s *Server) writeMetrics(w http.ResponseWriter, _ *http.Request) error {
	s.writeBytes(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", s.exposition())
	return nil
}

func (s *Server) exposition() []byte {
	var b bytes.Buffer
	m := s.metrics
	head := func(name, kind, help string) string {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		return name
	}
	value := func(name, kind, help string, v int64) {
		fmt.Fprintf(&b, "%s %d\n", head(name, kind, help), v)
	}
	value("because_requests_in_flight", "gauge", "Requests being answered, waiting ones included.", m.inFlight.Load())
	value("because_places_taken", "gauge", "Requests for answers that run or wait; more than the limit get status 429.", int64(len(s.places)))
	value("because_places_limit", "gauge", "How many such requests there may be.", int64(cap(s.places)))
	value("because_sequences_running", "gauge", "Sequences being generated.", int64(len(s.slots)))
	value("because_sequences_limit", "gauge", "How many sequences may be generated at once.", int64(cap(s.slots)))
	value("because_prompt_tokens_total", "counter", "Tokens of prompts.", m.prompt.Load())
	value("because_generated_tokens_total", "counter", "Tokens of answers.", m.generated.Load())
	m.firstToken.write(&b, head("because_time_to_first_token_seconds", "histogram", "From a request to the first token of its answer."), "")

	m.mu.Lock()
	defer m.mu.Unlock()
	name := head("because_requests_total", "counter", "Requests by route and status.")
	outcomes := slices.SortedFunc(maps.Keys(m.requests), func(a, b outcome) int {
		if a.route != b.route {
			return slices.Compare([]string{a.route}, []string{b.route})
		}
		return a.status - b.status
	})
	for _, o := range outcomes {
		fmt.Fprintf(&b, "%s{route=%q,code=\"%d\"} %d\n", name, o.route, o.status, m.requests[o])
	}
	name = head("because_request_duration_seconds", "histogram", "From a request to the end of its answer.")
	for _, route := range slices.Sorted(maps.Keys(m.durations)) {
		m.durations[route].write(&b, name, fmt.Sprintf("route=%q", route))
	}
	return b.Bytes()
}
