package finetune

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/internal/whole"
)

// The names in an output folder. tmpDir holds what is being written; everything else appears by rename.
const (
	runName       = "run.json"
	metricsName   = "metrics.jsonl"
	resultName    = "result.json"
	lockName      = ".lock"
	tmpDir        = ".tmp"
	modelDir      = "model"
	adapterDir    = "adapter"
	checkpointDir = "checkpoint-"
	optimizerName = "optimizer.safetensors"
	stateName     = "state.json"
)

// folder is the output of a run, locked by this process.
type folder struct {
	dir     string
	lock    *os.File
	metrics *os.File
}

// openFolder makes an output folder or takes up that of a run with the same identity.
func openFolder(dir string, identity []byte) (*folder, error) {
	f := &folder{dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, f.fault("make", dir, err)
	}
	if err := f.checkNames(); err != nil {
		return nil, err
	}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.open(identity); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// checkNames refuses a folder that holds something else, before anything is written to it.
func (f *folder) checkNames() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return f.fault("read", f.dir, err)
	}
	ours := func(e os.DirEntry) bool { return e.Name() == lockName || e.Name() == tmpDir }
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !ours(e) }) {
		return nil
	}
	if _, err := os.Stat(f.path(runName)); err != nil {
		return because.E("fine-tune", f.dir, errors.New("the folder is not empty and holds no run"), "choose another folder, or remove it first")
	}
	return nil
}

