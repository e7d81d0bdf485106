package ray

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/because-lab/because"
)

const servePath = "/api/serve/applications/"

// appDeleting is the state of an application that is on its way out.
const appDeleting = "DELETING"

// App asks Ray Serve for an application.
type App struct {
	Name   string         `json:"name"`
	Route  string         `json:"route_prefix"` // such as /
	Import string         `json:"import_path"`  // of the engine's builder: because_ray.serve:app_builder
	Args   map[string]any `json:"args,omitempty"`
	Env    RuntimeEnv     `json:"runtime_env"`
}

// AppStatus is an application as Serve tells it.
type AppStatus struct {
	Status  string          `json:"status"` // NOT_STARTED, DEPLOYING, RUNNING, UNHEALTHY, DEPLOY_FAILED, DELETING
	Message string          `json:"message"`
	Route   string          `json:"route_prefix"`
	Config  json.RawMessage `json:"deployed_app_config"` // null for one that a script has deployed
}

// Serving is what Ray Serve runs on a cluster.
type Serving struct {
	Apps map[string]AppStatus `json:"applications"`
	HTTP struct {
		Port int    `json:"port"`
		Root string `json:"root_path"`
	} `json:"http_options"`
}

// declared gives the configurations of the applications that were deployed through the REST API and are to stay, in order of name.
func (s Serving) declared() (configs []any) {
	for _, name := range slices.Sorted(maps.Keys(s.Apps)) {
		if a := s.Apps[name]; len(a.Config) > 0 && string(a.Config) != "null" && a.Status != appDeleting {
			configs = append(configs, a.Config)
		}
	}
	return configs
}

// Serving asks what Ray Serve runs.
func (c *Client) Serving(ctx context.Context) (Serving, error) {
	s, err := c.serving(ctx)
	return s, c.fail("ask Ray Serve", "", err)
}

func (c *Client) serving(ctx context.Context) (s Serving, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: servePath, answer: &s})
	return s, err
}

// Deploy asks for an application, or for a change of one, in the place of some others. Ray replaces all applications that were deployed through its REST API at once;
// so those of other names are sent along as they are. A change by somebody else in the same moment may be lost. Await tells when it runs.
func (c *Client) Deploy(ctx context.Context, a App, without ...string) error {
	s, err := c.serving(ctx)
	if err == nil {
		for _, name := range append(without, a.Name) {
			delete(s.Apps, name)
		}
		err = c.putApps(ctx, append(s.declared(), a))
	}
	return c.fail("deploy application", a.Name, err)
}

// Undeploy takes an application away and leaves the others. With the last one, Serve ends.
func (c *Client) Undeploy(ctx context.Context, name string) error {
	s, err := c.serving(ctx)
	if err == nil {
		if _, ok := s.Apps[name]; !ok {
			err = &Fault{Kind: ErrNotFound, Text: "Ray Serve runs no such application"}
		}
	}
	if err == nil {
		maps.DeleteFunc(s.Apps, func(other string, a AppStatus) bool { return other == name || a.Status == appDeleting })
		if len(s.Apps) == 0 {
			err = c.do(ctx, call{method: http.MethodDelete, path: servePath})
		} else {
			err = c.putApps(ctx, s.declared())
		}
	}
	return c.fail("take application away", name, err)
}

func (c *Client) putApps(ctx context.Context, apps []any) error {
	if apps == nil {
		apps = []any{}
	}
	return c.do(ctx, call{method: http.MethodPut, path: servePath, json: map[string]any{"applications": apps}})
}

// Await waits until an application runs, and gives the URL that it answers at: of the head, with the port of Serve's proxy. What Serve cannot deploy is an error
// with its words. A cancelled context ends the waiting alone.
func (c *Client) Await(ctx context.Context, name string) (string, error) {
	const op = "deploy application"
	var trouble time.Time
	missing := 0
	for wait := c.pace.fresh; ; wait = min(c.pace.slow, wait*5/4) {
		s, err := c.serving(ctx)
		a, known := s.Apps[name]
		switch {
		case ctx.Err() != nil:
			return "", because.E(op, name, because.ErrInterrupted, "Ray Serve goes on with it")
		case err != nil:
			if trouble.IsZero() {
				trouble = time.Now()
			}
			if !passing(err) || time.Since(trouble) > c.pace.patience {
				return "", c.fail(op, name, err)
			}
		case !known && missing < 5: // one of this name may have been on its way out
			missing++
		case !known:
			return "", c.fail(op, name, &Fault{Kind: ErrNotFound, Text: "Ray Serve runs no such application"})
		case a.Status == "RUNNING":
			return c.serveURL(s, a), nil
		case a.Status == "DEPLOY_FAILED":
			return "", because.E(op, name+" on "+c.Address(), errors.New("Ray Serve could not: "+cause(firstOf(a.Message, "it names no cause"))),
				"the logs of Serve in Ray's dashboard have more")
		default:
			trouble, missing = time.Time{}, 0
		}
		if sleep(ctx, wait) != nil {
			return "", because.E(op, name, because.ErrInterrupted, "Ray Serve goes on with it")
		}
	}
}

func (c *Client) serveURL(s Serving, a AppStatus) string {
	port := s.HTTP.Port
	if port == 0 {
		port = 8000 // Serve's own
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(c.base.Hostname(), strconv.Itoa(port))}
	return u.String() + s.HTTP.Root + a.Route
}
