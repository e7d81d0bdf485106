package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

const testKey = "sk-proj-a1b2c3d4e5f6g7h8"

// hello is the least request.
func hello() because.Request {
	return because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "hello"}}, Temperature: because.OwnTemperature}
}

func open1(t *testing.T, url string) *Model {
	t.Helper()
	m, err := New(Options{Name: "served/m", Model: "m", BaseURL: url, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestErrors checks servers' own words, by kind, wait and hint.
func TestErrors(t *testing.T) {
	openaiError := func(message, kind, code string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"param":null,"code":%q}}`, message, kind, code)
	}
	tests := []struct {
		name   string
		status int
		header string // "Name: value" lines
		body   string
		kind   model.Kind
		wait   time.Duration
		hint   string // a part of it
	}{
		{"openai context", 400, "", openaiError("This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.", "invalid_request_error", "context_length_exceeded"), model.TooLong, 0, "shorten"},
		{"vllm context", 400, "", `{"object":"error","message":"This model's maximum context length is 6048 tokens. However, you requested 6616 tokens (568 in the messages, 6048 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}`, model.TooLong, 0, "shorten"},
		{"vllm old context", 400, "", `{"object":"error","message":"max_tokens must be at least 1, got -186.","type":"BadRequestError","param":null,"code":400}`, model.TooLong, 0, "shorten"},
		{"llama.cpp context", 400, "", `{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}`, model.TooLong, 0, "shorten"},
		{"llama.cpp old context", 500, "", `{"error":{"code":500,"message":"the request exceeds the available context size. try increasing the context size","type":"server_error"}}`, model.TooLong, 0, "shorten"},
		{"ollama context", 400, "", `{"error":"prompt too long; exceeded max context length by 12 tokens"}`, model.TooLong, 0, "shorten"},
		{"sglang context", 400, "", `{"object":"error","message":"The input (40000 tokens) is longer than the model's context length (32768 tokens): Input length (40000 tokens) exceeds the maximum allowed length (32762 tokens).","type":"BadRequestError","code":400}`, model.TooLong, 0, "shorten"},
		{"too many bytes", 413, "", `request entity too large`, model.TooLong, 0, "shorten"},
		{"vllm tools", 400, "", `{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}`, model.NoTools, 0, "--enable-auto-tool-choice"},
		{"ollama tools", 400, "", openaiError("registry.ollama.ai/library/gemma3:4b does not support tools", "api_error", ""), model.NoTools, 0, "can call tools"},
		{"ollama tools as text", 400, "", `{"error":"registry.ollama.ai/library/llama2:latest does not support tools"}`, model.NoTools, 0, "can call tools"},
		{"llama.cpp tools", 500, "", `{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}`, model.NoTools, 0, "--jinja"},
		{"openrouter tools", 404, "", `{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs","code":404}}`, model.NoTools, 0, "can call tools"},
		{"ollama model", 404, "", openaiError(`model "qwen9" not found, try pulling it first`, "api_error", ""), model.NotFound, 0, "ollama pull"},
		{"openai model", 404, "", openaiError("The model `gpt-9` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"), model.NotFound, 0, "model's name"},
		{"base URL", 404, "", "404 page not found", model.NotFound, 0, "/v1"},
		{"method", 405, "", `{"detail":"Method Not Allowed"}`, model.NotFound, 0, "/v1"},
		{"web page", 200, "Content-Type: text/html", "<!doctype html><html></html>", model.Garbled, 0, "base URL"},
		{"moved", 308, "Location: https://elsewhere.example/v1/chat/completions?key=" + testKey, "", model.NotFound, 0, "base URL"},
		{"key", 401, "", openaiError("Incorrect API key provided: "+testKey[:7]+"********g7h8. You can find your API key at the account page.", "invalid_request_error", "invalid_api_key"), model.Denied, 0, "API key"},
		{"no credit", 429, "", openaiError("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota"), model.Denied, 0, "credit"},
		{"openrouter credit", 402, "", `{"error":{"code":402,"message":"Insufficient credits"}}`, model.Denied, 0, "credit"},
		{"forbidden", 403, "", `{"error":{"message":"Project has no access","type":"invalid_request_error","code":"x"}}`, model.Denied, 0, "API key"},
		{"openrouter moderation", 403, "", `{"error":{"code":403,"message":"m requires moderation. Your input was flagged"}}`, model.Filtered, 0, ""},
		{"azure moderation", 400, "", openaiError("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "", "content_filter"), model.Filtered, 0, ""},
		{"rate", 429, "Retry-After: 20", openaiError("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000. Try a shorter context window.", "tokens", "rate_limit_exceeded"), model.RateLimited, 20 * time.Second, ""},
		{"rate in ms", 429, "Retry-After-Ms: 1500\nRetry-After: 2", "", model.RateLimited, 1500 * time.Millisecond, ""},
		{"rate by reset", 429, "X-RateLimit-Remaining-Requests: 12\nX-RateLimit-Reset-Requests: 9s\nX-RateLimit-Remaining-Tokens: 0\nX-RateLimit-Reset-Tokens: 6m0s", "", model.RateLimited, 6 * time.Minute, ""},
		{"busy", 503, "Retry-After: 5", `{"error":{"message":"The engine is currently overloaded","type":"server_error"}}`, model.Overloaded, 5 * time.Second, ""},
		{"proxy", 502, "Content-Type: text/html", "<html>bad gateway</html>", model.Overloaded, 0, ""},
		{"error under 200", 200, "", `{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"slow down"}}}`, model.RateLimited, 0, ""},
		{"error in the choice", 200, "", `{"choices":[{"finish_reason":"error","error":{"code":502,"message":"upstream"},"message":{"content":"half"}}]}`, model.Overloaded, 0, ""},
		{"given up", 200, "", `{"choices":[{"finish_reason":"abort","message":{"content":"half"}}]}`, model.Overloaded, 0, ""},
		{"temperature", 400, "", openaiError("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.", "invalid_request_error", "unsupported_value"), model.Rejected, 0, "own temperature"},
		{"limit", 400, "", openaiError("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "invalid_request_error", "unsupported_parameter"), model.Rejected, 0, "other name"},
		{"detail", 422, "", `{"detail":[{"loc":["body","x"],"msg":"field required"}]}`, model.Rejected, 0, ""},
		{"no choices", 200, "", `{"choices":[],"usage":{}}`, model.Garbled, 0, ""},
		{"no message", 200, "", `{"choices":[{"finish_reason":"stop"}]}`, model.Garbled, 0, ""},
		{"wrong types", 200, "", `{"choices":[{"message":{"content":7}}]}`, model.Garbled, 0, ""},
		{"an array", 200, "", `[1]`, model.Garbled, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for _, line := range strings.Split(tt.header, "\n") {
					if name, value, ok := strings.Cut(line, ": "); ok {
						w.Header().Set(name, value)
					}
				}
				w.WriteHeader(tt.status)
				w.Write([]byte(tt.body))
			}))
			defer srv.Close()
			_, err := open1(t, srv.URL).Answer(t.Context(), 1, hello())
			var e *model.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no model.Error", err)
			}
			if e.Kind != tt.kind || e.Status != tt.status || e.RetryAfter != tt.wait || e.Model != "served/m" {
				t.Errorf("%v: kind %q, status %d, wait %v", err, e.Kind, e.Status, e.RetryAfter)
			}
			if hint := because.Hint(err); !strings.Contains(hint, tt.hint) {
				t.Errorf("the hint on %v is %q", err, hint)
			}
			if text := fmt.Sprintf("%v %+v %s", err, err, because.Hint(err)); strings.Contains(text, testKey[3:]) || strings.Contains(text, "g7h8") {
				t.Errorf("the key stands in %s", text)
			}
		})
	}
}

// TestNetworkErrors checks what happens before and instead of an answer.
func TestNetworkErrors(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + listener.Addr().String()
	listener.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server see that the client leaves
		<-r.Context().Done()
	}))
	defer slow.Close()
	defer slow.CloseClientConnections()
	tests := []struct {
		name, url string
		client    *http.Client
		timeout   time.Duration
		kind      model.Kind
		hint      string
	}{
		{"refused", refused, nil, 0, model.Unreachable, "server runs"},
		{"no such host", "http://no-such-host.invalid", nil, 0, model.Unreachable, "server runs"},
		{"no such port", "http://127.0.0.1:1/v1", nil, 0, model.Unreachable, "server runs"},
		{"TLS to plain", "https" + strings.TrimPrefix(plain.URL, "http"), nil, 0, model.BadTLS, "http://"},
		{"timeout", slow.URL, nil, 30 * time.Millisecond, model.TimedOut, ""},
		{"the client's own timeout", slow.URL, &http.Client{Timeout: 30 * time.Millisecond}, 0, model.TimedOut, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := New(Options{Model: "m", BaseURL: tt.url, Key: testKey, HTTPClient: tt.client, Timeout: tt.timeout})
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Answer(t.Context(), 1, hello())
			if model.KindOf(err) != tt.kind || !strings.Contains(because.Hint(err), tt.hint) {
				t.Errorf("%v: kind %q, hint %q", err, model.KindOf(err), because.Hint(err))
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v looks like the caller's deadline", err)
			}
		})
	}
}

// TestPlainToTLS checks the other direction, whose words are the server's.
func TestPlainToTLS(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	_, err := open1(t, "http"+strings.TrimPrefix(secure.URL, "https")).Answer(t.Context(), 1, hello())
	if kind := model.KindOf(err); kind != model.BadTLS {
		t.Errorf("%v: kind %q", err, kind)
	}
}
