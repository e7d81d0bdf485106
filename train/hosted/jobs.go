package hosted

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
)

// The states of a job, as the API names them. Others, such as those of a service of its own kind, count as running.
const (
	Validating = "validating_files"
	Queued     = "queued"
	Running    = "running"
	Succeeded  = "succeeded"
	Failed     = "failed"
	Cancelled  = "cancelled"
)

// terminal tells whether a state is a last one.
func terminal(status string) bool {
	return status == Succeeded || status == Failed || status == Cancelled
}

// file is an uploaded file as the API tells it.
type file struct {
	ID      string `json:"id"`
	Name    string `json:"filename"`
	Bytes   int64  `json:"bytes"`
	Status  string `json:"status"` // uploaded, processed or error; OpenAI calls the field deprecated, so it may be missing
	Details word   `json:"status_details"`
}

func (f *file) broken() bool {
	return f.Status == "error" || f.Status == "failed" || f.Status == "deleted"
}

// job is a fine-tuning job as the API tells it.
type job struct {
	ID       string            `json:"id"`
	Model    string            `json:"model"`
	Status   string            `json:"status"`
	Created  int64             `json:"created_at"` // seconds since 1970
	Finished int64             `json:"finished_at"`
	Tuned    string            `json:"fine_tuned_model"`
	Tokens   int64             `json:"trained_tokens"` // null until it has ended
	Results  []string          `json:"result_files"`
	Error    *trouble          `json:"error"`
	Metadata map[string]string `json:"metadata"`
	Suffix   string            `json:"user_provided_suffix"`
	Training string            `json:"training_file"`
}

// The fields of a job's metadata by which it is found again: what it trains, and which attempt at it made it.
const (
	keyField     = "because"
	attemptField = "because_attempt"
)

// jobRequest is the body that makes a job.
type jobRequest struct {
	Model      string            `json:"model"`
	Training   string            `json:"training_file"`
	Validation string            `json:"validation_file,omitempty"`
	Seed       int64             `json:"seed"`
	Suffix     string            `json:"suffix"`
	Method     method            `json:"method"`
	Metadata   map[string]string `json:"metadata"`
}

type method struct {
	Type       string `json:"type"`
	Supervised struct {
		Hyperparameters hyperparameters `json:"hyperparameters"`
	} `json:"supervised"`
}

// hyperparameters are numbers, or "auto" where the service chooses.
type hyperparameters struct {
	Epochs any `json:"n_epochs"`
	Batch  any `json:"batch_size"`
	LR     any `json:"learning_rate_multiplier"`
}

// auto leaves a zero to the service.
func auto[T int | float64](v T) any {
	if v == 0 {
		return "auto"
	}
	return v
}

// findFile looks for a whole file of this content: under the recorded ID first, then by its name, which holds the content's hash.
func (c *client) findFile(ctx context.Context, u *upload, recorded string) (found file, ok bool, err error) {
	if recorded != "" {
		err := c.get(ctx, "/files/"+recorded, &found)
		if err == nil && found.ID == recorded && !found.broken() {
			return found, true, nil
		}
		if err != nil && !isNotFound(err) {
			return file{}, false, err
		}
	}
	err = pages(ctx, c, "/files?purpose=fine-tune&limit=100", func(f file) string { return f.ID }, func(page []file) bool {
		for _, f := range page {
			if f.Name == u.name() && !f.broken() && (f.Bytes == 0 || f.Bytes == int64(len(u.text))) {
				found, ok = f, true
				return true
			}
		}
		return false
	})
	if err != nil || !ok {
		return file{}, false, err
	}
	found.ID, err = c.id(found.ID)
	return found, err == nil, err
}

// uploadFile uploads once.
func (c *client) uploadFile(ctx context.Context, u *upload) (file, error) {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	if err := w.WriteField("purpose", "fine-tune"); err != nil {
		return file{}, err
	}
	if _, err := w.CreateFormFile("file", u.name()); err != nil {
		return file{}, err
	}
	tail := "\r\n--" + w.Boundary() + "--\r\n" // the content goes between without being copied
	answer, err := c.send(ctx, http.MethodPost, "/files", body{w.FormDataContentType(), [][]byte{head.Bytes(), u.text, []byte(tail)}, uploadFor})
	if err != nil {
		return file{}, err
	}
	var f file
	if err := c.decode(answer, &f); err != nil {
		return file{}, err
	}
	f.ID, err = c.id(f.ID)
	return f, err
}

// findJob looks for a job of this run: one that this attempt made, whatever became of it, or one that trains the same and has not
// failed. A service that keeps no metadata tells the suffix, which holds the key's beginning.
func (c *client) findJob(ctx context.Context, s *state) (found job, ok bool, err error) {
	err = pages(ctx, c, "/fine_tuning/jobs?limit=100", func(j job) string { return j.ID }, func(page []job) bool {
		for _, j := range page {
			j.Status = spelled(j.Status)
			same := j.Metadata[keyField] == s.Key || j.Metadata == nil && j.Suffix == s.Suffix && strings.HasPrefix(j.Model, s.Model)
			if s.Attempt != "" && j.Metadata[attemptField] == s.Attempt || same && j.Status != Failed && j.Status != Cancelled {
				found, ok = j, true
				return true
			}
		}
		return false
	})
	if err != nil || !ok {
		return job{}, false, err
	}
	found.ID, err = c.id(found.ID)
	return found, err == nil, err
}

// createJob makes a job once.
func (c *client) createJob(ctx context.Context, s *state) (job, error) {
	q := jobRequest{Model: s.Model, Training: s.Training.ID, Seed: s.Seed, Suffix: s.Suffix,
		Method: method{Type: "supervised"}, Metadata: map[string]string{keyField: s.Key, attemptField: s.Attempt}}
	q.Method.Supervised.Hyperparameters = hyperparameters{s.Epochs, auto(s.Batch), auto(s.LR)}
	if s.Validation != nil {
		q.Validation = s.Validation.ID
	}
	var j job
	if err := c.post(ctx, "/fine_tuning/jobs", q, &j); err != nil {
		return job{}, err
	}
	var err error
	j.ID, err = c.id(j.ID)
	j.Status = spelled(j.Status)
	return j, err
}

func (c *client) getJob(ctx context.Context, id string) (job, error) {
	var j job
	if err := c.get(ctx, "/fine_tuning/jobs/"+id, &j); err != nil {
		return job{}, err
	}
	j.Status = spelled(j.Status)
	if j.ID != id || j.Status == "" {
		return job{}, c.garbled(fmt.Errorf("the answer is not about job %s", id))
	}
	return j, nil
}

// spelled gives a state its usual spelling.
func spelled(s string) string {
	if s == "canceled" {
		return Cancelled
	}
	return s
}
