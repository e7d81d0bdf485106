package ray

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/because-lab/because"
)

// builder makes the engine's application of Ray Serve: vLLM's server where there are GPUs, else one over transformers, with the same interface.
const builder = "because_ray.serve:app_builder"

// Replica says how a model is served.
type Replica struct {
	Replicas int     // 0: 1
	GPUs     float64 // of each
	DType    string  // empty: float32 without GPUs, else bfloat16
	MaxLen   int     // tokens of prompt and answer; 0: what the model takes
}

// args are those of the builder.
func (r Replica) args(model, name string) map[string]any {
	if r.DType == "" {
		r.DType = "float32"
		if r.GPUs > 0 {
			r.DType = "bfloat16"
		}
	}
	return map[string]any{"model": model, "name": name, "dtype": r.DType, "gpus": r.GPUs, "replicas": max(r.Replicas, 1), "max_len": r.MaxLen}
}

// app is the application that serves a model under a name. Where it is the only one that clients ask for, the application has this name too.
func (r Replica) app(app, model, name string, env RuntimeEnv) App {
	return App{Name: app, Route: "/" + app, Import: builder, Args: r.args(model, name), Env: env}
}

// ServeModel sees to it that a cluster serves a model under a name, and waits until it answers. The URL is that of OpenAI's API, up to and with /v1.
func (c *Client) ServeModel(ctx context.Context, name, model string, env RuntimeEnv, r Replica) (string, error) {
	if err := c.Deploy(ctx, r.app(name, model, name, env)); err != nil {
		return "", err
	}
	return c.awaitModel(ctx, name)
}

// awaitModel waits until an application that serves a model answers.
func (c *Client) awaitModel(ctx context.Context, app string) (string, error) {
	at, err := c.Await(ctx, app)
	if err != nil {
		return "", err
	}
	return at + "/v1", c.answers(ctx, at+"/v1")
}

// answers waits until a deployed application answers through the proxy, which learns of it a little later than Serve.
func (c *Client) answers(ctx context.Context, url string) error {
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/models", nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: c.http.Transport, Timeout: 10 * time.Second}).Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		last = err
		if sleep(ctx, c.pace.fresh) != nil {
			return because.E("serve model", url, because.ErrInterrupted, "")
		}
	}
	return because.E("serve model", url, fmt.Errorf("the application runs, and does not answer: %w", last), "this machine must reach the port of Ray Serve on the head")
}

// Environment uploads the Python package without a job, and gives what applications run in.
func (e *Engine) Environment(ctx context.Context) (RuntimeEnv, error) {
	p, err := (&packer{engine: e.Files, limit: packageLimit}).pack()
	if err != nil {
		return RuntimeEnv{}, err
	}
	defer p.Remove()
	uri, err := e.Client.Upload(ctx, p)
	return RuntimeEnv{WorkingDir: uri, Vars: e.Env, Pip: e.Pip}, err
}
