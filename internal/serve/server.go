// Package serve offers a model over HTTP in the form of OpenAI's API, so that its clients work with a local checkpoint.
//
// It knows the model as a Backend only. Requests are read strictly: a parameter that is unknown, or not supported and would
// change the answer, is an error that names the parameter, never ignored.
package serve

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// Options say how a Server serves. The zero value of each field is its default.
type Options struct {
	// Token is what clients must send as "Authorization: Bearer TOKEN". Empty: anybody who reaches the server by a name of this
	// machine's loopback may use it.
	Token string
	// Concurrent is how many sequences are generated at once; 32 by default. A request takes one place per choice
	// and prompt, each as it becomes free.
	Concurrent int
	// Queue is how many requests may be there beyond Concurrent; 256 by default, a negative number is none. Others get status 429.
	Queue int
	// MaxBody bounds the bytes of a request; 8 MiB by default.
	MaxBody int64
	// Grace is how long Run waits for answers in progress once it is told to stop; 10 s by default.
	Grace time.Duration
	// Log gets failures that clients are told nothing of, and one record a request at level debug. Nil: nothing is logged.
	Log *slog.Logger
}

// Server answers requests with one model.
type Server struct {
	backend Backend
	options Options
	log     *slog.Logger
	info    Info
	handler http.Handler
	places  chan struct{} // one for each request that is being worked on or waits
	slots   chan struct{} // one for each sequence that is being generated
	metrics *metrics
	// active is read-locked by every request, so that who locks it knows that none is left.
	active sync.RWMutex

	// Tests replace these.
	now          func() time.Time
	random       func() uint64
	bodyTimeout  time.Duration // for a request's body to arrive
	writeTimeout time.Duration // for one write, so that a client that stops reading loses its answer, and an answer may last
}

// New makes a server of a model.
func New(b Backend, o Options) (*Server, error) {
	if o.Concurrent < 0 || o.MaxBody < 0 || o.Grace < 0 {
		return nil, errors.New("serve: options: a limit is negative")
	}
	o.Concurrent = orDefault(o.Concurrent, 32)
	o.Queue = max(orDefault(o.Queue, 256), 0)
	o.MaxBody = orDefault(o.MaxBody, 8<<20)
	o.Grace = orDefault(o.Grace, 10*time.Second)
	s := &Server{
		backend: b, options: o, log: o.Log, info: b.Info(),
		places: make(chan struct{}, o.Concurrent+o.Queue),
		slots:  make(chan struct{}, o.Concurrent),
		now:    time.Now, random: randomSeed, bodyTimeout: time.Minute, writeTimeout: 30 * time.Second,
	}
	if s.info.ID == "" || s.info.ContextLength < 1 {
		return nil, fmt.Errorf("serve: model %q with a context of %d tokens: a model needs a name and a context", s.info.ID, s.info.ContextLength)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.metrics = newMetrics()
	s.handler = s.routes()
	return s, nil
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// randomSeed gives a seed for a request without one.
func randomSeed() uint64 {
	var b [8]byte
	// It never fails: crypto/rand ends the program rather than give less.
	_, _ = rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// Handler gives the server's endpoints.
func (s *Server) Handler() http.Handler { return s.handler }

// newID names an answer.
func (s *Server) newID(prefix string) string {
	return fmt.Sprintf("%s-%016x", prefix, s.random())
}

// readBody reads a request's body within the limits of size and time.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	c := http.NewResponseController(w)
	until := s.now().Add(s.bodyTimeout)
	// Reading may write "100 Continue", for which the deadline of the connection's last answer must not count.
	if err := errors.Join(supported(c.SetReadDeadline(until)), supported(c.SetWriteDeadline(until))); err != nil {
		return nil, fmt.Errorf("set deadlines: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.options.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &apiError{
			Status: http.StatusRequestEntityTooLarge, Type: typeInvalid, Code: "request_too_large",
			Message: fmt.Sprintf("the request has more than %d bytes", tooLarge.Limit),
		}
	case err != nil:
		return nil, invalid("", "incomplete_body", "the request body could not be read to its end")
	}
	// From here on the connection is only watched for the client's leaving.
	if err := supported(c.SetReadDeadline(time.Time{})); err != nil {
		return nil, fmt.Errorf("clear read deadline: %w", err)
	}
	return body, nil
}

// supported drops the error of a ResponseWriter that has no deadlines, such as a recorder's.
func supported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// writeJSON answers with a value. A client that no longer reads has nobody to report to.
func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := marshal(v)
	if err != nil {
		s.log.Error("encode answer", "error", err)
		status, data = http.StatusInternalServerError, []byte(`{"error":{"message":"the answer could not be encoded","type":"server_error","param":null,"code":null}}`)
	}
	s.writeBytes(w, status, "application/json", append(data, '\n'))
}

// writeBytes answers with a whole body.
func (s *Server) writeBytes(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	err := supported(http.NewResponseController(w).SetWriteDeadline(s.now().Add(s.writeTimeout)))
	if err == nil {
		w.WriteHeader(status)
		_, err = w.Write(body)
	}
	if err != nil {
		s.log.Debug("write answer", "error", err)
	}
}

// marshal is JSON as text: no escapes for HTML, but one for NEL, at which some clients split lines.
func marshal(v any) ([]byte, error) {
	var b lineBuffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.line(), nil
}

// acquire waits for a slot to generate in.
func (s *Server) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) release() { <-s.slots }

// each runs do for 0 to n-1, each with a slot of its own, and waits for all. The first error cancels the others.
func (s *Server) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var once sync.Once
	var first error
	fail := func(err error) {
		once.Do(func() { first = err })
		cancel(err)
	}
	for i := range n {
		if err := s.acquire(ctx); err != nil {
			fail(err)
			break
		}
		running.Go(func() {
			defer s.release()
			defer func() { // one request must not end the others
				if p := recover(); p != nil {
					fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				}
			}()
			if err := do(ctx, i); err != nil {
				fail(err)
			}
		})
	}
	running.Wait()
	return first
}
