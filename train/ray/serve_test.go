package ray

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

func TestServe(t *testing.T) {
	s, c := cluster(t, nil)
	s.AddScripted("theirs")
	ctx := t.Context()
	names := func(want ...string) {
		t.Helper()
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(s.Apps()))); d != "" {
			t.Error(d)
		}
	}
	app := App{Name: "one", Route: "/one", Import: "because_ray.serve:app_builder", Args: map[string]any{"model": "m"}, Env: RuntimeEnv{WorkingDir: "gcs://_ray_pkg_0.zip"}}
	if err := c.Deploy(ctx, app); err != nil {
		t.Fatal(err)
	}
	first := string(s.Apps()["one"])
	s.Cut("PUT", 1)
	app.Name, app.Route = "two", "/two"
	if err := c.Deploy(ctx, app); err != nil {
		t.Fatal(err)
	}
	names("one", "theirs", "two")
	if string(s.Apps()["one"]) != first {
		t.Error("another's configuration was changed")
	}
	url, err := c.Await(ctx, "two")
	if err != nil || url != "http://127.0.0.1:8000/two" {
		t.Error(url, err)
	}
	if err := c.Undeploy(ctx, "one"); err != nil {
		t.Error(err)
	}
	names("theirs", "two")
	if err := c.Undeploy(ctx, "one"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := c.Undeploy(ctx, "two"); err != nil {
		t.Error(err)
	}
	names("theirs")
	if _, err := c.Await(ctx, "two"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := c.Deploy(ctx, App{Name: "x"}); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), "import_path") {
		t.Error(err)
	}
}

func TestUndeployTheLast(t *testing.T) {
	s, c := cluster(t, nil)
	if err := c.Deploy(t.Context(), App{Name: "one", Import: "a:b"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Undeploy(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if n := s.Requests()["DELETE /api/serve/applications/"]; n != 1 || len(s.Apps()) != 0 {
		t.Error(n, s.Apps())
	}
}

// What is on its way out is not asked for again.
func TestDeployBesideOneThatGoes(t *testing.T) {
	s, c := cluster(t, nil)
	for _, name := range []string{"old", "new"} {
		if err := c.Deploy(t.Context(), App{Name: name, Import: "a:b"}); err != nil {
			t.Fatal(err)
		}
		s.ServeAs(func(app string, _ int) (string, string) {
			if app == "old" {
				return "DELETING", ""
			}
			return "RUNNING", ""
		})
	}
	if _, ok := s.Apps()["old"]; ok {
		t.Error("it was asked for again")
	}
}

func TestAwait(t *testing.T) {
	s, c := cluster(t, nil)
	if err := c.Deploy(t.Context(), App{Name: "one", Import: "a:b", Route: "/"}); err != nil {
		t.Fatal(err)
	}
	s.ServeAs(func(_ string, looks int) (string, string) {
		return []string{"DELETING", "NOT_STARTED", "DEPLOYING", "UNHEALTHY", "RUNNING"}[min(looks, 4)], ""
	})
	s.Fail("GET /api/serve", 6, 500)
	if url, err := c.Await(t.Context(), "one"); err != nil || url != "http://127.0.0.1:8000/" {
		t.Error(url, err)
	}
	s.ServeAs(func(string, int) (string, string) {
		return "DEPLOY_FAILED", "Traceback (most recent call last):\n  x\nImportError: no vllm\n"
	})
	if _, err := c.Await(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "ImportError: no vllm") || because.Hint(err) == "" {
		t.Error(err)
	}
	s.ServeAs(func(string, int) (string, string) { return "DEPLOYING", "" })
	ctx, cancel := context.WithTimeout(t.Context(), 5*c.pace.slow)
	defer cancel()
	if _, err := c.Await(ctx, "one"); !errors.Is(err, because.ErrInterrupted) {
		t.Error(err)
	}
}
