package ray

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Supported is the range of Ray's versions that the client and the engine are made for.
const Supported = "2.40 or later, before 3"

// Version says what a cluster runs.
type Version struct {
	Ray     string `json:"ray_version"`
	API     string `json:"version"` // of the Jobs API
	Session string `json:"session_name"`
}

// InRange tells whether the version is one of those supported.
func (v Version) InRange() bool {
	major, rest, _ := strings.Cut(v.Ray, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err1 == nil && err2 == nil && a == 2 && b >= 40
}

// Version asks what the cluster runs. A version out of the supported range is an error (ErrVersion) that comes with the answer.
func (c *Client) Version(ctx context.Context) (Version, error) {
	const op = "ask Ray's version"
	var v Version
	err := c.do(ctx, call{method: http.MethodGet, path: "/api/version", answer: &v})
	switch {
	case errors.Is(err, ErrNotFound):
		err = &Fault{Kind: ErrNotRay, Text: "it has no /api/version"}
	case err != nil:
	case v.Ray == "":
		err = &Fault{Kind: ErrNotRay, Text: "it does not tell Ray's version"}
	case !v.InRange():
		err = fmt.Errorf("%w: it is %s, wanted is %s", ErrVersion, v.Ray, Supported)
	}
	return v, c.fail(op, "", err)
}

// Status is the state of a job, as Ray names it.
type Status string

// The states of a job.
const (
	Pending   Status = "PENDING"
	Running   Status = "RUNNING"
	Stopped   Status = "STOPPED"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
)

// Ended tells whether the state is a last one.
func (s Status) Ended() bool { return s == Stopped || s == Succeeded || s == Failed }

// Details are what Ray tells of a job.
type Details struct {
	ID        string            `json:"submission_id"`
	Status    Status            `json:"status"`
	Message   string            `json:"message"`
	ErrorType string            `json:"error_type"` // such as RUNTIME_ENV_SETUP_FAILURE
	Entry     string            `json:"entrypoint"`
	Start     int64             `json:"start_time"` // milliseconds since 1970
	End       int64             `json:"end_time"`
	Metadata  map[string]string `json:"metadata"`
	ExitCode  *int              `json:"driver_exit_code"`
}

// Submission asks Ray to run a command. The environment's variables can be read by everybody who can ask the cluster about its jobs.
type Submission struct {
	ID       string            `json:"submission_id"`
	Entry    string            `json:"entrypoint"`
	Env      RuntimeEnv        `json:"runtime_env"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// RuntimeEnv is what a job runs in.
type RuntimeEnv struct {
	WorkingDir string            `json:"working_dir,omitempty"` // URI of a package
	Vars       map[string]string `json:"env_vars,omitempty"`
	Pip        []string          `json:"pip,omitempty"` // packages that Ray installs first, on every node that takes part
}

// Submit starts a job of the submission's ID. When the answer is lost, it asks whether the job is there before it tries again, so that a job never runs
// twice. An ID that is taken is an error (ErrConflict).
func (c *Client) Submit(ctx context.Context, s Submission) error {
	const op = "submit job"
	tries := c.pace.tries
	for wait := c.pace.backoff; ; wait *= 2 {
		err := c.do(ctx, call{method: http.MethodPost, path: "/api/jobs/", json: s, once: true, answer: &struct{}{}})
		if err == nil || !passing(err) {
			return c.fail(op, s.ID, err)
		}
		// It may have been taken all the same. Ours carries what we sent with it.
		d, asked := c.details(ctx, s.ID)
		switch {
		case asked == nil && d.Entry == s.Entry && equal(d.Metadata, s.Metadata):
			return nil
		case asked == nil:
			return c.fail(op, s.ID, &Fault{Kind: ErrConflict})
		case !errors.Is(asked, ErrNotFound):
			return c.fail(op, s.ID, errors.Join(err, asked))
		}
		if tries--; tries <= 0 || sleep(ctx, jitter(wait)) != nil {
			return c.fail(op, s.ID, err)
		}
	}
}

func equal(a, b map[string]string) bool {
	for k, v := range b {
		if a[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func jobPath(id, rest string) string { return "/api/jobs/" + url.PathEscape(id) + rest }

func (c *Client) details(ctx context.Context, id string) (d Details, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: jobPath(id, ""), answer: &d})
	return d, err
}

// Status asks about one job. One that the cluster does not know is an error (ErrNotFound).
func (c *Client) Status(ctx context.Context, id string) (Details, error) {
	d, err := c.details(ctx, id)
	return d, c.fail("ask about job", id, err)
}

// List gives the jobs that the cluster knows, those that were submitted to it alone.
func (c *Client) List(ctx context.Context) ([]Details, error) {
	var all []Details
	if err := c.do(ctx, call{method: http.MethodGet, path: "/api/jobs/", answer: &all}); err != nil {
		return nil, c.fail("list jobs", "", err)
	}
	var submitted []Details
	for _, d := range all {
		if d.ID != "" {
			submitted = append(submitted, d)
		}
	}
	return submitted, nil
}

// Stop asks a job to end; it keeps its checkpoints, and a later Start goes on from them. It tells whether the job was running.
func (c *Client) Stop(ctx context.Context, id string) (bool, error) {
	var a struct {
		Stopped bool `json:"stopped"`
	}
	err := c.do(ctx, call{method: http.MethodPost, path: jobPath(id, "/stop"), answer: &a})
	return a.Stopped, c.fail("stop job", id, err)
}

// Delete makes the cluster forget a job that has ended.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.fail("delete job", id, c.do(ctx, call{method: http.MethodDelete, path: jobPath(id, "")}))
}

// Logs gives all that a job has printed so far.
func (c *Client) Logs(ctx context.Context, id string) (string, error) {
	text, err := c.logs(ctx, id)
	return text, c.fail("read log of job", id, err)
}

func (c *Client) logs(ctx context.Context, id string) (string, error) {
	var a struct {
		Logs string `json:"logs"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: jobPath(id, "/logs"), answer: &a})
	return a.Logs, err
}