// open compares the identity with what is there, or writes it.
func (f *folder) open(identity []byte) error {
	if err := os.RemoveAll(f.path(tmpDir)); err != nil {
		return f.fault("clean", f.path(tmpDir), err)
	}
	old, err := os.ReadFile(f.path(runName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.writeFile(runName, identity)
	case err != nil:
		return f.fault("read", f.path(runName), err)
	case !bytes.Equal(old, identity):
		return because.E("fine-tune", f.dir, fmt.Errorf("the folder holds another run: %s differ", strings.Join(differences(old, identity), ", ")),
			"choose another folder, remove this one, or start with the same settings, data and model to resume")
	}
	return nil
}

// differences names the keys of two JSON objects whose values differ.
func differences(a, b []byte) []string {
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return []string{"the contents of " + runName}
	}
	names := map[string]bool{}
	for k := range x {
		names[k] = !bytes.Equal(x[k], y[k])
	}
	for k := range y {
		names[k] = !bytes.Equal(x[k], y[k])
	}
	maps.DeleteFunc(names, func(_ string, differ bool) bool { return !differ })
	return slices.Sorted(maps.Keys(names))
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// close lets others use the folder.
func (f *folder) close() {
	if f.metrics != nil {
		f.metrics.Close() // each line has reached the system already
	}
	f.lock.Close()
}

// writeFile makes a file hold data, at once and durably.
func (f *folder) writeFile(name string, data []byte) error {
	err := os.MkdirAll(f.path(tmpDir), 0o755)
	tmp := filepath.Join(f.path(tmpDir), filepath.Base(name))
	if err == nil {
		err = writeSynced(tmp, data)
	}
	if err == nil {
		err = os.Rename(tmp, f.path(name))
	}
	if err == nil {
		err = whole.SyncDir(f.dir)
	}
	if err != nil {
		return f.fault("write", f.path(name), err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Sync(), w.Close())
}

// writeFolder fills a folder out of sight and then puts it at name, at once and durably.
func (f *folder) writeFolder(name string, fill func(dir string) error) error {
	tmp := filepath.Join(f.path(tmpDir), name)
	err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(f.path(tmpDir), 0o755))
	if err == nil {
		err = fill(tmp)
	}
	if err == nil {
		err = whole.SyncDir(tmp)
	}
	if err == nil {
		err = os.RemoveAll(f.path(name)) // a run that was killed before its result has left one
	}
	if err == nil {
		err = os.Rename(tmp, f.path(name))
	}
	if err == nil {
		err = whole.SyncDir(f.dir)
	}
	if err != nil {
		return f.fault("write", f.path(name), err)
	}
	return nil
}

// checkpoint saves the state after a step and removes all but the last few.
func (f *folder) checkpoint(step int, l *learner, keep int) error {
	if err := f.metrics.Sync(); err != nil {
		return f.fault("write", f.path(metricsName), err)
	}
	state, err := json.Marshal(checkpointState{step})
	if err != nil {
		return f.fault("write", f.dir, err)
	}
	err = f.writeFolder(fmt.Sprintf("%s%07d", checkpointDir, step), func(dir string) error {
		var err error
		if l.adapter != nil {
			err = SaveAdapter(dir, l.adapter, "")
		} else {
			err = weights.SaveModel(dir, l.model, weights.SaveOptions{})
		}
		return errors.Join(err, weights.SaveOptimizer(filepath.Join(dir, optimizerName), l.opt.State()), writeSynced(filepath.Join(dir, stateName), state))
	})
	if err != nil {
		return err
	}
	steps, err := f.checkpoints()
	if err != nil {
		return err
	}
	for _, old := range steps[:max(0, len(steps)-keep)] {
		if err := f.remove(fmt.Sprintf("%s%07d", checkpointDir, old)); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a folder out of sight before it takes it apart, so that none is ever seen in parts.
func (f *folder) remove(name string) error {
	gone := filepath.Join(f.path(tmpDir), "removed")
	err := os.RemoveAll(gone)
	if err == nil {
		err = os.Rename(f.path(name), gone)
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil {
		return f.fault("remove", f.path(name), err)
	}
	return nil
}

// checkpointState is state.json.
type checkpointState struct {
	Step int `json:"step"`
}

// checkpoints lists the steps that there are checkpoints of, in order. Each is whole: it came by rename.
func (f *folder) checkpoints() ([]int, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, f.fault("read", f.dir, err)
	}
	var steps []int
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), checkpointDir); ok {
			if n, err := strconv.Atoi(number); err == nil {
				steps = append(steps, n)
			}
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// restore brings l to the last checkpoint and returns its step, 0 if there is none.
func (f *folder) restore(l *learner) (int, error) {
	steps, err := f.checkpoints()
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	step := steps[len(steps)-1]
	dir := f.path(fmt.Sprintf("%s%07d", checkpointDir, step))
	if err := readCheckpoint(dir, step, l); err != nil {
		return 0, because.E("fine-tune: resume", dir, err, "remove this checkpoint to go on from the one before it")
	}
	return step, nil
}

func readCheckpoint(dir string, step int, l *learner) error {
	data, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return err
	}
	var state checkpointState
	if err := json.Unmarshal(data, &state); err != nil || state.Step != step {
		return fmt.Errorf("%s is not that of step %d (%v)", stateName, step, err)
	}
	name := "model.safetensors"
	if l.adapter != nil {
		name = adapterTensors
	}
	if err := readTensors(filepath.Join(dir, name), l.tensors()); err != nil {
		return err
	}
	moments, err := weights.LoadOptimizer(filepath.Join(dir, optimizerName))
	if err != nil {
		return err
	}
	if moments.Step != step {
		return fmt.Errorf("%s is that of step %d", optimizerName, moments.Step)
	}
	return l.opt.Restore(moments)
}

// adapter writes the final adapter.
func (f *folder) adapter(l *llama.LoRA, base string) error {
	return f.writeFolder(adapterDir, func(dir string) error { return SaveAdapter(dir, l, base) })
}

// model writes the final model.
func (f *folder) model(m *llama.Model, o weights.SaveOptions) error {
	return f.writeFolder(modelDir, func(dir string) error { return weights.SaveModel(dir, m, o) })
}

// finish writes the result, which marks the run as finished.
func (f *folder) finish(r Result) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = f.metrics.Sync()
	}
	if err != nil {
		return f.fault("write", f.dir, err)
	}
	if err := f.writeFile(resultName, append(data, '\n')); err != nil {
		return err
	}
	if err := os.RemoveAll(f.path(tmpDir)); err != nil {
		return f.fault("clean", f.path(tmpDir), err)
	}
	return nil
}

// finished gives the result of a run that has ended.
func (f *folder) finished() (Result, bool, error) {
	data, err := os.ReadFile(f.path(resultName))
	if errors.Is(err, fs.ErrNotExist) {
		return Result{}, false, nil
	}
	var r Result
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return Result{}, false, f.fault("read", f.path(resultName), err)
	}
	r.Resumed = r.Steps
	return r, true, nil
}
