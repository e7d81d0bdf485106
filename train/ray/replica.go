package ray

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train"
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

// ServeModel sees to it that a cluster serves a model under a name, and waits until it answers. The URL is that of OpenAI's API, up to and with /v1.
func (c *Client) ServeModel(ctx context.Context, name, model string, env RuntimeEnv, r Replica) (string, error) {
	app := App{Name: name, Route: "/" + name, Import: builder, Args: r.args(model, name), Env: env}
	if err := c.Deploy(ctx, app); err != nil {
		return "", err
	}
	at, err := c.Await(ctx, name)
	if err != nil {
		return "", err
	}
	url := at + "/v1"
	return url, c.answers(ctx, url)
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

// Serve lets the cluster serve a checkpoint of this machine. Calls for the same one share an application, which goes with the last.
func (e *Engine) Serve(ctx context.Context, folder string) (train.Endpoint, func() error, error) {
	fail := func(err error) (train.Endpoint, func() error, error) { return train.Endpoint{}, nil, err }
	model, err := PutModel(ctx, folder, e.Storage, nil)
	if err != nil {
		return fail(err)
	}
	env, err := e.Environment(ctx)
	if err != nil {
		return fail(err)
	}
	name := "because-" + path.Base(model)
	e.mu.Lock()
	if e.apps == nil {
		e.apps = map[string]int{}
	}
	e.apps[name]++
	e.mu.Unlock()
	stop := func() error { return e.release(context.WithoutCancel(ctx), name) }
	e.deploying.Lock() // Serve is told of all applications at once
	url, err := e.Client.ServeModel(ctx, name, model, env, e.Replica)
	e.deploying.Unlock()
	if err != nil {
		return fail(errors.Join(err, stop()))
	}
	return train.Endpoint{URL: url, Model: name}, stop, nil
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

func (e *Engine) release(ctx context.Context, name string) error {
	e.deploying.Lock()
	defer e.deploying.Unlock()
	e.mu.Lock()
	e.apps[name]--
	last := e.apps[name] == 0
	if last {
		delete(e.apps, name)
	}
	e.mu.Unlock()
	if !last {
		return nil
	}
	return e.Client.Undeploy(ctx, name)
}

// Close takes away what is still served for this engine.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	names := maps.Clone(e.apps)
	e.apps = nil
	e.mu.Unlock()
	var all []error
	for name := range names {
		all = append(all, e.Client.Undeploy(ctx, name))
	}
	e.opening.Lock()
	defer e.opening.Unlock()
	if e.rewards != nil {
		all = append(all, e.rewards.Close())
		e.rewards = nil
	}
	return errors.Join(all...)
}
