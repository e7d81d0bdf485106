package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// running is a server on a real connection.
type running struct {
	url    string
	stop   context.CancelFunc // asks Run to end
	ended  chan error
	client *http.Client
}

// start runs a server, and checks at the test's end that nothing of it is left.
func start(t *testing.T, s *Server) *running {
	t.Helper()
	before := runtime.NumGoroutine()
	l, err := Listen(t.Context(), "127.0.0.1:0", s.options.Token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{url: "http://" + l.Addr().String(), stop: cancel, ended: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	go func() { r.ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("Run does not end")
		}
		r.client.CloseIdleConnections()
		eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
	})
	return r
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func (r *running) post(ctx context.Context, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return r.client.Do(req)
}

// read sends a chat and gives status and body.
func (r *running) read(t *testing.T, body string) (int, string) {
	t.Helper()
	res, err := r.post(t.Context(), chatPath, body)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read answer: %v", err)
	}
	return res.StatusCode, string(b)
}

func served(t *testing.T, f *fake, o Options) *Server {
	t.Helper()
	s, err := New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStreamArrivesPieceByPiece: an event is at the client before the next token exists.
func TestStreamArrivesPieceByPiece(t *testing.T) {
	f := newFake("a", "b")
	f.hold = make(chan struct{})
	r := start(t, served(t, f, Options{}))
	go func() { f.hold <- struct{}{} }()
	res, err := r.post(t.Context(), chatPath, `{`+hi+`,"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{`"role":"assistant"`, ``, `"content":"a"`} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("got %q, want %s", lines.Text(), want)
		}
	}
	f.hold <- struct{}{}
	rest := ""
	for lines.Scan() {
		rest += lines.Text()
	}
	if !strings.Contains(rest, `"content":"b"`) || !strings.HasSuffix(rest, "data: [DONE]") {
		t.Errorf("the rest is %s", rest)
	}
}

// TestClientThatLeavesFreesItsSlot: streamed and whole answers, generated ones and those that wait.
func TestClientThatLeavesFreesItsSlot(t *testing.T) {
	for _, stream := range []string{"", `,"stream":true`} {
		t.Run(stream, func(t *testing.T) {
			f := newFake("a")
			f.hold = make(chan struct{})
			s := served(t, f, Options{Concurrent: 1, Queue: 1})
			r := start(t, s)
			ctx, leave := context.WithCancel(t.Context())
			var clients sync.WaitGroup
			for range 2 {
				clients.Go(func() {
					res, err := r.post(ctx, chatPath, `{`+hi+stream+`}`)
					if err == nil {
						res.Body.Close()
						t.Errorf("an answer: %d", res.StatusCode)
					}
				})
			}
			eventually(t, "the requests do not begin", func() bool { return len(s.places) == 2 && len(s.slots) == 1 })
			leave()
			clients.Wait()
			eventually(t, "the slot is not freed", func() bool { return len(s.places) == 0 && len(s.slots) == 0 })
			if f.canceled.Load() == 0 { // the waiting one may have got the slot before it was seen to leave
				t.Error("no generation was canceled")
			}
			close(f.hold)
			if status, body := r.read(t, `{`+hi+`}`); status != 200 {
				t.Errorf("afterwards: %d %s", status, body)
			}
			eventually(t, "not counted", func() bool {
				return strings.Contains(string(s.exposition()), `because_requests_total{route="/v1/chat/completions",code="499"} 2`)
			})
		})
	}
}

// TestClientThatDoesNotRead loses its answer, and its slot is free again.
func TestClientThatDoesNotRead(t *testing.T) {
	f := newFake()
	f.script = func(string, Generation) []string {
		return slices.Repeat([]string{strings.Repeat("x", 1<<16)}, 1000) // more than the buffers of both ends hold
	}
	s := served(t, f, Options{})
	s.writeTimeout = 50 * time.Millisecond
	r := start(t, s)
	res, err := r.post(t.Context(), chatPath, `{`+hi+`,"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	eventually(t, "the slot is not freed", func() bool { return len(s.places) == 0 && len(s.slots) == 0 })
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the whole answer arrived: %d bytes", len(b))
	}
}

// TestClientThatSendsNoBody does not keep its place.
func TestClientThatSendsNoBody(t *testing.T) {
	s := served(t, newFake("a"), Options{})
	s.bodyTimeout = 50 * time.Millisecond
	r := start(t, s)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", chatPath); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(answer, " 400 ") {
		t.Errorf("got %q, %v", answer, err)
	}
	eventually(t, "the place is not freed", func() bool { return len(s.places) == 0 })
}

// TestFullQueue: one more than there are places gets 429, and when to come back.
func TestFullQueue(t *testing.T) {
	f := newFake("a")
	f.hold = make(chan struct{})
	s := served(t, f, Options{Concurrent: 2, Queue: 3})
	r := start(t, s)
	var clients sync.WaitGroup
	for range 5 {
		clients.Go(func() {
			if status, body := r.read(t, `{`+hi+`}`); status != 200 {
				t.Errorf("an admitted request got %d %s", status, body)
			}
		})
	}
	eventually(t, "the requests are not admitted", func() bool { return len(s.places) == 5 && len(s.slots) == 2 })
	res, err := r.post(t.Context(), chatPath, `{`+hi+`}`)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "1" || decodeFailure(t, body).Error.Code != "queue_full" {
		t.Errorf("got %d, Retry-After %q, %s", res.StatusCode, res.Header.Get("Retry-After"), body)
	}
	close(f.hold)
	clients.Wait()
	if f.most.Load() != 2 {
		t.Errorf("%d sequences at once, want 2", f.most.Load())
	}
}

// TestChoicesShareSlots: a request of many choices keeps to the limit too, and gets all of them.
func TestChoicesShareSlots(t *testing.T) {
	f := newFake("a", "b")
	s := served(t, f, Options{Concurrent: 3})
	r := start(t, s)
	var clients sync.WaitGroup
	for i := range 6 {
		clients.Go(func() {
			status, body := r.read(t, fmt.Sprintf(`{%s,"n":8,"stream":%v}`, hi, i%2 == 0))
			if status != 200 || strings.Count(body, `"finish_reason":"stop"`) != 8 {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	clients.Wait()
	if f.most.Load() > 3 {
		t.Errorf("%d sequences at once, want 3 at most", f.most.Load())
	}
}

// TestFailureEndsOtherChoices: when one choice fails, the others do not go on.
func TestFailureEndsOtherChoices(t *testing.T) {
	f := newFake()
	f.hold = make(chan struct{})
	f.fail = errors.New("broken")
	f.script = func(_ string, o Generation) []string {
		if o.Seed == 5 {
			return nil // the first choice fails at once, the others hold
		}
		return []string{"a"}
	}
	s := served(t, f, Options{Concurrent: 4})
	if w := ask(s, "POST", chatPath, `{`+hi+`,"n":4,"seed":5}`); w.Code != 500 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if len(s.slots) != 0 {
		t.Errorf("%d slots taken", len(s.slots))
	}
}

// TestShutdownFinishes: an answer in progress ends as it should; nothing new is accepted.
func TestShutdownFinishes(t *testing.T) {
	f := newFake("a", "b")
	f.hold = make(chan struct{})
	s := served(t, f, Options{Grace: patience})
	r := start(t, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if status, body := r.read(t, `{`+hi+`,"stream":true}`); status != 200 || !strings.HasSuffix(body, "data: [DONE]\n\n") || strings.Contains(body, "error") {
			t.Errorf("got %d %s", status, body)
		}
	}()
	f.hold <- struct{}{}
	r.stop()
	eventually(t, "new connections are accepted", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	f.hold <- struct{}{}
	<-done
}

// TestShutdownCancels: after the grace time streams end with an error event, whole answers with status 503.
func TestShutdownCancels(t *testing.T) {
	f := newFake("a", "b")
	f.hold = make(chan struct{})
	s := served(t, f, Options{Grace: time.Millisecond})
	r := start(t, s)
	var clients sync.WaitGroup
	clients.Go(func() {
		status, body := r.read(t, `{`+hi+`,"stream":true}`)
		if status != 200 || !strings.Contains(body, `"content":"a"`) || !strings.Contains(body, `data: {"error":{"message":"the server is shutting down"`) || !strings.HasSuffix(body, "data: [DONE]\n\n") {
			t.Errorf("stream: %d %s", status, body)
		}
	})
	f.hold <- struct{}{}
	clients.Go(func() {
		if status, body := r.read(t, `{`+hi+`}`); status != 503 || decodeFailure(t, []byte(body)).Error.Code != "shutting_down" {
			t.Errorf("whole: %d %s", status, body)
		}
	})
	eventually(t, "the requests do not begin", func() bool { return len(s.slots) == 2 })
	r.stop()
	clients.Wait()
	if f.canceled.Load() != 2 {
		t.Errorf("%d generations canceled, want 2", f.canceled.Load())
	}
}

func TestListen(t *testing.T) {
	ctx := t.Context()
	if l, err := Listen(ctx, "0.0.0.0:0", ""); err == nil || !strings.Contains(because.Hint(err), "token") {
		t.Errorf("all addresses without a token: %v, %v", l, err)
	}
	for addr, token := range map[string]string{":0": "", "localhost:0": "", "0.0.0.0:0": "t"} {
		l, err := Listen(ctx, addr, token)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if token == "" && !loopback(l.Addr()) {
			t.Errorf("%s listens on %s", addr, l.Addr())
		}
		l.Close()
	}
	if _, err := Listen(ctx, "8080", ""); because.Hint(err) == "" {
		t.Errorf("no port: %v", err)
	}
}

// TestRunRefusesOpenListener: Run itself does not serve others without a token either.
func TestRunRefusesOpenListener(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := served(t, newFake(), Options{}).Run(t.Context(), l); !errors.Is(err, errOpen) {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
}

// TestBrokenListener: Run reports what ends it.
func TestBrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := served(t, newFake(), Options{}).Run(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
