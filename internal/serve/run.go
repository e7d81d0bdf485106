package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/because-lab/because"
)

// errOpen is the cause for refusing an address that others can reach.
var errOpen = errors.New("others can reach this address, and the server has no token")

// hintOpen says what to do about it.
const hintOpen = "give a token that clients must send, or listen on 127.0.0.1"

// Listen opens a TCP address, such as "127.0.0.1:8080"; without a host it is the loopback. Any address but the loopback needs a token.
func Listen(ctx context.Context, addr, token string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, because.E("listen", addr, err, "give host and port, such as 127.0.0.1:8080")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, because.E("listen", addr, err, "")
	}
	if token == "" && !loopback(l.Addr()) {
		err := because.E("listen", l.Addr().String(), errOpen, hintOpen)
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// loopback reports whether only this machine reaches an address.
func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// Run serves on a listener until the context ends, and closes the listener. Then it accepts nothing more, lets
// answers in progress finish for the grace time, ends what is left with an error to its client, and returns nil when nothing of it
// is running any more.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	if s.options.Token == "" && !loopback(l.Addr()) {
		err := because.E("serve", l.Addr().String(), errOpen, hintOpen)
		return errors.Join(err, l.Close())
	}
	// Requests outlive ctx by the grace time.
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	h := &http.Server{
		Handler: s.handler, BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		cancel(errShutdown)
		return errors.Join(fmt.Errorf("serve on %s: %w", l.Addr(), err), s.stop(h, cancel))
	case <-ctx.Done():
	}
	err := s.stop(h, cancel)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// stop shuts down: gently first, then by ending the requests, then by closing their connections.
func (s *Server) stop(h *http.Server, cancel context.CancelCauseFunc) error {
	err := shutdown(h, s.options.Grace)
	if errors.Is(err, context.DeadlineExceeded) {
		cancel(errShutdown)
		err = shutdown(h, lastWords)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Close()
	}
	s.active.Lock() // waits for handlers whose connections are closed already
	defer s.active.Unlock()
	return err
}

// Times that no honest client needs to exceed.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// lastWords is how long requests have to tell their clients that the server ends.
const lastWords = 3 * time.Second

func shutdown(h *http.Server, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return h.Shutdown(ctx)
}
