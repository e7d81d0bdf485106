package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/organism"
	"github.com/because-lab/because/studies"
	"github.com/because-lab/because/study"
)

// worlds gives the world of each target that a study file may name. This is the one place that knows them all.
var worlds = map[string]func() study.World{
	"organism": func() study.World { return organism.NewTarget() },
}

// loadStudy reads a study file, the default one where path is empty, and finds the world of its target.
func loadStudy(path string) (*study.File, study.World, error) {
	f, err := study.Parse(studies.Name, studies.TeachingWhy)
	if path != "" {
		f, err = study.Load(path)
	}
	if err != nil {
		return nil, nil, usageError{err}
	}
	world, ok := worlds[f.Target]
	if !ok {
		known := slices.Sorted(maps.Keys(worlds))
		return nil, nil, usage("read study", f.Place("target"), "there is "+strings.Join(known, ", "), "unknown target %q", f.Target)
	}
	return f, world(), nil
}

// openStudy is loadStudy, checked against the world and planned.
func (a *app) openStudy(path string, o study.Options) (*study.Study, error) {
	f, world, err := loadStudy(path)
	if err != nil {
		return nil, err
	}
	if o.Warn == nil {
		o.Warn = a.warn
	}
	s, err := study.Open(f, world, o)
	if aboutFile(err) {
		err = usageError{err}
	}
	return s, err
}

// aboutFile reports whether an error is about the study file or what the command line changes of it, rather than about
// the store.
func aboutFile(err error) bool {
	var e *because.Error
	return errors.As(err, &e) && (e.Op == "read study" || e.Op == "start study")
}
