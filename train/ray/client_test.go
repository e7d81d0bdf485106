package ray

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/ray/raytest"
)

// quick has times for tests.
var quick = pace{request: 5 * time.Second, backoff: time.Millisecond, tries: 4, patience: 3 * time.Second, fresh: time.Millisecond, slow: 10 * time.Millisecond,
	check: 20 * time.Millisecond, silence: time.Second, grace: 30 * time.Millisecond}

// cluster starts a cluster and a client of it.
func cluster(t testing.TB, play func(raytest.Job) raytest.Script) (*raytest.Server, *Client) {
	s := raytest.New(play)
	t.Cleanup(s.Close)
	return s, client(t, s.URL, Options{})
}

func client(t testing.TB, address string, o Options) *Client {
	t.Helper()
	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	o.Transport = own
	c, err := New(address, o)
	if err != nil {
		t.Fatal(err)
	}
	c.pace = quick
	return c
}

// noEnv takes this machine's own settings for Ray away.
func noEnv(t *testing.T) {
	for _, name := range []string{"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_JOB_HEADERS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}

func TestAddress(t *testing.T) {
	for _, tc := range []struct{ address, api, ray, want, fault string }{
		{want: "http://127.0.0.1:8265"},
		{address: "head:8265", want: "http://head:8265"},
		{address: "http://head:8265/", want: "http://head:8265"},
		{address: "https://proxy/ray/one//", want: "https://proxy/ray/one"},
		{address: "http://u:secret@head:1", want: "http://u:xxxxx@head:1"},
		{api: "http://api:1", ray: "http://ray:1", want: "http://api:1"},
		{ray: "http://ray:1", want: "http://ray:1"},
		{ray: "auto", want: "http://127.0.0.1:8265"},
		{ray: "10.0.0.1:6379", want: "http://127.0.0.1:8265"},
		{address: "ray://head:10001", fault: "Ray Client"},
		{address: "ftp://head", fault: "no address of a dashboard"},
		{address: "http://", fault: "no host"},
		{address: "http://head?x=1", fault: "after the path"},
		{address: "http://head:port", fault: "not an address"},
	} {
		noEnv(t)
		t.Setenv("RAY_API_SERVER_ADDRESS", tc.api)
		t.Setenv("RAY_ADDRESS", tc.ray)
		c, err := New(tc.address, Options{})
		if tc.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fault) || because.Hint(err) == "" {
				t.Errorf("%q: %v, hint %q", tc.address, err, because.Hint(err))
			}
			continue
		}
		if err != nil || c.Address() != tc.want {
			t.Errorf("%q: %v %v, want %s", tc.address, c, err, tc.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		env   map[string]string
		o     Options
		want  http.Header
		fault string
	}{
		"none":          {want: http.Header{}},
		"environment":   {env: map[string]string{"RAY_AUTH_TOKEN": "env"}, want: http.Header{"Authorization": {"Bearer env"}}},
		"file":          {env: map[string]string{"RAY_AUTH_TOKEN_PATH": file}, want: http.Header{"Authorization": {"Bearer of-file"}}},
		"no file":       {env: map[string]string{"RAY_AUTH_TOKEN_PATH": file + "x"}, fault: "no such file"},
		"disabled":      {env: map[string]string{"RAY_AUTH_TOKEN": "env", "RAY_AUTH_MODE": "disabled"}, want: http.Header{}},
		"option":        {env: map[string]string{"RAY_AUTH_TOKEN": "env"}, o: Options{Token: "opt"}, want: http.Header{"Authorization": {"Bearer opt"}}},
		"job headers":   {env: map[string]string{"RAY_JOB_HEADERS": `{"x-team":"a"}`}, o: Options{Headers: map[string]string{"X-Team": "b"}}, want: http.Header{"X-Team": {"b"}}},
		"own":           {env: map[string]string{"RAY_JOB_HEADERS": `{"authorization":"Basic x"}`, "RAY_AUTH_TOKEN": "env"}, want: http.Header{"Authorization": {"Basic x"}}},
		"broken":        {env: map[string]string{"RAY_JOB_HEADERS": `{"x"`}, fault: "RAY_JOB_HEADERS"},
		"not of texts":  {env: map[string]string{"RAY_JOB_HEADERS": `{"x":1}`}, fault: "RAY_JOB_HEADERS"},
		"logged in":     {env: map[string]string{"HOME": dir}, want: http.Header{"Authorization": {"Bearer home"}}},
		"empty of home": {env: map[string]string{"HOME": ""}, want: http.Header{}},
	} {
		t.Run(name, func(t *testing.T) {
			noEnv(t)
			if err := os.MkdirAll(filepath.Join(dir, ".ray"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ".ray", "auth_token"), []byte("home"), 0o600); err != nil {
				t.Fatal(err)
			}
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			c, err := New("", tc.o)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Fatalf("%v, want %s", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, c.header); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFaultsHaveHints(t *testing.T) {
	noEnv(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		prepare func(*raytest.Server) string // gives another address, if it wants one
		kind    error
		text    string
		hint    string
	}{
		"closed port":    {func(*raytest.Server) string { return closed.URL }, ErrUnreachable, "refused", "ray status"},
		"no such host":   {func(*raytest.Server) string { return "http://host.invalid:1" }, ErrUnreachable, "host.invalid", "8265"},
		"always cut":     {func(s *raytest.Server) string { s.Cut("version", 100); return "" }, ErrUnreachable, "EOF", "ray status"},
		"web page":       {func(s *raytest.Server) string { s.Page("version", 1, 200); return "" }, ErrNotRay, "a web page", "8265"},
		"page not found": {func(s *raytest.Server) string { s.Page("version", 1, 404); return "" }, ErrNotRay, "", "8265"},
		"other program":  {func(s *raytest.Server) string { s.Say("version", 1, 404, "nope"); return "" }, ErrNotRay, "/api/version", "8265"},
		"no version":     {func(s *raytest.Server) string { s.SetVersion(""); return "" }, ErrNotRay, "version", "8265"},
		"old":            {func(s *raytest.Server) string { s.SetVersion("2.9.3"); return "" }, ErrVersion, "2.9.3", "2.40"},
		"new":            {func(s *raytest.Server) string { s.SetVersion("3.0.0"); return "" }, ErrVersion, "3.0.0", "2.40"},
		"no token":       {func(s *raytest.Server) string { s.SetToken("t"); return "" }, ErrDenied, "Missing authentication token (HTTP 401)", "RAY_AUTH_TOKEN"},
		"broken head":    {func(s *raytest.Server) string { s.Fail("version", 100, 500); return "" }, ErrServer, "RuntimeError: fault 500 on order (HTTP 500)", "dashboard.log"},
		"proxy's page":   {func(s *raytest.Server) string { s.Page("version", 100, 502); return "" }, ErrServer, "a web page", "head"},
		"redirect": {func(s *raytest.Server) string {
			r := httptest.NewServer(http.RedirectHandler(s.URL+"/api/version", http.StatusFound))
			t.Cleanup(r.Close)
			return r.URL
		}, ErrNotRay, "sends on to", "8265"},
	} {
		t.Run(name, func(t *testing.T) {
			s := raytest.New(nil)
			defer s.Close()
			address := tc.prepare(s)
			if address == "" {
				address = s.URL
			}
			_, err := client(t, address, Options{}).Version(t.Context())
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.text) || !strings.Contains(because.Hint(err), tc.hint) {
				t.Errorf("%v\nhint: %s", err, because.Hint(err))
			}
		})
	}
}

func TestTokenAndHeadersAreSent(t *testing.T) {
	noEnv(t)
	s, _ := cluster(t, nil)
	s.SetToken("right")
	if _, err := client(t, s.URL, Options{Token: "wrong"}).List(t.Context()); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
	c := client(t, s.URL, Options{Token: "right"})
	if err := c.Submit(t.Context(), Submission{ID: "a", Entry: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Follow(t.Context(), "a", nil); !errors.Is(err, ErrNoResult) { // the stream sends it too
		t.Error(err)
	}
}

func TestFaultsThatPass(t *testing.T) {
	s, c := cluster(t, nil)
	s.Fail("GET /api/version", 2, 503)
	s.Cut("GET /api/version", 1)
	if v, err := c.Version(t.Context()); err != nil || v.Ray != "2.60.0" || v.API != "4" {
		t.Error(v, err)
	}
	s.Page("GET /api/jobs/", 1, 404)
	if _, err := c.List(t.Context()); !errors.Is(err, ErrNotRay) {
		t.Error(err)
	}
	s.Fail("GET /api/version", 10, 404)
	if _, err := c.Version(t.Context()); err == nil {
		t.Error("no error")
	}
	if n := s.Requests()["GET /api/version"]; n != 5 {
		t.Errorf("%d requests", n)
	}
}

func TestSubmitOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*raytest.Server)
		posts   int
		kind    error
	}{
		"plain":                    {func(*raytest.Server) {}, 1, nil},
		"answer lost":              {func(s *raytest.Server) { s.Lose("POST", 1) }, 1, nil},
		"request lost":             {func(s *raytest.Server) { s.Cut("POST", 1) }, 2, nil},
		"head starts up":           {func(s *raytest.Server) { s.Fail("POST", 3, 500) }, 4, nil},
		"head stays down":          {func(s *raytest.Server) { s.Fail("POST", 9, 500) }, 4, ErrServer},
		"refused":                  {func(s *raytest.Server) { s.Say("POST", 1, 400, "TypeError: no") }, 1, ErrRequest},
		"lost, and the status too": {func(s *raytest.Server) { s.Lose("POST", 1); s.Fail("GET", 2, 500) }, 1, nil},
		"lost, and no status":      {func(s *raytest.Server) { s.Lose("POST", 1); s.Fail("GET", 20, 500) }, 1, ErrServer},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := cluster(t, nil)
			tc.prepare(s)
			err := c.Submit(t.Context(), Submission{ID: "one", Entry: "python x.py", Metadata: map[string]string{"a": "b"}})
			if (err == nil) != (tc.kind == nil) || tc.kind != nil && !errors.Is(err, tc.kind) {
				t.Error(err)
			}
			if n := s.Requests()["POST /api/jobs/"]; n != tc.posts || len(s.Jobs()) > 1 {
				t.Errorf("%d posts, want %d; %d jobs", n, tc.posts, len(s.Jobs()))
			}
		})
	}
	s, c := cluster(t, nil)
	if err := c.Submit(t.Context(), Submission{ID: "one", Entry: "x"}); err != nil {
		t.Fatal(err)
	}
	s.Cut("POST", 1) // even so, another's job of this name is not ours
	for range 2 {
		if err := c.Submit(t.Context(), Submission{ID: "one", Entry: "y"}); !errors.Is(err, ErrConflict) {
			t.Error(err)
		}
	}
}

func TestJobsOfACluster(t *testing.T) {
	hold := make(chan struct{})
	s, c := cluster(t, func(raytest.Job) raytest.Script {
		return raytest.Script{Lines: append(raytest.Print("hello"), raytest.Line{Until: hold})}
	})
	ctx := t.Context()
	for _, id := range []string{"a", "b"} {
		if err := c.Submit(ctx, Submission{ID: id, Entry: "x", Env: RuntimeEnv{Vars: map[string]string{"K": "V"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.Jobs()[0].Vars["K"]; v != "V" {
		t.Error(v)
	}
	all, err := c.List(ctx)
	if err != nil || len(all) != 2 || all[0].ID != "a" {
		t.Error(all, err)
	}
	if err := c.Delete(ctx, "a"); err == nil || !strings.Contains(err.Error(), "non-terminal") {
		t.Error(err)
	}
	if ok, err := c.Stop(ctx, "a"); err != nil || !ok {
		t.Error(ok, err)
	}
	if ok, err := c.Stop(ctx, "a"); err != nil || ok {
		t.Error(ok, err)
	}
	if d, err := c.Status(ctx, "a"); err != nil || d.Status != Stopped || d.End == 0 {
		t.Error(d, err)
	}
	if err := c.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(ctx, "a"); !errors.Is(err, ErrNotFound) || because.Hint(err) == "" {
		t.Error(err)
	}
	close(hold)
	if _, err := c.await(ctx, "b"); err != nil {
		t.Error(err)
	}
	if text, err := c.Logs(ctx, "b"); err != nil || text != "hello\n" {
		t.Errorf("%q %v", text, err)
	}
}

func TestResources(t *testing.T) {
	s, c := cluster(t, nil)
	s.SetNodes(raytest.Node{Name: "head", CPU: 2, Memory: 8 << 30}, raytest.Node{Name: "w1", CPU: 16, GPU: 4, Kind: "A100", Memory: 64 << 30},
		raytest.Node{Name: "w2", CPU: 16, GPU: 4, Kind: "A100", Memory: 64 << 30})
	state, err := c.Resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.NoStateAPI()
	summary, err := c.Resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Resources{Nodes: []Node{{Name: "head", Head: true, CPU: 2, Memory: 8 << 30}, {Name: "w1", CPU: 16, GPU: 4, Kinds: []string{"A100"}, Memory: 64 << 30},
		{Name: "w2", CPU: 16, GPU: 4, Kinds: []string{"A100"}, Memory: 64 << 30}}}
	if d := cmp.Diff(want, state); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, summary); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Node{CPU: 34, GPU: 8, Kinds: []string{"A100"}, Memory: 136 << 30}, state.Sum()); d != "" {
		t.Error(d)
	}
	for _, tc := range []struct {
		need  Need
		fault string
	}{
		{Need{8, 4, 1}, ""}, {Need{2, 1, 4}, ""}, {Need{34, 1, 0}, ""}, {Need{3, 0.5, 0}, ""}, {Need{16, 1, 0.5}, ""}, {Need{1000, 0, 0}, ""},
		{Need{9, 1, 1}, "room for 8"}, {Need{1, 1, 8}, "no node has so many GPUs"}, {Need{1, 32, 0}, "no node has so many CPUs"}, {Need{5, 8, 1}, "room for 4"},
		{Need{3, 16, 0}, "room for 2"}, {Need{4, 1, 3}, "room for 2"},
	} {
		err := state.Fits(tc.need)
		if (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%v: %v", tc.need, err)
		}
	}
	if err := (Resources{}).Fits(Need{1, 1, 0}); err == nil {
		t.Error("room in an empty cluster")
	}
}

func TestVersionRange(t *testing.T) {
	for v, want := range map[string]bool{"2.40.0": true, "2.60.0": true, "2.100.1": true, "2.39.0": false, "3.0.0": false, "1.13.0": false, "2": false, "": false, "2.x": false, "2.41.0rc1": true} {
		if (Version{Ray: v}).InRange() != want {
			t.Error(v)
		}
	}
}

func TestCause(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"Job a does not exist": "Job a does not exist",
		"two\nlines\n":         "two lines",
		"Traceback (most recent call last):\n  File\nValueError: no.\n": "ValueError: no",
		"Traceback (most recent call last):\n  x\nRuntimeError: Request failed with status code 400: Traceback (most recent call last):\n  y\nValueError: taken.\n.\n": "ValueError: taken",
		strings.Repeat("é", 500): strings.Repeat("é", 300) + " ...",
	} {
		if got := cause(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestCancelledRequest(t *testing.T) {
	s, c := cluster(t, nil)
	s.Slow(time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Version(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if n := s.Requests()["GET /api/version"]; n != 1 {
		t.Errorf("%d requests", n)
	}
}
