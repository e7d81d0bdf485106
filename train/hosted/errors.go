package hosted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// keyLike is how keys look, also where a service echoes them with stars in the middle.
var keyLike = regexp.MustCompile(`\b(sk|rk|pk|key)[-_][A-Za-z0-9_*.-]{8,}`)

// leastSecret is how long a key is at least: shorter ones are placeholders that stand in many texts.
const leastSecret = 8

// hide takes keys out of a text that comes from outside.
func (c *client) hide(text string) string {
	if len(c.key) >= leastSecret {
		text = model.Redact(errors.New(text), c.key).Error()
	}
	return keyLike.ReplaceAllString(text, "[key]")
}

// clip shortens a text to one line for an error.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	const most = 600
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " ..."
}

// trouble is what a service says of an error, of a request or of a job.
type trouble struct {
	Code    word `json:"code"`
	Message word `json:"message"`
	Param   word `json:"param"`
	Type    word `json:"type"`
}

// word is a JSON value that is a string, or null, or something else in some services.
type word string

// UnmarshalJSON keeps strings as they are, null as nothing and everything else as its JSON.
func (t *word) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = word(s)
	} else {
		*t = word(raw)
	}
	return nil
}

// say gives code, message and parameter on one line.
func (t trouble) say() string {
	out := clip(string(t.Message))
	if out == "" {
		out = "the service gives no reason"
	}
	var about []string
	if t.Code != "" {
		about = append(about, "code "+clip(string(t.Code)))
	} else if t.Type != "" {
		about = append(about, "type "+clip(string(t.Type)))
	}
	if t.Param != "" {
		about = append(about, "param "+clip(string(t.Param)))
	}
	if about != nil {
		out += " (" + strings.Join(about, ", ") + ")"
	}
	return out
}

// failed makes an error of a response that is no success.
func (c *client) failed(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // a part tells as much as can be told
	var outer struct {
		Error json.RawMessage `json:"error"`
		trouble
	}
	t := trouble{}
	if json.Unmarshal(raw, &outer) != nil {
		t.Message = word(raw)
	} else if json.Unmarshal(outer.Error, &t) != nil {
		t = outer.trouble
		if t.Message == "" {
			t.Message = word(outer.Error)
		}
	}
	e := &model.Error{Kind: model.StatusKind(resp.StatusCode), Model: c.name, Status: resp.StatusCode}
	said := strings.ToLower(string(t.Code + " " + t.Type + " " + t.Message))
	switch {
	case resp.StatusCode < 400:
		e.Kind, t = model.NotFound, trouble{Message: "the service sends requests on to another address"}
	case resp.StatusCode == http.StatusTooManyRequests && (strings.Contains(said, "quota") || strings.Contains(said, "billing")):
		e.Kind = model.Denied // waiting does not help
	}
	e.Err = errors.New(c.hide(t.say()))
	if e.Passes() {
		e.RetryAfter = model.RetryAfter(resp.Header, time.Now())
	}
	return c.advise(e, said)
}

// advise adds what the user can do.
func (c *client) advise(e *model.Error, said string) error {
	hint := ""
	switch {
	case strings.Contains(said, "quota"), strings.Contains(said, "billing"):
		hint = "the account's money or limit is used up: see its billing page"
	case e.Status == http.StatusUnauthorized:
		hint = "check the key in the environment"
	case e.Kind == model.Denied:
		hint = "the account may not train this model: services let only some accounts fine-tune (OpenAI is said to take no new ones since May 2026); choose another service with --base-url, or --engine local"
	case strings.Contains(said, "model") && (e.Kind == model.Rejected || e.Kind == model.NotFound):
		hint = "check that the service fine-tunes this model, and under which name"
	case e.Kind == model.NotFound:
		hint = "check the base URL, which often ends in /v1, and that the service has OpenAI's fine-tuning API"
	case e.Kind == model.Unreachable, e.Kind == model.BadTLS:
		hint = "check the network and the base URL"
	}
	if hint == "" {
		return e
	}
	return because.E("", "", e, hint)
}

// network makes an error of one of the network's.
func (c *client) network(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // what it adds is the URL
	}
	e := &model.Error{Kind: model.NetworkKind(err), Model: c.name, Err: errors.New(c.hide(c.base.Host + ": " + err.Error()))}
	return c.advise(e, "")
}

// isNotFound tells whether the service knows nothing under a path.
func isNotFound(err error) bool { return model.KindOf(err) == model.NotFound }

// garbled is the error for an answer that is not what it should be.
func (c *client) garbled(err error) error {
	return &model.Error{Kind: model.Garbled, Model: c.name, Status: http.StatusOK, Err: errors.New(clip(c.hide(err.Error())))}
}

// again is what a user does about a job that came to nothing: a folder has one job, and a new folder makes a new one.
const again = "then train with another --out, which starts a new job"

// ended makes an error of a job that failed or was cancelled, and names what to do.
func (c *client) ended(j *job) error {
	if j.Status == Cancelled {
		return because.E("hosted training", j.ID, errors.New("the job was cancelled"), "to train after all, give another --out, which starts a new job")
	}
	t := trouble{}
	if j.Error != nil {
		t = *j.Error
	}
	said := strings.ToLower(string(t.Code + " " + t.Type + " " + t.Message))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	hint := "mend what it names, " + again
	switch {
	case has("moderation", "usage polic", "unsafe", "flagged", "content_policy", "content policy"):
		hint = "the service refused the data or the trained model by its own policy: take out the rows that it means, " + again + "; or train an open model with --engine local"
	case has("quota", "billing", "insufficient"):
		hint = "raise the account's limit, " + again
	case has("invalid_training_file", "invalid_file", "file_format") || t.Param == "training_file":
		hint = "the service does not take the training data: mend the rows that it names, " + again
	case has("invalid_validation_file") || t.Param == "validation_file":
		hint = "the service does not take the file of --validation: mend it or leave it out, " + again
	case has("server_error", "internal", "timeout"):
		hint = "the fault is the service's: train with another --out, which starts a new job"
	case has("model"):
		hint = "choose a model that the service fine-tunes, " + again
	}
	return because.E("hosted training", j.ID, fmt.Errorf("the job failed: %s", c.hide(t.say())), hint)
}
