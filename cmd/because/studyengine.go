package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
	rayengine "github.com/because-lab/because/engines/ray"
	"github.com/because-lab/because/study"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/ray"
)

// studyEngine makes what trains the models of a study in dir, nil for this process. What it returns beside is closed after the last step.
func (a *app) studyEngine(ctx context.Context, f *study.File, dir string) (train.Engine, io.Closer, error) {
	t := f.Train
	if t == nil || t.Engine == study.EngineLocal {
		return nil, nothingOpen{}, nil
	}
	fail := func(key string, err error) (train.Engine, io.Closer, error) {
		return nil, nil, because.E("read study", f.Place("train."+key), err, because.Hint(err))
	}
	client, err := ray.New(t.Address, ray.Options{Wait: t.Wait})
	if err != nil {
		return fail("address", err)
	}
	env, err := rayOptions{env: t.Env, wait: t.Wait}.variables()
	if err != nil {
		return fail("env", err)
	}
	e := &ray.Engine{Client: client, Files: rayengine.Files, DType: orElse(t.DType, "float32"), Micro: t.Micro, Env: env, Pip: t.Pip, Python: t.Python,
		Run:     ray.Run{Workers: max(1, t.Workers), GPUs: t.GPUs, CPUs: t.CPUs, Strategy: orElse(t.Strategy, "ddp"), CheckpointEvery: 50, Keep: 2, Retries: 3},
		Replica: ray.Replica{GPUs: t.GPUs}}
	if t.CPUs == 0 {
		e.Run.CPUs = 1
	}
	if t.Retries != nil {
		e.Run.Retries = *t.Retries
	}
	if e.Owner, err = ownerOf(dir); err != nil {
		return nil, nil, err
	}
	where := t.Storage
	if !strings.Contains(where, "://") && !filepath.IsAbs(where) {
		where = filepath.Join(f.Dir(), where)
	}
	if e.Storage, err = uriOf(where); err != nil {
		return fail("storage", err)
	}
	if t.Reward != "" {
		listen, err := listenFor(t.Reward)
		if err != nil {
			return fail("reward", err)
		}
		e.Offer = func(ctx context.Context) (*ray.Rewards, error) {
			return ray.OfferRewards(ctx, listen, t.Reward, os.Getenv(ray.RewardToken))
		}
	}
	c := &closeEngine{app: a, e: e, ctx: context.WithoutCancel(ctx)}
	e.Warn = c.warned.add
	return e, c, nil
}

// ownerOf names whoever runs studies in a folder: one process at a time, since a run locks it.
func ownerOf(dir string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", because.E("name owner", dir, err, "")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", because.E("name owner", dir, err, "")
	}
	sum := sha256.Sum256([]byte(host + "\x00" + dir))
	return hex.EncodeToString(sum[:4]), nil
}

// listenFor gives the address to listen at for a URL under which others reach this machine.
func listenFor(reward string) (string, error) {
	u, err := url.Parse(reward)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return "", because.E("offer rewards", reward, fmt.Errorf("not a URL with a port"), "such as http://this-machine:8090")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return net.JoinHostPort("127.0.0.1", u.Port()), nil
	}
	return ":" + u.Port(), nil
}

// closeEngine closes an engine, and says what its jobs have warned of.
type closeEngine struct {
	app    *app
	e      *ray.Engine
	ctx    context.Context
	warned warnings
}

func (c *closeEngine) Close() error {
	c.warned.say(c.app)
	return c.e.Close(c.ctx)
}
