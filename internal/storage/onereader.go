package storage

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// oneReader is a transport that leaves a request's body alone once the answer is there. The standard one may go on reading it, for
// instance where a server refuses early, while minio-go rewinds the same reader to repeat the request: both attempts would then
// share its bytes.
type oneReader struct{ http.RoundTripper }

func (o oneReader) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return o.RoundTripper.RoundTrip(req)
	}
	guarded := &guardedBody{body: req.Body}
	defer guarded.Close()
	copied := *req
	copied.Body, copied.GetBody = guarded, nil
	return o.RoundTripper.RoundTrip(&copied)
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (o oneReader) CloseIdleConnections() {
	if c, ok := o.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// guardedBody can be closed while another goroutine reads: the reader underneath is then not touched any more.
type guardedBody struct {
	mu     sync.Mutex
	body   io.ReadCloser
	closed bool
}

var errAnswered = errors.New("the request has been answered")

func (g *guardedBody) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, errAnswered
	}
	return g.body.Read(p)
}

func (g *guardedBody) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	return g.body.Close()
}
