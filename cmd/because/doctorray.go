package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	rayengine "github.com/because-lab/because/engines/ray"
	"github.com/because-lab/because/internal/storage"
	"github.com/because-lab/because/train/ray"
)

// rayDoctorOptions are the flags of doctor for a cluster.
type rayDoctorOptions struct {
	rayOptions
	storage string
}

func (o *rayDoctorOptions) addTo(f *pflag.FlagSet) {
	f.StringVar(&o.address, "ray", "", "look at the Ray cluster at this `address`")
	f.StringVar(&o.storage, "storage", "", "with --ray: `URI` that this machine and all nodes are to write to")
	f.IntVar(&o.workers, "workers", 0, "with --ray: `number` of workers to find room for")
	f.Float64Var(&o.gpus, "gpus-per-worker", 0, "with --ray: `GPUs` of each")
	f.Float64Var(&o.cpus, "cpus-per-worker", 1, "with --ray: `cores` of each")
	f.StringSliceVar(&o.pip, "pip", nil, "with --ray: `packages` that Ray is to install for the job")
	f.StringSliceVar(&o.env, "env", nil, "with --ray: `names` of variables to pass on to the job")
	f.StringVar(&o.python, "python", "python", "with --ray: `command` of the Python interpreter on the cluster")
}

// rayDoctor prints a line per finding. The error counts those that would keep a job from running.
func (a *app) rayDoctor(ctx context.Context, o rayDoctorOptions) error {
	client, err := o.client()
	if err != nil {
		return usageError{err}
	}
	env, err := o.variables()
	if err != nil {
		return err
	}
	probe := ray.Probe{Engine: rayengine.Files, Env: env, Pip: o.pip, Python: o.python}
	if o.workers > 0 {
		probe.Need = ray.Need{Workers: o.workers, GPUs: o.gpus, CPUs: o.cpus}
	}
	var all []ray.Finding
	if o.storage != "" {
		if probe.Storage, err = uriOf(o.storage); err != nil {
			return err
		}
		all = append(all, storageFinding(ctx, probe.Storage))
	}
	a.interrupt.allow(10 * time.Second) // to stop the probe
	all = append(all, ray.Check(ctx, client, probe)...)
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	bad := 0
	for _, f := range all {
		mark := "ok"
		if !f.OK {
			mark, bad = "NOT OK", bad+1
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, mark, oneLine(f.Detail))
		if f.Hint != "" {
			fmt.Fprintf(w, "\t\t%s\n", oneLine(f.Hint))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return because.ErrInterrupted
	}
	if bad > 0 {
		return because.E("doctor", client.Address(), fmt.Errorf("%s not in order", amount(bad, "thing")), "")
	}
	return nil
}

// storageFinding writes to the storage from this machine and reads it back.
func storageFinding(ctx context.Context, uri string) ray.Finding {
	const key, text = ".because-doctor", "written by because doctor\n"
	f := ray.Finding{Name: "storage from here", Detail: uri}
	err := func() error {
		store, err := storage.Open(ctx, uri)
		if err != nil {
			return err
		}
		if err := store.Put(ctx, key, strings.NewReader(text), int64(len(text)), storage.SumOf([]byte(text))); err != nil {
			return err
		}
		body, _, err := store.Get(ctx, key)
		if err != nil {
			return err
		}
		return body.Close()
	}()
	if err != nil {
		var known *because.Error
		f.Detail, f.Hint = err.Error(), because.Hint(err)
		if errors.As(err, &known) && known.Err != nil {
			f.Detail = uri + ": " + known.Err.Error()
		}
		return f
	}
	f.OK = true
	return f
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
