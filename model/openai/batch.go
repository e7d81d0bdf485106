package openai

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/internal/batch"
	"github.com/because-lab/because/model/internal/wire"
)

// BatchOptions say how requests are gathered into batches, and the folder in which batches are remembered.
type BatchOptions = batch.Options

// Batched is a because.Chat that asks through OpenAI's batch API, which answers within 24 hours at half the price. Its Answer blocks
// until its batch has ended, so a run needs as many requests in flight as a batch should hold.
//
// A batch is remembered in BatchOptions.Dir before it is waited for. Cancelling leaves it running; the same request asked again,
// by this process or a later one, waits for it and is not paid again. A request that failed or expired in its batch gives a
// model.Error and goes into a new batch when it is asked again.
type Batched struct {
	model    *Model
	gatherer *batch.Gatherer
}

// Batch makes a model answer through the batch API.
func Batch(m *Model, o BatchOptions) (*Batched, error) {
	g, err := batch.New(vendor{m.client}, "openai "+m.client.Base(), o)
	if err != nil {
		return nil, because.E("open batches of "+m.name, o.Dir, err, "")
	}
	return &Batched{m, g}, nil
}

// Name is the model as users name it.
func (b *Batched) Name() string { return b.model.name }

// Identity is that of the model: a batch gives the same answers.
func (b *Batched) Identity() string { return b.model.Identity() }

// Answer asks through a batch; see Model.Answer for the rest.
func (b *Batched) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	body, err := b.model.encode(seed, r)
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

// vendor is OpenAI's batch API.
type vendor struct{ c *wire.Client }

// tokenField is the field of a batch's metadata that holds the token by which it is found again.
const tokenField = "because"

// batchBody is a batch as the API tells it.
type batchBody struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Created  int64             `json:"created_at"`
	Output   string            `json:"output_file_id"`
	Failed   string            `json:"error_file_id"`
	Metadata map[string]string `json:"metadata"`
	Errors   struct {
		Data []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Line    int    `json:"line"`
		} `json:"data"`
	} `json:"errors"`
}

// Submit uploads the requests as a file of JSON lines and makes a batch of it.
func (v vendor) Submit(ctx context.Context, token string, entries []batch.Entry) (string, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("purpose", "batch"); err != nil {
		return "", err
	}
	file, err := w.CreateFormFile("file", "because-"+token+".jsonl")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if _, err := fmt.Fprintf(file, `{"custom_id":"%s","method":"POST","url":"/v1/chat/completions","body":%s}`+"\n", e.Key, e.Body); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	answer, err := v.c.Send(ctx, http.MethodPost, "/files", w.FormDataContentType(), &form)
	if err != nil {
		return "", v.uploading(ctx, err)
	}
	var uploaded struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &uploaded); err != nil {
		return "", v.c.Garbled(err)
	}
	var b batchBody
	err = v.c.JSON(ctx, http.MethodPost, "/batches", map[string]any{
		"input_file_id": uploaded.ID, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": map[string]string{tokenField: token},
	}, &b)
	if err != nil {
		return "", err
	}
	return v.c.ID(b.ID)
}

// uploading keeps an error of the upload, after which there is surely no batch, apart from one after which there may be one.
func (v vendor) uploading(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return &batch.NotCreated{Err: err}
}

// Find goes through the account's batches, newest first.
func (v vendor) Find(ctx context.Context, token string, since time.Time, _ int, _ map[string]bool) (string, error) {
	after := ""
	for {
		var page struct {
			Data []batchBody `json:"data"`
			More bool        `json:"has_more"`
		}
		if err := v.c.JSON(ctx, http.MethodGet, "/batches?limit=100"+after, nil, &page); err != nil {
			return "", err
		}
		for _, b := range page.Data {
			if b.Metadata[tokenField] == token {
				return v.c.ID(b.ID)
			}
			if time.Unix(b.Created, 0).Before(since.Add(-batch.Skew)) {
				return "", nil
			}
		}
		if !page.More || len(page.Data) == 0 {
			return "", nil
		}
		last, err := v.c.ID(page.Data[len(page.Data)-1].ID)
		if err != nil {
			return "", err
		}
		after = "&after=" + last
	}
}

func (v vendor) get(ctx context.Context, id string) (b batchBody, err error) {
	err = v.c.JSON(ctx, http.MethodGet, "/batches/"+id, nil, &b)
	return b, err
}

// Ended tells whether the batch's status is a last one.
func (v vendor) Ended(ctx context.Context, id string) (bool, error) {
	b, err := v.get(ctx, id)
	if err != nil {
		return false, err
	}
	switch b.Status {
	case "completed", "failed", "expired", "cancelled":
		return true, nil
	case "":
		return false, v.c.Garbled(errors.New("the batch has no status"))
	}
	return false, nil
}

// Results reads the files of answers and of errors.
func (v vendor) Results(ctx context.Context, id string, each func(batch.Result) error) error {
	b, err := v.get(ctx, id)
	if err != nil {
		return err
	}
	if b.Status == "failed" {
		var why []string
		for _, e := range b.Errors.Data {
			why = append(why, strings.TrimSpace(fmt.Sprintf("%s (%s, line %d)", e.Message, e.Code, e.Line)))
		}
		return &batch.BatchError{Err: v.c.Explain(http.StatusBadRequest, wire.Problem{Message: fmt.Sprintf("batch %s failed: %s", id, strings.Join(why, "; "))}, 0)}
	}
	for _, file := range []string{b.Output, b.Failed} {
		if file == "" {
			continue
		}
		if file, err = v.c.ID(file); err != nil {
			return err
		}
		if err := v.c.Lines(ctx, "/files/"+file+"/content", func(line []byte) error { return v.result(line, each) }); err != nil {
			return err
		}
	}
	return nil
}

// result reads one line of a file of results.
func (v vendor) result(line []byte, each func(batch.Result) error) error {
	var l struct {
		Key      string `json:"custom_id"`
		Response *struct {
			Status int             `json:"status_code"`
			Body   json.RawMessage `json:"body"`
		} `json:"response"`
		Error *struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return v.c.Garbled(fmt.Errorf("a line of results: %w", err))
	}
	r := batch.Result{Key: l.Key}
	switch {
	case l.Error != nil && l.Error.Code == "batch_expired":
		r.Err = v.Lost(model.TimedOut, errors.New("the batch ended before the request had its turn"))
	case l.Error != nil:
		r.Err = v.c.Explain(http.StatusOK, wire.Problem{Code: l.Error.Code, Message: l.Error.Message}, 0)
	case l.Response == nil:
		r.Err = v.Lost(model.Garbled, errors.New("a result has neither response nor error"))
	case l.Response.Status == http.StatusOK:
		r.Body = l.Response.Body
	default:
		p, _ := wire.ParseProblem(l.Response.Body)
		r.Err = v.c.Explain(l.Response.Status, p, 0)
	}
	return each(r)
}

// Lost makes the error of a request that came to nothing.
func (v vendor) Lost(kind model.Kind, err error) error { return v.c.Fail(kind, err) }
