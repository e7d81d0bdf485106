package serve

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
)

// route is an endpoint.
type route struct {
	path    string
	method  string
	open    bool // needs no token
	limited bool // takes a place, of which there are so many
	serve   func(http.ResponseWriter, *http.Request) error
}

func (s *Server) endpoints() []route {
	return []route{
		{path: "/v1/models", method: http.MethodGet, serve: s.models},
		{path: "/v1/models/{id...}", method: http.MethodGet, serve: s.model},
		{path: "/v1/chat/completions", method: http.MethodPost, limited: true, serve: s.chat},
		{path: "/v1/completions", method: http.MethodPost, limited: true, serve: s.completions},
		{path: "/health", method: http.MethodGet, open: true, serve: s.health},
		{path: "/metrics", method: http.MethodGet, serve: s.writeMetrics},
	}
}

// routes builds the server's handler.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.endpoints() {
		mux.Handle(e.path, s.endpoint(e))
	}
	mux.Handle("/", s.endpoint(route{path: "other", serve: func(_ http.ResponseWriter, r *http.Request) error {
		return &apiError{Status: http.StatusNotFound, Message: fmt.Sprintf("there is nothing at %s", r.URL.Path), Type: typeInvalid, Code: "not_found"}
	}}))
	return mux
}

// endpoint wraps a route in what all have in common.
func (s *Server) endpoint(e route) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.active.RLock()
		defer s.active.RUnlock()
		began := s.now()
		w := &recorder{ResponseWriter: rw}
		id := s.newID("req")
		w.Header().Set("X-Request-Id", id)
		r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
		s.metrics.inFlight.Add(1)
		defer func() {
			s.metrics.inFlight.Add(-1)
			took := s.now().Sub(began)
			s.metrics.request(e.path, w.status, took.Seconds())
			s.log.Debug("request", "request", id, "method", r.Method, "route", e.path, "status", w.status, "duration", took)
		}()
		if err := s.enter(w, r, e); err != nil {
			s.fail(w, r, err)
		}
	})
}

// enter checks who asks, takes a place if the route needs one, and serves.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, e route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := s.guard(r, e.open); err != nil {
		if s.options.Token != "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		return err
	}
	allowed := []string{e.method}
	if e.method == http.MethodGet {
		allowed = append(allowed, http.MethodHead)
	}
	if e.method != "" && !slices.Contains(allowed, r.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &apiError{
			Status: http.StatusMethodNotAllowed, Type: typeInvalid, Code: "method_not_allowed",
			Message: fmt.Sprintf("%s allows %s, not %s", e.path, e.method, r.Method),
		}
	}
	if e.limited {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			return &apiError{
				Status: http.StatusTooManyRequests, Type: typeBusy, Code: "queue_full",
				Message: fmt.Sprintf("%d requests are being worked on or wait already", cap(s.places)),
			}
		}
	}
	return e.serve(w, r)
}

// idKey is the context's key of a request's name.
type idKey struct{}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// noteStatus sets what is recorded of an answer whose status on the wire says less: a stream that broke, a client that left.
func noteStatus(w http.ResponseWriter, status int) {
	if rec, ok := w.(*recorder); ok {
		rec.status = status
	}
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	s.writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// modelObject describes a model in the API's form; max_model_len is vLLM's addition.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Context int    `json:"max_model_len"`
}

func (s *Server) modelObject() modelObject {
	return modelObject{s.info.ID, "model", s.info.Created, s.info.OwnedBy, s.info.ContextLength}
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) error {
	s.writeJSON(w, http.StatusOK, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{s.modelObject()}})
	return nil
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	if err := s.checkModel(r.PathValue("id")); err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, s.modelObject())
	return nil
}

// checkModel reports a request for another model. One that names none gets the only one there is.
func (s *Server) checkModel(name string) error {
	if name == "" || name == s.info.ID {
		return nil
	}
	return &apiError{
		Status: http.StatusNotFound, Type: typeInvalid, Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("there is no model %q here; this server has %q", name, s.info.ID),
	}
}
