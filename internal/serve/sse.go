package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
)

// lineBuffer collects JSON that must stay on one line.
type lineBuffer struct{ bytes.Buffer }

// line gives the JSON without a line break at its end.
func (b *lineBuffer) line() []byte {
	return bytes.ReplaceAll(bytes.TrimSuffix(b.Bytes(), []byte("\n")), []byte("\u0085"), []byte(`\u0085`))
}

// stream writes server-sent events. Its status goes out with the first event, so that an error before it
// has a status of its own. Several goroutines may send.
type stream struct {
	s  *Server
	w  http.ResponseWriter
	c  *http.ResponseController
	mu sync.Mutex

	started bool
	err     error // the first failure; nothing is written after it
}

func (s *Server) newStream(w http.ResponseWriter) *stream {
	return &stream{s: s, w: w, c: http.NewResponseController(w)}
}

// send writes one event.
func (t *stream) send(v any) error {
	data, err := marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return t.write(data)
}

// done writes the event that ends a stream.
func (t *stream) done() error { return t.write([]byte("[DONE]")) }

func (t *stream) write(data []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.writeLocked(data)
	}
	return t.err
}

func (t *stream) writeLocked(data []byte) error {
	if !t.started {
		t.started = true
		h := t.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache, no-store")
		h.Set("X-Accel-Buffering", "no") // proxies hold events back otherwise
		h.Set("X-Content-Type-Options", "nosniff")
		t.w.WriteHeader(http.StatusOK)
	}
	if err := supported(t.c.SetWriteDeadline(t.s.now().Add(t.s.writeTimeout))); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	event := make([]byte, 0, len(data)+8)
	event = append(append(append(event, "data: "...), data...), "\n\n"...)
	if _, err := t.w.Write(event); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := t.c.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

// fail ends the stream with an error: as a status if nothing has been sent, else as an event that clients raise.
func (t *stream) fail(r *http.Request, err error) {
	t.mu.Lock()
	started, broken := t.started, t.err != nil
	t.mu.Unlock()
	if !started {
		t.s.fail(t.w, r, err)
		return
	}
	if broken { // the client no longer reads
		noteStatus(t.w, statusGone)
		return
	}
	api := t.s.logged(r.Context(), err)
	noteStatus(t.w, api.Status)
	if api.Status == statusGone {
		return
	}
	if t.send(errorBody{api}) == nil {
		// Its own failure has nobody left to be told to.
		_ = t.done()
	}
}
