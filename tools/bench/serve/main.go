// Command serve loads a server of OpenAI's API with concurrent clients and prints one line of JSON: requests and
// output tokens a second, and percentiles of the time to the first token and of whole requests.
//
//	go run ./tools/bench/serve -url http://127.0.0.1:8080 -clients 64 -requests 4 -prompt 128 -max-tokens 64
//
// Every client sends its requests one after the other, as streamed chats. Prompts differ from their first word on, so that
// none is served from another's prefix, and depend on the flags alone.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"
)

// load is what to send.
type load struct {
	URL         string  `json:"-"`
	Token       string  `json:"-"`
	Model       string  `json:"model,omitempty"`
	Clients     int     `json:"clients"`
	Requests    int     `json:"requests_per_client"`
	Prompt      int     `json:"prompt_words"`
	MaxTokens   int     `json:"max_tokens"`
	Temperature float64 `json:"temperature"`
}

// result is what came back.
type result struct {
	load
	Seconds       float64     `json:"seconds"`
	Answers       int         `json:"answers"`
	Errors        int         `json:"errors"`
	FirstError    string      `json:"first_error,omitempty"`
	PromptTokens  int         `json:"prompt_tokens"`
	OutputTokens  int         `json:"output_tokens"`
	RequestsRate  float64     `json:"requests_per_second"`
	OutputRate    float64     `json:"output_tokens_per_second"`
	FirstToken    percentiles `json:"first_token_seconds"`
	WholeRequests percentiles `json:"request_seconds"`
}

// percentiles of durations, in seconds.
type percentiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// sample is one request's measurement.
type sample struct {
	first, whole   time.Duration
	prompt, output int
	err            error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var l load
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&l.URL, "url", "http://127.0.0.1:8080", "address of the server")
	flags.StringVar(&l.Token, "token", os.Getenv("BECAUSE_TOKEN"), "token of the server; by default BECAUSE_TOKEN")
	flags.StringVar(&l.Model, "model", "", "model to ask for; by default the server's only one")
	flags.IntVar(&l.Clients, "clients", 64, "concurrent clients")
	flags.IntVar(&l.Requests, "requests", 4, "requests of each client")
	flags.IntVar(&l.Prompt, "prompt", 128, "words of a prompt")
	flags.IntVar(&l.MaxTokens, "max-tokens", 64, "tokens of an answer at most")
	flags.Float64Var(&l.Temperature, "temperature", 1, "temperature; seeds are fixed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if l.Clients < 1 || l.Requests < 1 || l.Prompt < 1 || l.MaxTokens < 1 {
		return errors.New("every count must be at least 1")
	}
	began := time.Now()
	samples := l.send(ctx)
	r := summarize(l, samples, time.Since(began))
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	if r.Errors > 0 {
		return fmt.Errorf("%d of %d requests failed, the first: %s", r.Errors, len(samples), r.FirstError)
	}
	return ctx.Err()
}

// send runs all clients to their end and gives a sample a request.
func (l load) send(ctx context.Context) []sample {
	transport := &http.Transport{MaxIdleConnsPerHost: l.Clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	samples := make([]sample, l.Clients*l.Requests)
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			for i := c * l.Requests; i < (c+1)*l.Requests; i++ {
				samples[i] = l.one(ctx, client, i)
			}
		})
	}
	clients.Wait()
	return samples
}

// vocabulary has words that most tokenizers know as one token.
var vocabulary = strings.Fields("time day way man world life hand part child eye woman place work week case point home water room mother")

// body is the i-th request.
func (l load) body(i int) ([]byte, error) {
	var prompt strings.Builder
	for w, state := 0, uint32(i)*2654435761+1; w < l.Prompt; w++ {
		state = state*1664525 + 1013904223 // a linear congruential generator: fixed text is all it is for
		prompt.WriteString(vocabulary[int(state>>16)%len(vocabulary)])
		prompt.WriteByte(' ')
	}
	request := map[string]any{
		"messages":   []map[string]string{{"role": "user", "content": fmt.Sprintf("%d %s", i, prompt.String())}},
		"max_tokens": l.MaxTokens, "temperature": l.Temperature, "seed": i,
		"stream": true, "stream_options": map[string]bool{"include_usage": true},
	}
	if l.Model != "" {
		request["model"] = l.Model
	}
	return json.Marshal(request)
}

// one sends the i-th request and reads its answer to the end.
func (l load) one(ctx context.Context, client *http.Client, i int) (s sample) {
	body, err := l.body(i)
	if err != nil {
		return sample{err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(l.URL, "/")+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return sample{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	if l.Token != "" {
		r.Header.Set("Authorization", "Bearer "+l.Token)
	}
	began := time.Now()
	res, err := client.Do(r)
	if err != nil {
		return sample{err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000)) // the status says enough if it cannot be read
		return sample{err: fmt.Errorf("status %s: %s", res.Status, bytes.TrimSpace(text))}
	}
	s.err = s.read(res.Body, began)
	s.whole = time.Since(began)
	return s
}

// event is what matters of a piece of a stream.
type event struct {
	Error   *struct{ Message string }
	Choices []struct{}
	Usage   *struct {
		Prompt int `json:"prompt_tokens"`
		Output int `json:"completion_tokens"`
	}
}

// read takes the events of a stream.
func (s *sample) read(body io.Reader, began time.Time) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	counted := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			if !counted {
				return errors.New("the stream has no usage")
			}
			return nil
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("event %q: %w", data, err)
		}
		if e.Error != nil {
			return errors.New(e.Error.Message)
		}
		if s.first == 0 && len(e.Choices) > 0 {
			s.first = time.Since(began)
		}
		if e.Usage != nil {
			s.prompt, s.output, counted = e.Usage.Prompt, e.Usage.Output, true
		}
	}
	return errors.Join(lines.Err(), errors.New("the stream ended early"))
}

func summarize(l load, samples []sample, took time.Duration) result {
	r := result{load: l, Seconds: took.Seconds()}
	var first, whole []float64
	for _, s := range samples {
		if s.err != nil {
			if r.Errors++; r.FirstError == "" {
				r.FirstError = s.err.Error()
			}
			continue
		}
		r.Answers++
		r.PromptTokens += s.prompt
		r.OutputTokens += s.output
		first, whole = append(first, s.first.Seconds()), append(whole, s.whole.Seconds())
	}
	r.RequestsRate, r.OutputRate = float64(r.Answers)/r.Seconds, float64(r.OutputTokens)/r.Seconds
	r.FirstToken, r.WholeRequests = summary(first), summary(whole)
	return r
}

// summary gives nearest-rank percentiles.
func summary(x []float64) percentiles {
	if len(x) == 0 {
		return percentiles{}
	}
	slices.Sort(x)
	at := func(p int) float64 { return x[(len(x)*p+99)/100-1] }
	return percentiles{P50: at(50), P90: at(90), P99: at(99), Max: x[len(x)-1]}
}
