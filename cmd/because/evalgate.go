package main

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/gate"
)

// runGate runs a task's known groups and gives the verdict.
func (a *app) runGate(ctx context.Context, t evalTask, run eval.Options, p *progress, models *chats, retries *atomic.Int64) (eval.Validity, error) {
	if t.contrasts == nil {
		return eval.Validity{}, usage("eval", "--gate", "leave --gate out", "%s has no known groups", t.Name)
	}
	contrasts, err := t.contrasts()
	if err != nil {
		return eval.Validity{}, err
	}
	run.Limit, run.Epochs = 0, 1
	run.Log = strings.TrimSuffix(run.Log, ".eval") + ".gate"
	v, err := gate.Run(ctx, contrasts, gate.Options{Options: run, Report: func(group string) (func(eval.Progress), func(error)) {
		report, done := p.work("known group " + group)
		return evalProgress(report, models, retries), done
	}})
	if err != nil {
		return v, because.E("check known groups", t.Name, err, because.Hint(err))
	}
	return v, nil
}
