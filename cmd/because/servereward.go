package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/serve"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/train/ray"
	"github.com/because-lab/because/train/reward"
)

// rewardToken holds the token of serve --reward, here and in the jobs that ask it.
const rewardToken = ray.RewardToken

// rewardOptions are the flags of serve --reward.
type rewardOptions struct {
	modelOptions
	rubric, judge string
}

// serveReward offers a judge's grades as rewards until ctx ends.
func (a *app) serveReward(ctx context.Context, o serveOptions) error {
	if o.reward.judge == "" {
		return usage("serve", "--judge", "name the model that grades: because serve --reward --judge MODEL", "is missing")
	}
	rubric, err := judge.FindRubric(o.reward.rubric)
	if err != nil {
		return usageError{err}
	}
	if o.token == "" {
		o.token = os.Getenv(rewardToken)
	}
	models, err := a.newChats(o.reward.modelOptions, nil)
	if err != nil {
		return err
	}
	defer models.Close()
	m, err := models.get(ctx, o.reward.judge)
	if err != nil {
		return err
	}
	j, err := judge.New(m, rubric, judge.Options{Schema: true})
	if err != nil {
		return err
	}
	rewards, err := reward.Judged(j, o.reward.connections)
	if err != nil {
		return usageError{err}
	}
	listener, err := serve.Listen(ctx, o.addr, o.token)
	if err != nil {
		return err
	}
	a.interrupt.allow(12 * time.Second)
	fmt.Fprintf(a.err, "rewards by %s (rubric %s) are at http://%s; end with Ctrl-C\n", m.Name(), rubric.Name, listener.Addr())
	return serveHTTP(ctx, listener, reward.Handler(rewards, o.token))
}

// serveHTTP serves until ctx ends, and lets requests in progress finish for ten seconds.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return because.E("serve", l.Addr().String(), err, "")
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.Shutdown(grace)
	if err != nil {
		err = errors.Join(because.E("serve", l.Addr().String(), err, "requests in progress were cut off"), s.Close())
	}
	<-failed
	return err
}
