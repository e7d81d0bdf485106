package hosted

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/because-lab/because"
)

// CancelOptions say how to reach the service of a folder's run.
type CancelOptions struct {
	// Key gives the key for a service by its base URL.
	Key        func(baseURL string) (string, error)
	HTTPClient *http.Client
}

// Cancel ends the job of a folder's run and gives its ID and the state that the service tells. A job that has ended already is an error
// that says how; a run that has made no job has nothing to cancel. Cancel writes nothing: whoever follows the run sees what became of it.
func Cancel(ctx context.Context, dir string, o CancelOptions) (id, status string, err error) {
	fail := func(subject string, err error, hint string) (string, string, error) {
		return "", "", because.E("cancel hosted training", subject, err, hint)
	}
	s, err := readState(dir)
	if err != nil {
		return "", "", err
	}
	if s == nil {
		return fail(dir, errors.New("the folder holds no hosted run"), "give the folder of --out")
	}
	key, err := o.Key(s.BaseURL)
	if err != nil {
		return "", "", err
	}
	base, err := parseBase(s.BaseURL)
	if err != nil {
		return fail(dir, err, "")
	}
	c, err := newClient(&Options{Model: s.Model, Key: key, HTTPClient: o.HTTPClient}, base)
	if err != nil {
		return fail(dir, err, "")
	}
	j, err := c.current(ctx, s)
	if err != nil {
		return fail(dir, err, "")
	}
	if j.ID == "" {
		return fail(dir, errors.New("the run has made no job yet"), "")
	}
	if terminal(j.Status) {
		return fail(j.ID, fmt.Errorf("the job has already ended: %s", j.Status), "")
	}
	if err := c.post(ctx, "/fine_tuning/jobs/"+j.ID+"/cancel", nil, &j); err != nil {
		return fail(j.ID, err, "")
	}
	return j.ID, spelled(j.Status), nil
}

// current gives the job of a run as it is; also one that was made by a process that was killed before it could write down its ID.
func (c *client) current(ctx context.Context, s *state) (job, error) {
	if s.Job != "" {
		return c.getJob(ctx, s.Job)
	}
	if s.Attempt == "" {
		return job{}, nil
	}
	j, _, err := c.findJob(ctx, s)
	if err != nil || j.Metadata[attemptField] != s.Attempt { // another folder's job of the same run is not this one's to cancel
		return job{}, err
	}
	return j, nil
}
