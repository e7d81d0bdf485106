package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/spf13/pflag"

	rayengine "github.com/because-lab/because/engines/ray"
	"github.com/because-lab/because/internal/storage"
	"github.com/because-lab/because/train/ray"
)

// serveRayOptions are the flags of serving on a cluster.
type serveRayOptions struct {
	rayOptions
	storage  string
	replicas int
	maxLen   int
	detach   bool
}

func (o *serveRayOptions) addTo(f *pflag.FlagSet) {
	f.StringVar(&o.address, "ray", "", "ray: "+rayHelp)
	f.IntVar(&o.replicas, "replicas", 1, "ray: `number` of copies of the model")
	f.Float64Var(&o.gpus, "gpus-per-worker", 0, "ray: `GPUs` of a copy; with some, vLLM serves it, else transformers do")
	f.StringVar(&o.dtype, "dtype", "", "ray: float32 or bfloat16 (default: float32 without GPUs)")
	f.IntVar(&o.maxLen, "max-len", 0, "ray: `tokens` of prompt and answer (default: what the model takes)")
	f.StringVar(&o.storage, "storage", "", "ray: `URI` that this machine and the cluster reach, to put a local model into")
	f.BoolVar(&o.detach, "detach", false, "ray: leave it running; because serve --stop NAME takes it away")
	f.StringSliceVar(&o.pip, "pip", nil, "ray: `packages` that Ray is to install for it")
	f.StringSliceVar(&o.env, "env", nil, "ray: `names` of variables to pass on to it")
}

// serveRay lets a cluster serve a model until ctx ends.
func (a *app) serveRay(ctx context.Context, o serveOptions) error {
	if o.model == "" {
		return usage("serve", "--model", "see because serve --help", "is missing")
	}
	client, err := o.cluster.client()
	if err != nil {
		return usageError{err}
	}
	env, err := o.cluster.variables()
	if err != nil {
		return err
	}
	model, err := a.servedModel(ctx, o)
	if err != nil {
		return err
	}
	name := o.name
	if name == "" {
		sum := sha256.Sum256([]byte(model))
		name = path.Base(strings.TrimSuffix(model, "/model")) + "-" + hex.EncodeToString(sum[:4])
	}
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	_, done := progress.work("deploy " + name)
	engine := ray.Engine{Client: client, Files: rayengine.Files, Env: env, Pip: o.cluster.pip}
	runtime, err := engine.Environment(ctx)
	var url string
	if err == nil {
		url, err = client.ServeModel(ctx, name, model, runtime, ray.Replica{Replicas: o.cluster.replicas, GPUs: o.cluster.gpus, DType: o.cluster.dtype, MaxLen: o.cluster.maxLen})
	}
	done(err)
	if err := errors.Join(err, progress.Stop()); err != nil {
		return err
	}
	if o.cluster.detach {
		fmt.Fprintf(a.out, "%s is at %s; because serve --engine ray --ray %s --stop %s takes it away\n", name, url, client.Address(), name)
		return nil
	}
	fmt.Fprintf(a.err, "%s is at %s; end with Ctrl-C\n", name, url)
	a.interrupt.allow(30 * time.Second)
	<-ctx.Done()
	return client.Undeploy(context.WithoutCancel(ctx), name)
}

// servedModel says where the cluster finds the model. A folder of results stands for the model in it.
func (a *app) servedModel(ctx context.Context, o serveOptions) (string, error) {
	if strings.Contains(o.model, "://") {
		uri := strings.TrimSuffix(o.model, "/")
		store, err := storage.Open(ctx, uri)
		if err != nil {
			return "", err
		}
		if is, err := store.Exists(ctx, "model/config.json"); err != nil || is {
			return uri + "/model", err
		}
		return uri, nil
	}
	where := o.cluster.storage
	if where != "" {
		var err error
		if where, err = uriOf(where); err != nil {
			return "", err
		}
	}
	return a.rayModel(ctx, o.model, where)
}

// stopServing takes an application away.
func (a *app) stopServing(ctx context.Context, o serveOptions) error {
	client, err := o.cluster.client()
	if err != nil {
		return usageError{err}
	}
	if err := client.Undeploy(ctx, o.stop); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s is taken away\n", o.stop)
	return nil
}
