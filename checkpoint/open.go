package checkpoint

import (
	"context"
	"errors"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/openai"
	"github.com/because-lab/because/model/pretrained"
)

// open makes the step's input "model" answer, in this process or by the engine, until the function given back is called.
func (t *Target) open(ctx context.Context, s Switches, w because.Work) (because.Chat, func(), error) {
	folder := w.In["model"]
	if folder == "" {
		return nil, nil, because.E("open model", "", errors.New("the step has no model"), "")
	}
	if t.o.Engine != nil {
		return t.serve(ctx, folder)
	}
	m, err := pretrained.Open(folder, pretrained.Options{Precision: infer.Precision(s.Precision), MaxQueue: 1 << 16, Workers: w.Workers})
	if err != nil {
		return nil, nil, err
	}
	return m, func() { m.Close() }, nil
}

// serve lets the engine serve a checkpoint.
func (t *Target) serve(ctx context.Context, folder string) (because.Chat, func(), error) {
	end, stop, err := t.o.Engine.Serve(ctx, folder)
	if err != nil {
		return nil, nil, err
	}
	closing := func() { stop() } //nolint:errcheck // the answers are there
	m, err := openai.New(openai.Options{Name: "served", Model: end.Model, BaseURL: strings.TrimSuffix(end.URL, "/"), Key: end.Token})
	if err != nil {
		closing()
		return nil, nil, err
	}
	wrapped, err := model.Wrap(m, model.WrapOptions{Cache: model.CacheOptions{Mode: model.CacheOff}})
	if err != nil {
		closing()
		return nil, nil, err
	}
	return wrapped, closing, nil
}
