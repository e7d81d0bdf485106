package study

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because/data"
	"github.com/because-lab/because/train"
)

// Dir is the folder that relative paths in the study start from: that of its file, or "" for the current one.
func (f *File) Dir() string { return f.source.dir }

// localTarget begins the targets that are a checkpoint's path.
const localTarget = "local:"

// relocated gives the study as a file in another folder would say it: relative paths, of the target and of data, lead from there to where they led.
func (f *File) relocated(w World, folder string) (*File, error) {
	out := f.clone()
	if path, ok := strings.CutPrefix(f.Target, localTarget); ok {
		out.Target = localTarget + f.movedPath(path, folder)
	}
	if f.Replay != nil {
		replay := *f.Replay
		var err error
		if replay.With, err = f.movedOptions(w, replay.Recipe, replay.With, folder); err != nil {
			return nil, err
		}
		out.Replay = &replay
	}
	var err error
	if out.Init, err = f.movedStages(w, f.Init, folder); err != nil {
		return nil, err
	}
	for i := range out.Arms {
		if out.Arms[i].Stages, err = f.movedStages(w, out.Arms[i].Stages, folder); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f *File) movedStages(w World, stages []Stage, folder string) ([]Stage, error) {
	out := slices.Clone(stages)
	for i := range out {
		method, given := out[i].Method()
		if method != train.SFT && method != train.SDF {
			continue
		}
		s := f.merged(method, given)
		with, err := f.movedOptions(w, s.Recipe, s.With, folder)
		if err != nil {
			return nil, err
		}
		s.With = with
		*out[i].of(method) = s
	}
	return out, nil
}

// movedOptions moves the options that are paths: those which resolving takes away.
func (f *File) movedOptions(w World, recipe string, with map[string]any, folder string) (map[string]any, error) {
	r, ok := w.(Resolving)
	if !ok || len(with) == 0 {
		return with, nil
	}
	known, err := r.ResolveData(data.Order{World: switches(f.Worlds[0]), Recipe: recipe, With: normal(with)})
	if err != nil {
		return nil, err
	}
	out := maps.Clone(with)
	for key, v := range with {
		if path, isText := v.(string); isText {
			if _, stays := known.With[key]; !stays {
				out[key] = f.movedPath(path, folder)
			}
		}
	}
	return out, nil
}

// movedPath gives a path from the study's folder as one from another. Where none leads from there, as between two disks of Windows, it is absolute.
func (f *File) movedPath(path, folder string) string {
	if filepath.IsAbs(path) {
		return path
	}
	target, err := filepath.Abs(filepath.Join(f.source.dir, path))
	if err != nil {
		return path
	}
	from, err := filepath.Abs(folder)
	if err != nil {
		return filepath.ToSlash(target)
	}
	rel, err := filepath.Rel(from, target)
	if err != nil {
		return filepath.ToSlash(target)
	}
	return filepath.ToSlash(rel)
}
