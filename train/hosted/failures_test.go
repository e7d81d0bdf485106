package hosted

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/train/hosted/hostedtest"
)

// TestFailures looks at what a user is told when a service refuses.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name       string
		b          hostedtest.Behaviour
		change     func(*Options)
		want, hint string
		jobs       int // at the service
		posts      int // requests that make something
	}{
		{"moderated data", hostedtest.Behaviour{}, func(o *Options) { o.Train.Rows[3].Messages[1].Content = hostedtest.Forbidden },
			"unsafe training file. Too many examples were flagged by our moderation for content that violates the usage policies. (code invalid_training_file, param training_file)",
			"by its own policy", 1, 2},
		{"moderated model", hostedtest.Behaviour{FailCode: "content_policy", FailMessage: "The model failed the safety evaluation."}, nil, "safety evaluation", "by its own policy", 1, 2},
		{"data not taken", hostedtest.Behaviour{FailCode: "invalid_training_file", FailMessage: "Example 3 is bad."}, nil, "Example 3 is bad. (code invalid_training_file)", "mend the rows", 1, 2},
		{"validation not taken", hostedtest.Behaviour{FailCode: "invalid_validation_file", FailMessage: "Example 3 is bad."}, nil, "Example 3 is bad.", "--validation", 1, 2},
		{"money in the middle", hostedtest.Behaviour{FailCode: "exceeded_quota", FailMessage: "Spent."}, nil, "Spent.", "raise the account's limit", 1, 2},
		{"no reason", hostedtest.Behaviour{FailCode: "x"}, nil, "the service gives no reason (code x)", "another --out", 1, 2},
		{"no quota", hostedtest.Behaviour{NoQuota: true}, nil, "access denied (429): You exceeded your current quota", "billing page", 0, 2},
		{"not allowed", hostedtest.Behaviour{Denied: true}, nil, "access denied (403): Your organization is not allowed", "only some accounts", 0, 2},
		{"no such model", hostedtest.Behaviour{}, func(o *Options) { o.Model = "lama" }, "rejected (400): Model lama is not available for fine-tuning or does not exist. (code model_not_available, param model)",
			"fine-tunes this model", 0, 2},
		{"wrong key", hostedtest.Behaviour{EchoKey: true}, func(o *Options) { o.Key = "sk-some-other-secret" }, "access denied (401): Incorrect API key provided. You gave Bearer [secret]", "check the key", 0, 0},
		{"wrong key of another form", hostedtest.Behaviour{EchoKey: true}, func(o *Options) { o.Key = "AbCd1234/+secret" }, "You gave Bearer [secret]", "check the key", 0, 0},
		{"not the API", hostedtest.Behaviour{}, func(o *Options) { o.BaseURL = strings.TrimSuffix(o.BaseURL, "/v1") + "/v2" }, "not found (404)", "base URL", 0, 0},
		{"down for long", hostedtest.Behaviour{BrokenJobs: 10}, nil, "server error (500): The server had an error. (code server_error) (attempt 10)", "run the same command again", 0, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := serve(t, c.b), filepath.Join(t.TempDir(), "out")
			o := options(s, dir)
			if c.change != nil {
				c.change(&o)
			}
			p := plan(t, o)
			p.client.longest = 1 // ns: these waits are not what is tested
			_, err := p.Run(t.Context(), Consent{Yes: true})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(because.Hint(err), c.hint) {
				t.Errorf("%v\nhint %s\nwant %s\nhint %s", err, because.Hint(err), c.want, c.hint)
			}
			if jobs, posts := len(s.Jobs()), len(s.Requests("POST")); jobs != c.jobs || posts != c.posts {
				t.Errorf("%d jobs after %d posts, want %d after %d", jobs, posts, c.jobs, c.posts)
			}
			secret(t, o.Key, err, dir)
		})
	}
}

// secret looks for a key in everything that is printed or written.
func secret(t *testing.T, key string, err error, dir string) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v %s", e, e, e, because.Hint(e)); strings.Contains(text, key) {
			t.Errorf("the key stands in %s", text)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		if text, _ := os.ReadFile(f); strings.Contains(string(text), key) {
			t.Errorf("the key stands in %s", f)
		}
	}
}

// TestKeyNowhere has the service tell the key in its events, and prints everything that holds it.
func TestKeyNowhere(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{FailCode: "x", FailMessage: "Bearer " + hostedtest.Key + " was not enough"}), t.TempDir()
	o := options(s, dir)
	p := plan(t, o)
	_, err := p.Run(t.Context(), Consent{Yes: true})
	if err == nil || !strings.Contains(err.Error(), "was not enough") {
		t.Errorf("%v", err)
	}
	secret(t, hostedtest.Key, err, dir)
	if text := fmt.Sprintf("%v %+v %#v %v %+v %#v %v %#v %v %#v", o, o, o, p, p, p, p.client, p.client, &o, &o); strings.Contains(text, hostedtest.Key) {
		t.Errorf("the key stands in %s", text)
	}
	for _, base := range []string{"https://me:hunter22@localhost/v1", "https://localhost/v1?key=hunter22", "ftp://localhost", "localhost:80", "http://"} {
		o.BaseURL = base
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("the base URL %s gives %v", base, err)
		}
	}
	o = options(s, dir)
	o.Key = "a\r\nb: c"
	if _, err := New(o); err == nil || strings.Contains(err.Error(), "b: c") {
		t.Errorf("a key with a line break gives %v", err)
	}
}

