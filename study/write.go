package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/because-lab/because"
	"github.com/because-lab/because/report"
)

// Files of a study's folder beside those that package report writes.
const (
	studyFile     = "study.yaml"  // the study as it ran: defaults and overrides applied
	checkpointDir = "checkpoints" // WORLD/ARM/seed-N: each arm's model, in the store
	resultsFile   = "results.json"
	newDir        = ".new" // where all is made before it is moved to its place
)

// write puts everything that people and programs read into the study's folder. It is made aside and moved file by file,
// results.json last: whoever sees new results sees all that belongs to them.
func (s *Study) write(ctx context.Context, g *gathering, r *report.Results, transcripts []report.Transcript) error {
	folder := s.Folder()
	fresh := filepath.Join(folder, newDir)
	fail := func(err error) error {
		if ctx.Err() != nil {
			return errors.Join(because.ErrInterrupted, context.Cause(ctx))
		}
		return because.E("write results", folder, err, writeHint(err))
	}
	if err := os.RemoveAll(fresh); err != nil { // of a run that was killed
		return fail(err)
	}
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return fail(err)
	}
	defer os.RemoveAll(fresh) // what remains is rubbish, and the next run removes it too
	if err := s.writeNew(g, fresh); err != nil {
		return fail(err)
	}
	if err := report.Write(fresh, r, transcripts); err != nil {
		return fail(err)
	}
	if ctx.Err() != nil {
		return fail(ctx.Err())
	}
	if err := s.link(g, filepath.Join(folder, checkpointDir)); err != nil {
		return fail(err)
	}
	if err := install(fresh, folder); err != nil {
		return fail(err)
	}
	return nil
}

// writeNew writes what the report does not.
func (s *Study) writeNew(g *gathering, dir string) error {
	origins, err := g.lineage()
	if err != nil {
		return err
	}
	file, err := s.File.relocated(s.planner.w.World, s.Folder())
	if err != nil {
		return err
	}
	files := map[string][]byte{lineageFile: origins}
	if s.own != nil { // the folder must stand alone
		file.Constitution = s.text.Name
		files[s.text.Name] = s.own
	}
	if files[studyFile], err = file.Resolved(); err != nil {
		return err
	}
	for name, data := range files {
		if err := writeSynced(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// install moves the files below fresh to their places below folder, results.json last. Files that are equal stay. Those
// in folders of figures and transcripts that the new results don't have go.
func install(fresh, folder string) error {
	var files []string
	kept := map[string]bool{}
	err := filepath.WalkDir(fresh, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(fresh, path)
		if rel != resultsFile {
			files = append(files, rel)
		}
		kept[rel] = true
		return err
	})
	if err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, rel := range append(files, resultsFile) {
		if rel == resultsFile { // all else must be on disk before it
			if err := syncAll(dirs); err != nil {
				return err
			}
		}
		to := filepath.Join(folder, rel)
		changed, err := replace(filepath.Join(fresh, rel), to)
		if err != nil {
			return err
		}
		if changed {
			dirs[filepath.Dir(to)] = true
		}
	}
	if err := syncAll(dirs); err != nil {
		return err
	}
	return prune(folder, kept)
}

// replace moves a file to its place unless it is there already.
func replace(from, to string) (changed bool, err error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return false, err
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, data) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return false, err
	}
	return true, os.Rename(from, to)
}

func syncAll(dirs map[string]bool) error {
	for dir := range dirs {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		// Some file systems can't sync a folder; that is no failure.
		if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	clear(dirs)
	return nil
}

// prune removes figures and transcripts of earlier results.
func prune(folder string, kept map[string]bool) error {
	for _, sub := range []string{"figures", "transcripts"} {
		entries, err := os.ReadDir(filepath.Join(folder, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if rel := filepath.Join(sub, e.Name()); !e.IsDir() && !kept[rel] {
				if err := os.Remove(filepath.Join(folder, rel)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// link makes the arms' models reachable at WORLD/ARM/seed-N below dir, by links relative to it, so that the whole
// folder can be moved. Links of earlier runs that belong to nothing go.
func (s *Study) link(g *gathering, dir string) error {
	kept := map[string]bool{}
	for _, u := range s.planner.units {
		rel := filepath.Join(u.world, u.arm, seedDir(u.seed))
		path := filepath.Join(dir, rel)
		kept[rel] = true
		from, err1 := filepath.Abs(filepath.Dir(path))
		target, err2 := filepath.Rel(from, g.dir(u.model))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if err := pointTo(path, target); err != nil {
			return err
		}
	}
	var gone []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if !d.IsDir() && !kept[rel] {
			gone = append(gone, path)
		}
		return err
	})
	for _, path := range gone {
		err = errors.Join(err, os.Remove(path))
		for parent := filepath.Dir(path); parent != dir && os.Remove(parent) == nil; {
			parent = filepath.Dir(parent)
		}
	}
	return err
}

func seedDir(seed uint64) string { return fmt.Sprintf("seed-%d", seed) }

// pointTo makes path a symbolic link to target or, where the file system has none, a file with that path in it.
func pointTo(path, target string) error {
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(path), newDir)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		if err := writeSynced(temporary, []byte(target+"\n")); err != nil {
			return err
		}
	}
	return os.Rename(temporary, path)
}

// Checkpoint gives the folder of a model by a path from a study's folder: it follows the files that stand for links where
// the file system has none. Other paths it gives back as they are.
func Checkpoint(path string) (string, error) {
	const longest = 4096
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > longest {
		return path, nil //nolint:nilerr // whoever opens it will say what is wrong
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", because.E("open checkpoint", path, err, "")
	}
	target, ok := strings.CutSuffix(string(text), "\n")
	if !ok || strings.ContainsRune(target, '\n') {
		return path, nil
	}
	return filepath.Join(filepath.Dir(path), filepath.FromSlash(target)), nil
}

// writeHint says what to do about an error of the file system.
func writeHint(err error) string {
	if hint := because.Hint(err); hint != "" {
		return hint
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free some space or choose a folder on another disk; what is finished is kept"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "make the folder writable or choose another one"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return "a file stands where a folder is needed: remove it or choose another folder"
	}
	return ""
}
