package anthropic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/internal/batch"
	"github.com/because-lab/because/model/internal/wire"
)

// BatchOptions say how requests are gathered into batches, and the folder in which batches are remembered.
type BatchOptions = batch.Options

// Batched is a because.Chat that asks through Anthropic's message batches, which answer within 24 hours at half the price. Its Answer
// blocks until its batch has ended, so a run needs as many requests in flight as a batch should hold.
//
// A batch is remembered in BatchOptions.Dir before it is waited for. Cancelling leaves it running; the same request asked again with
// the same seed, by this process or a later one, waits for it and is not paid again. A request that failed or expired in its batch
// gives a model.Error and goes into a new batch when it is asked again.
type Batched struct {
	model    *Model
	gatherer *batch.Gatherer
}

// Batch makes a model answer through the batch API.
func Batch(m *Model, o BatchOptions) (*Batched, error) {
	g, err := batch.New(vendor{m.client}, "anthropic "+m.client.Base(), o)
	if err != nil {
		return nil, because.E("open batches of "+m.name, o.Dir, err, "")
	}
	return &Batched{m, g}, nil
}

// Name is the model as users name it.
func (b *Batched) Name() string { return b.model.name }

// Identity is that of the model: a batch gives the same answers.
func (b *Batched) Identity() string { return b.model.Identity() }

// Answer asks through a batch; see Model.Answer for the rest. Requests that differ in their seed alone are asked apart.
func (b *Batched) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	body, err := b.model.encode(r)
	if err != nil {
		return because.Response{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", seed, body))
	answer, err := b.gatherer.Do(ctx, hex.EncodeToString(sum[:]), body)
	if err != nil {
		return because.Response{}, err
	}
	return b.model.decode(answer, r)
}

// vendor is Anthropic's batch API.
type vendor struct{ c *wire.Client }

// batchBody is a batch as the API tells it.
type batchBody struct {
	ID      string         `json:"id"`
	Status  string         `json:"processing_status"`
	Created time.Time      `json:"created_at"`
	Counts  map[string]int `json:"request_counts"`
}

// size is the number of the batch's requests, whatever became of them.
func (b batchBody) size() int {
	n := 0
	for _, c := range b.Counts {
		n += c
	}
	return n
}

// Submit creates a batch. The API keeps no token with it.
func (v vendor) Submit(ctx context.Context, _ string, entries []batch.Entry) (string, error) {
	body := []byte(`{"requests":[`)
	for i, e := range entries {
		if i > 0 {
			body = append(body, ',')
		}
		body = wire.AppendString(append(body, `{"custom_id":`...), e.Key)
		body = append(append(append(body, `,"params":`...), e.Body...), '}')
	}
	answer, err := v.c.Post(ctx, "/messages/batches", append(body, "]}"...))
	if err != nil {
		return "", err
	}
	var b batchBody
	if err := json.Unmarshal(answer, &b); err != nil {
		return "", v.c.Garbled(err)
	}
	return v.c.ID(b.ID)
}

// Find goes through the account's batches, newest first, and takes the unknown one of this size that was created soonest after the
// time. Its results name their requests, so that a wrong guess is seen and costs only the wait for it.
func (v vendor) Find(ctx context.Context, _ string, since time.Time, size int, known map[string]bool) (string, error) {
	found, after := "", ""
	for {
		var page struct {
			Data []batchBody `json:"data"`
			More bool        `json:"has_more"`
			Last string      `json:"last_id"`
		}
		if err := v.c.JSON(ctx, http.MethodGet, "/messages/batches?limit=100"+after, nil, &page); err != nil {
			return "", err
		}
		for _, b := range page.Data {
			if b.Created.Before(since.Add(-batch.Skew)) {
				return found, nil
			}
			if b.size() == size && !known[b.ID] {
				id, err := v.c.ID(b.ID)
				if err != nil {
					return "", err
				}
				found = id
			}
		}
		if !page.More || len(page.Data) == 0 {
			return found, nil
		}
		last, err := v.c.ID(page.Last)
		if err != nil {
			return "", err
		}
		after = "&after_id=" + last
	}
}

// Ended tells whether the batch is no longer worked on.
func (v vendor) Ended(ctx context.Context, id string) (bool, error) {
	var b batchBody
	if err := v.c.JSON(ctx, http.MethodGet, "/messages/batches/"+id, nil, &b); err != nil {
		return false, err
	}
	if b.Status == "" {
		return false, v.c.Garbled(errors.New("the batch has no status"))
	}
	return b.Status == "ended", nil
}

// Results reads the lines of results.
func (v vendor) Results(ctx context.Context, id string, each func(batch.Result) error) error {
	return v.c.Lines(ctx, "/messages/batches/"+id+"/results", func(line []byte) error {
		var l struct {
			Key    string `json:"custom_id"`
			Result struct {
				Type    string          `json:"type"`
				Message json.RawMessage `json:"message"`
				Error   json.RawMessage `json:"error"`
			} `json:"result"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return v.c.Garbled(fmt.Errorf("a line of results: %w", err))
		}
		r := batch.Result{Key: l.Key}
		switch l.Result.Type {
		case "succeeded":
			r.Body = l.Result.Message
		case "expired":
			r.Err = v.Lost(model.TimedOut, errors.New("the batch ended before the request had its turn"))
		case "canceled":
			r.Err = v.Lost(model.Rejected, errors.New("the batch was cancelled"))
		default:
			p, _ := wire.ParseProblem(l.Result.Error)
			r.Err = v.c.Explain(http.StatusOK, p, 0)
		}
		return each(r)
	})
}

// Lost makes the error of a request that came to nothing.
func (v vendor) Lost(kind model.Kind, err error) error { return v.c.Fail(kind, err) }