// TestRedirect does not take the key elsewhere.
func TestRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	from := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer from.Close()
	o := options(&hostedtest.Server{URL: from.URL}, t.TempDir())
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); model.KindOf(err) != model.NotFound || asked {
		t.Errorf("%v, asked elsewhere: %v", err, asked)
	}
}

// TestUnreachable asks where nobody listens, and starts no folder that could not go on.
func TestUnreachable(t *testing.T) {
	s := hostedtest.Start(hostedtest.Behaviour{})
	o := options(s, t.TempDir())
	s.Close()
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); model.KindOf(err) != model.Unreachable || because.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

// TestNoResults keeps what the events told of the steps.
func TestNoResults(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{NoResults: true}), t.TempDir()
	r := run(t, options(s, dir))
	if r.Problem == "" || r.Last == nil || r.Last.Step != 4 || !strings.Contains(read(t, dir, metricsName), `{"step":4,"train_loss":0.625,"train_mean_token_accuracy":0.5}`) {
		t.Errorf("%+v\n%s", r, read(t, dir, metricsName))
	}
}

// TestForgottenJob is about a job that the service knows no more.
func TestForgottenJob(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{}), t.TempDir()
	o := options(s, dir)
	o.step = func(point string) error {
		if point == "job recorded" {
			return errors.New("stop")
		}
		return nil
	}
	if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); err == nil || err.Error() != "stop" {
		t.Fatal(err)
	}
	text := strings.Replace(read(t, dir, runName), "ftjob-1", "ftjob-9", 1)
	if err := os.WriteFile(filepath.Join(dir, runName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plan(t, options(s, dir)).Run(t.Context(), Consent{}); err == nil || !strings.Contains(err.Error(), "does not know it any more") {
		t.Errorf("%v", err)
	}
	one(t, s)
}

func TestCancel(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{QueuePolls: 1 << 30}), t.TempDir()
	key := func(base string) (string, error) {
		if base != s.URL {
			t.Errorf("asked for the key of %s", base)
		}
		return hostedtest.Key, nil
	}
	cancel := func(dir string) (string, string, error) {
		return Cancel(t.Context(), dir, CancelOptions{Key: key})
	}
	if _, _, err := cancel(dir); err == nil || !strings.Contains(err.Error(), "holds no hosted run") {
		t.Errorf("%v", err)
	}
	stop := errors.New("stop")
	for _, point := range []string{"begun", "job made", "looked"} { // the second knows no ID yet, and the service has the job
		o := options(s, dir)
		o.step = func(p string) error {
			if p == point {
				return stop
			}
			return nil
		}
		if _, err := plan(t, o).Run(t.Context(), Consent{Yes: true}); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		id, status, err := cancel(dir)
		switch {
		case point == "begun" && (err == nil || !strings.Contains(err.Error(), "no job yet")):
			t.Errorf("%v", err)
		case point == "job made" && (err != nil || id != "ftjob-1" || status != Cancelled):
			t.Errorf("%s %s %v", id, status, err)
		case point == "looked" && (err == nil || !strings.Contains(err.Error(), "already ended: cancelled")):
			t.Errorf("%v", err)
		}
	}
	if _, err := plan(t, options(s, dir)).Run(t.Context(), Consent{}); err == nil || !strings.Contains(err.Error(), "cancelled") || !strings.Contains(because.Hint(err), "another --out") {
		t.Errorf("%v", err)
	}
	one(t, s)
}

// TestWatching ends a followed job by its context while it waits in the queue.
func TestWatching(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{QueuePolls: 1 << 30}), t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	o, looks := options(s, dir), 0
	o.Report = func(_, _ float64, _, note string) {
		if strings.HasPrefix(note, "queued") {
			if looks++; looks == 3 {
				cancel(because.ErrInterrupted)
			}
		}
	}
	if _, err := plan(t, o).Run(ctx, Consent{Yes: true}); !errors.Is(err, because.ErrInterrupted) {
		t.Errorf("%v", err)
	}
	if job, err := plan(t, options(s, dir)).Job(); job != "ftjob-1" || err != nil {
		t.Errorf("%s, %v", job, err)
	}
	if got := s.Statuses(); got[0] != Queued {
		t.Errorf("the job is %s", got[0])
	}
}
