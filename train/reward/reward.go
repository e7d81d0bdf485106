// Package reward offers rewards over HTTP, so that an engine that trains by reinforcement on other machines gets the same rules and judges that evaluations
// use. One request is one POST of JSON:
//
//	{"items": [{"id": "episode 1", "task": "...", "prompt": "...", "completion": "..."}]}
//
// and is answered by {"rewards": [0.5]}, one finite number per item in its order, or by a status of 400 and up with {"error": "..."}. There is no reward that
// stands for a failure: who asks must not take one.
package reward

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/because-lab/because/train"
)

// Item is one answer to be rewarded. ID and Task are what the row of its prompt says.
type Item struct {
	ID         string `json:"id"`
	Task       string `json:"task"`
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// Func gives the rewards of items, in their order.
type Func func(ctx context.Context, items []Item) ([]float64, error)

// Of makes a Func of a reward that takes the answers of one prompt at a time.
func Of(r train.Reward) Func {
	return func(ctx context.Context, items []Item) ([]float64, error) {
		var out []float64
		for from := 0; from < len(items); {
			to := from
			var answers []string
			for to < len(items) && items[to].Task == items[from].Task && items[to].Prompt == items[from].Prompt {
				answers = append(answers, items[to].Completion)
				to++
			}
			rewards, err := r(ctx, items[from].Task, items[from].Prompt, answers)
			if err != nil {
				return nil, err
			}
			out = append(out, rewards...)
			from = to
		}
		return out, nil
	}
}

// Limits of a request.
const (
	maxBytes = 64 << 20
	maxItems = 4096
)

type request struct {
	Items []Item `json:"items"`
}

type answer struct {
	Rewards []float64 `json:"rewards,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// Handler answers POST requests on any path, and GET on /health. With a token, requests must carry it as "Authorization: Bearer TOKEN".
func Handler(f Func, token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/health":
			w.WriteHeader(http.StatusNoContent)
		case r.Method != http.MethodPost:
			refuse(w, http.StatusMethodNotAllowed, errors.New("send items by POST"))
		case token != "" && !carries(r, token):
			refuse(w, http.StatusUnauthorized, errors.New("the token is missing or another one"))
		default:
			serve(w, r, f)
		}
	})
}

func carries(r *http.Request, token string) bool {
	sent, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(sent), []byte(token)) == 1
}

func serve(w http.ResponseWriter, r *http.Request, f Func) {
	items, err := read(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	rewards, err := f(r.Context(), items)
	if err == nil {
		err = check(rewards, len(items))
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	respond(w, http.StatusOK, answer{Rewards: rewards})
}

func read(w http.ResponseWriter, r *http.Request) ([]Item, error) {
	var in request
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	if len(in.Items) == 0 || len(in.Items) > maxItems {
		return nil, fmt.Errorf("%d items, want 1 to %d", len(in.Items), maxItems)
	}
	return in.Items, nil
}

func check(rewards []float64, n int) error {
	if len(rewards) != n {
		return fmt.Errorf("%d rewards of %d items", len(rewards), n)
	}
	for i, x := range rewards {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("reward %d is %v", i+1, x)
		}
	}
	return nil
}

func refuse(w http.ResponseWriter, status int, err error) {
	respond(w, status, answer{Error: err.Error()})
}

func respond(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(a) //nolint:errcheck // a client that went away
}
