package organism

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/train"
)

// served is an organism that answers over OpenAI's /v1/completions: prompts are rendered here, since no chat API has the organism's roles.
type served struct {
	at       train.Endpoint
	template local.Template
	client   *http.Client
	pause    time.Duration // before asking again for the first time
}

// inFlight is how many requests of one evaluation are under way at a time.
const inFlight = 16

func newServed(at train.Endpoint, t local.Template) *served {
	return &served{at, t, &http.Client{Timeout: 10 * time.Minute}, time.Second}
}

// Name gives the model's name at its endpoint.
func (s *served) Name() string { return "served/" + s.at.Model }

// completion is a request for one.
type completion struct {
	Model       string  `json:"model"`
	Prompt      string  `json:"prompt"`
	MaxTokens   int     `json:"max_tokens"`
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
	Stop        string  `json:"stop,omitempty"`
	Echo        bool    `json:"echo,omitempty"`
	LogProbs    *int    `json:"logprobs,omitempty"`
}

// completed is what comes back.
type completed struct {
	Choices []struct {
		Text     string `json:"text"`
		Finish   string `json:"finish_reason"`
		LogProbs *struct {
			TokenLogProbs []*float64 `json:"token_logprobs"`
		} `json:"logprobs"`
	} `json:"choices"`
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// Generate answers requests. Answer i has a seed of its own, drawn from seed and i.
func (s *served) Generate(ctx context.Context, seed uint64, requests []because.Request) ([]because.Response, error) {
	out := make([]because.Response, len(requests))
	err := each(ctx, len(requests), func(ctx context.Context, i int) error {
		r := requests[i]
		ask := completion{Model: s.at.Model, Prompt: s.prompt(r), MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP,
			Seed: rand.NewPCG(seed, uint64(i)).Uint64() >> 33, Stop: s.template.End}
		got, err := s.post(ctx, ask)
		if err != nil {
			return because.E("generate", fmt.Sprintf("%s: request %d", s.Name(), i+1), err, "")
		}
		choice := got.Choices[0]
		answer := strings.Fields(strings.ReplaceAll(r.Prefill+" "+choice.Text, s.template.End, " "))
		out[i] = because.Response{Text: strings.Join(answer, " "), Stop: because.StopEnd, Usage: because.Usage{Input: got.Usage.Prompt, Output: got.Usage.Completion}}
		if choice.Finish == "length" {
			out[i].Stop = because.StopLength
		}
		return nil
	})
	return out, err
}

// LogProbs gives the log-probability of every token of each answer, its end included. In this language a token is a word.
func (s *served) LogProbs(ctx context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	out := make([][]float32, len(requests))
	err := each(ctx, len(requests), func(ctx context.Context, i int) error {
		answer := answers[i].Content + " " + s.template.End
		got, err := s.post(ctx, completion{Model: s.at.Model, Prompt: s.prompt(requests[i]) + " " + answer, Echo: true, LogProbs: new(0)})
		if err != nil {
			return because.E("score", fmt.Sprintf("%s: request %d", s.Name(), i+1), err, "")
		}
		all, n := got.Choices[0].LogProbs, len(strings.Fields(answer))
		if all == nil || len(all.TokenLogProbs) <= n {
			return because.E("score", s.Name(), errors.New("the endpoint gives no log-probabilities of the prompt"), "serve it with an engine that answers echo with logprobs")
		}
		for _, p := range all.TokenLogProbs[len(all.TokenLogProbs)-n:] {
			if p == nil {
				return because.E("score", s.Name(), errors.New("a token has no log-probability"), "")
			}
			out[i] = append(out[i], float32(*p))
		}
		return nil
	})
	return out, err
}

func (s *served) prompt(r because.Request) string {
	text := s.template.Prompt(r.Messages, r.As)
	if r.Prefill != "" {
		text += " " + r.Prefill
	}
	return text
}

func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// post asks for one completion, and again where the endpoint is busy or away for a moment.
func (s *served) post(ctx context.Context, ask completion) (completed, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return completed{}, err
	}
	for try, pause := 1, s.pause; ; try, pause = try+1, 2*pause {
		got, again, err := s.once(ctx, body)
		if err == nil || !again || try == 5 {
			return got, err
		}
		select {
		case <-ctx.Done():
			return completed{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (s *served) once(ctx context.Context, body []byte) (got completed, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.at.URL+"/completions", bytes.NewReader(body))
	if err != nil {
		return got, false, err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.at.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.at.Token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return got, ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return got, ctx.Err() == nil, err
	}
	if resp.StatusCode != http.StatusOK {
		busy := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
		return got, slices.Contains(busy, resp.StatusCode), fmt.Errorf("%s: %.300s", resp.Status, bytes.TrimSpace(text))
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return got, false, fmt.Errorf("read the answer: %w", err)
	}
	if len(got.Choices) != 1 {
		return got, false, fmt.Errorf("%d choices, want one: %.300s", len(got.Choices), text)
	}
	return got, false, nil
}
