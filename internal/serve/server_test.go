package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newServer makes a server whose answers have fixed names, times and seeds.
func newServer(t *testing.T, f *fake, o Options) *Server {
	t.Helper()
	s, err := New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Unix(1750000000, 0) }
	s.random = func() uint64 { return 0xabc }
	return s
}

// ask sends one request to a handler, as a local client would.
func ask(s *Server, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8080"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

const (
	chatPath = "/v1/chat/completions"
	textPath = "/v1/completions"
)

// TestGolden compares whole answers and streams, byte for byte, with testdata/*.txt. UPDATE_GOLDEN=1 rewrites those.
func TestGolden(t *testing.T) {
	call := []string{"Let me", " look. ", "<ca", "ll>{\"name\":\"f\",", "\"arguments\":{\"a\": \"<é>\"}}</call>", "<call>{\"name\":\"g\",\"id\":\"own\",\"arguments\":{}}</call>"}
	tools := `,"tools":[{"type":"function","function":{"name":"f"}}]`
	for _, c := range []struct {
		name, path, body string
		pieces           []string
	}{
		{"chat", chatPath, `{` + hi + `}`, []string{"Hello", " <wor", "ld> \xf0\x9f", "\x98\x80", " é\xc3"}},
		{"chat_logprobs", chatPath, `{` + hi + `,"logprobs":true,"top_logprobs":2,"stop":"END"}`, []string{"a", "b E", "\xe2", "\x82\xac", "E", "N", "D", "c"}},
		{"chat_n", chatPath, `{` + hi + `,"n":2,"seed":7,"max_tokens":2}`, []string{"a", "b", "c"}},
		{"chat_tools", chatPath, `{` + hi + tools + `,"seed":1}`, call},
		{"chat_one_call", chatPath, `{` + hi + tools + `,"seed":1,"parallel_tool_calls":false}`, call},
		{"chat_no_tools", chatPath, `{` + hi + tools + `,"tool_choice":"none"}`, call},
		{"chat_reasoning", chatPath, `{` + hi + `,"chat_template_kwargs":{"think":true}}`, []string{"hm", " so</th", "ink>", "Yes", "."}},
		{"chat_stop", chatPath, `{` + hi + `,"stop":["\n\n","###"]}`, []string{"one\n", "two##", "x\n", "\nthree"}},
		{"chat_empty", chatPath, `{` + hi + `}`, nil},
		{"text", textPath, `{"prompt":["ab","é"],"stop":["z"],"max_tokens":4}`, []string{"x", "yz", "w"}},
		{"text_logprobs", textPath, `{"prompt":"é?","echo":true,"logprobs":2}`, []string{"é", "\xe2\x82", "\xac", "a"}},
		{"text_score", textPath, `{"prompt":[104,105],"echo":true,"logprobs":0,"max_tokens":0}`, []string{"x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all bytes.Buffer
			for _, extra := range []string{``, `,"stream":true,"stream_options":{"include_usage":true}`} {
				// One slot: the choices of a stream come one after the other.
				w := ask(newServer(t, newFake(c.pieces...), Options{Concurrent: 1}), "POST", c.path, strings.TrimSuffix(c.body, "}")+extra+"}")
				fmt.Fprintf(&all, "%d %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
			golden(t, c.name, all.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// TestParametersReachTheModel: what a request says is what the model is asked.
func TestParametersReachTheModel(t *testing.T) {
	f := newFake("a")
	s := newServer(t, f, Options{Concurrent: 1})
	w := ask(s, "POST", chatPath, `{"model":"org/fake","messages":[{"role":"user","content":"hi"}],"n":2,"temperature":0.5,"top_p":0.25,"top_k":3,"seed":9,"max_tokens":5,"logprobs":true,"top_logprobs":4}`)
	if w.Code != 200 {
		t.Fatal(w.Body)
	}
	want := Generation{MaxTokens: 5, Temperature: 0.5, TopP: 0.25, TopK: 3, Seed: 9, LogProbs: true, TopLogProbs: 4}
	if f.options[0] != want {
		t.Errorf("first choice: %+v, want %+v", f.options[0], want)
	}
	if f.options[1].Seed == 9 {
		t.Errorf("both choices have the seed 9")
	}
	want.Seed = f.options[1].Seed
	if f.options[1] != want {
		t.Errorf("second choice: %+v, want %+v", f.options[1], want)
	}
	ask(s, "POST", chatPath, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":100000}`)
	if got := f.options[2]; got.Seed != 0xabc || got.Temperature != 1 || got.TopP != 1 || got.MaxTokens != 4096-len("user: hi\n") {
		t.Errorf("defaults, and a limit beyond the context: %+v", got)
	}
}

// TestSeedsDoNotDependOnCompany: a prompt gets the same seeds alone, among others, and with more choices.
func TestSeedsDoNotDependOnCompany(t *testing.T) {
	f := newFake("a")
	s := newServer(t, f, Options{Concurrent: 1})
	ask(s, "POST", textPath, `{"prompt":"b","seed":3}`)
	ask(s, "POST", textPath, `{"prompt":["a","b"],"n":2,"seed":3}`)
	var seeds []uint64
	for _, o := range f.options {
		seeds = append(seeds, o.Seed)
	}
	if len(seeds) != 5 || seeds[0] != seeds[1] || seeds[1] != seeds[3] || seeds[2] != seeds[4] || seeds[1] == seeds[2] {
		t.Errorf("seeds %d", seeds)
	}
}

func TestModels(t *testing.T) {
	s := newServer(t, newFake(), Options{})
	for path, want := range map[string]string{
		"/v1/models":              `{"object":"list","data":[{"id":"org/fake","object":"model","created":1700000000,"owned_by":"because","max_model_len":4096}]}`,
		"/v1/models/org/fake":     `{"id":"org/fake","object":"model","created":1700000000,"owned_by":"because","max_model_len":4096}`,
		"/v1/models/org%2Ffake":   `{"id":"org/fake","object":"model","created":1700000000,"owned_by":"because","max_model_len":4096}`,
		"/v1/models/other":        `{"error":{"message":"there is no model \"other\" here; this server has \"org/fake\"","type":"invalid_request_error","param":"model","code":"model_not_found"}}`,
		"/health":                 `{"status":"ok"}`,
		"/v1/nothing":             `{"error":{"message":"there is nothing at /v1/nothing","type":"invalid_request_error","param":null,"code":"not_found"}}`,
		"/v1/chat/completions":    `{"error":{"message":"/v1/chat/completions allows POST, not GET","type":"invalid_request_error","param":null,"code":"method_not_allowed"}}`,
		"/v1/chat/completions/no": `{"error":{"message":"there is nothing at /v1/chat/completions/no","type":"invalid_request_error","param":null,"code":"not_found"}}`,
	} {
		if got := strings.TrimSpace(ask(s, "GET", path, "").Body.String()); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if w := ask(s, "DELETE", "/health", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("DELETE: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// failure is an error as clients see it.
type failure struct {
	Error struct {
		Message, Type, Code string
		Param               *string
	}
}

func decodeFailure(t *testing.T, body []byte) (f failure) {
	t.Helper()
	if err := json.Unmarshal(body, &f); err != nil || f.Error.Message == "" {
		t.Fatalf("not an error: %s", body)
	}
	return f
}

func TestErrors(t *testing.T) {
	broken := newFake("a")
	broken.fail = errors.New("secret path")
	refusing := newFake()
	refusing.chatErr = fmt.Errorf("template: %w", &BadRequest{Param: "messages", Code: "template_error", Err: errors.New("roles must alternate")})
	panicking := newFake()
	panicking.script = func(string, Generation) []string { panic("secret state") }
	small := newFake("a")
	small.info.ContextLength = 9
	for _, c := range []struct {
		name, path, body string
		f                *fake
		o                Options
		status           int
		code             string
	}{
		{"other model", chatPath, `{"model":"gpt-4",` + hi + `}`, newFake(), Options{}, 404, "model_not_found"},
		{"template", chatPath, `{` + hi + `}`, refusing, Options{}, 400, "template_error"},
		{"context", chatPath, `{` + hi + `}`, small, Options{}, 400, "context_length_exceeded"},
		{"context of tokens", textPath, `{"prompt":[` + strings.Repeat("1,", 20) + `1]}`, small, Options{}, 400, "context_length_exceeded"},
		{"scoring fits", textPath, `{"prompt":"123456789","echo":true,"max_tokens":0}`, small, Options{}, 200, ""},
		{"no tokens", textPath, `{"prompt":""}`, newFake(), Options{}, 400, "invalid_value"},
		{"backend", chatPath, `{` + hi + `}`, broken, Options{}, 500, "internal_error"},
		{"panic", chatPath, `{` + hi + `}`, panicking, Options{}, 500, "internal_error"},
		{"large", chatPath, `{` + hi + `}`, newFake(), Options{MaxBody: 10}, 413, "request_too_large"},
	} {
		for _, stream := range []string{"", `,"stream":true`} {
			t.Run(c.name+stream, func(t *testing.T) {
				var log bytes.Buffer
				c.o.Log = slog.New(slog.NewTextHandler(&log, nil))
				w := ask(newServer(t, c.f, c.o), "POST", c.path, strings.TrimSuffix(c.body, "}")+stream+"}")
				if stream != "" && c.name == "backend" {
					// The answer had begun: the error is an event.
					want := `data: {"error":{"message":"the model failed to answer; the server's log says why","type":"server_error","param":null,"code":"internal_error"}}` + "\n\ndata: [DONE]\n\n"
					if w.Code != 200 || !strings.HasSuffix(w.Body.String(), want) {
						t.Errorf("got %d %s", w.Code, w.Body)
					}
				} else if w.Code != c.status || c.code != "" && decodeFailure(t, w.Body.Bytes()).Error.Code != c.code {
					t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.code)
				}
				if strings.Contains(w.Body.String(), "secret") {
					t.Errorf("a cause inside the server went out: %s", w.Body)
				}
				if c.status == 500 && !strings.Contains(log.String(), "secret") {
					t.Errorf("the log lacks the cause: %s", &log)
				}
			})
		}
	}
}

// TestWrongStopReason: a model's mistake is an error, never an answer.
func TestWrongStopReason(t *testing.T) {
	f := newFake("a")
	f.reason = "because"
	if w := ask(newServer(t, f, Options{}), "POST", chatPath, `{`+hi+`}`); w.Code != 500 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name, token, host, path string
		header                  http.Header
		want                    int
	}{
		{"localhost", "", "localhost:80", "/v1/models", nil, 200},
		{"IPv4", "", "127.0.0.1:80", "/v1/models", nil, 200},
		{"IPv6", "", "[::1]:80", "/v1/models", nil, 200},
		{"IPv6 without port", "", "[::1]", "/v1/models", nil, 200},
		{"rebinding", "", "evil.example:80", "/v1/models", nil, 403},
		{"a name that looks local", "", "127.0.0.1.evil.example", "/v1/models", nil, 403},
		{"another address", "", "192.168.1.2", "/v1/models", nil, 403},
		{"no host", "", "", "/v1/models", nil, 403},
		{"no token", "s3cret", "any.example", "/v1/models", nil, 401},
		{"wrong token", "s3cret", "localhost", "/v1/models", http.Header{"Authorization": {"Bearer s3cre"}}, 401},
		{"other scheme", "s3cret", "localhost", "/v1/models", http.Header{"Authorization": {"Basic s3cret"}}, 401},
		{"bare token", "s3cret", "localhost", "/v1/models", http.Header{"Authorization": {"s3cret"}}, 401},
		{"token", "s3cret", "any.example", "/v1/models", http.Header{"Authorization": {"bearer s3cret"}}, 200},
		{"metrics", "s3cret", "localhost", "/metrics", nil, 401},
		{"unknown path", "s3cret", "localhost", "/x", nil, 401},
		{"health", "s3cret", "localhost", "/health", nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", c.path, nil)
			r.Host = c.host
			if c.header != nil {
				r.Header = c.header
			}
			w := httptest.NewRecorder()
			newServer(t, newFake(), Options{Token: c.token}).Handler().ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, c.want)
			}
			if c.want == 401 && (decodeFailure(t, w.Body.Bytes()).Error.Code != "invalid_api_key" || w.Header().Get("WWW-Authenticate") != "Bearer") {
				t.Errorf("got %s, %v", w.Body, w.Header())
			}
			if h := w.Header().Get("Access-Control-Allow-Origin"); h != "" {
				t.Errorf("other origins may read: %q", h)
			}
		})
	}
}

// TestCrossOrigin: a web page elsewhere cannot make a browser use the model.
func TestCrossOrigin(t *testing.T) {
	f := newFake("a")
	s := newServer(t, f, Options{})
	r := httptest.NewRequest("POST", chatPath, strings.NewReader(`{`+hi+`}`))
	r.Host = "localhost:8080"
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 403 || len(f.options) != 0 {
		t.Errorf("got %d, and %d generations", w.Code, len(f.options))
	}
}

// stalled sends only a part of a body, then an error.
type stalled struct{ sent atomic.Bool }

func (b *stalled) Read(p []byte) (int, error) {
	if b.sent.Swap(true) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, `{"messages":`), nil
}

func TestIncompleteBody(t *testing.T) {
	r := httptest.NewRequest("POST", chatPath, &stalled{})
	r.Host = "localhost"
	w := httptest.NewRecorder()
	newServer(t, newFake(), Options{}).Handler().ServeHTTP(w, r)
	if w.Code != 400 || decodeFailure(t, w.Body.Bytes()).Error.Code != "incomplete_body" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestMetrics reads the exposition after a few requests.
func TestMetrics(t *testing.T) {
	s := newServer(t, newFake("a", "b"), Options{Concurrent: 3, Queue: 4})
	ask(s, "POST", chatPath, `{`+hi+`,"n":2}`)
	ask(s, "POST", chatPath, `{`)
	ask(s, "GET", "/v1/nothing", ``)
	w := ask(s, "GET", "/metrics", ``)
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	lines := strings.Split(w.Body.String(), "\n")
	has := map[string]bool{}
	for _, l := range lines {
		if has[l] && l != "" {
			t.Errorf("twice: %s", l)
		}
		has[l] = true
	}
	for _, want := range []string{
		`because_requests_total{route="/v1/chat/completions",code="200"} 1`,
		`because_requests_total{route="/v1/chat/completions",code="400"} 1`,
		`because_requests_total{route="other",code="404"} 1`,
		`because_requests_in_flight 1`, // this one
		`because_places_taken 0`, `because_places_limit 7`, `because_sequences_running 0`, `because_sequences_limit 3`,
		`because_prompt_tokens_total 9`, `because_generated_tokens_total 4`,
		`# TYPE because_time_to_first_token_seconds histogram`, `because_time_to_first_token_seconds_count 1`,
		`because_time_to_first_token_seconds_bucket{le="0.005"} 1`, `because_time_to_first_token_seconds_bucket{le="+Inf"} 1`,
		`because_request_duration_seconds_count{route="/v1/chat/completions"} 2`,
		`because_request_duration_seconds_bucket{route="/v1/chat/completions",le="+Inf"} 2`,
	} {
		if !has[want] {
			t.Errorf("no line %q in\n%s", want, w.Body)
		}
	}
}

func TestHistogram(t *testing.T) {
	h := newHistogram()
	for _, x := range []float64{0.005, 0.006, 1, 1000} {
		h.observe(x)
	}
	var b bytes.Buffer
	h.write(&b, "x", "")
	for _, want := range []string{"x_bucket{le=\"0.005\"} 1\n", "x_bucket{le=\"0.01\"} 2\n", "x_bucket{le=\"1\"} 3\n", "x_bucket{le=\"300\"} 3\n", "x_bucket{le=\"+Inf\"} 4\n", "x_sum 1001.011\n", "x_count 4\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(&fake{}, Options{}); err == nil {
		t.Error("a model without name and context: no error")
	}
	if _, err := New(newFake(), Options{Concurrent: -1}); err == nil {
		t.Error("a negative limit: no error")
	}
}

// TestCallIDs: the same conversation, seed and place give the same names, others give others.
func TestCallIDs(t *testing.T) {
	id := func(prompt int32, seed uint64, i int) string {
		return (&choice{prompt: []int32{prompt}, options: Generation{Seed: seed}}).callID(i)
	}
	seen := map[string]bool{}
	for p := range int32(20) {
		for s := range uint64(20) {
			for i := range 20 {
				name := id(p, s, i)
				if len(name) != 9 || seen[name] || name != id(p, s, i) {
					t.Fatalf("call %q of (%d, %d, %d)", name, p, s, i)
				}
				seen[name] = true
			}
		}
	}
}
