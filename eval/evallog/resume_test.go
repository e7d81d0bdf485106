package evallog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

// TestKilled cuts the work file at any byte, as a kill during a write does, and goes on.
func TestKilled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		ok(t, err)
		path := filepath.Join(dir, "x.eval")
		w, err := Create(path, testStart())
		ok(t, err)
		type state struct {
			size int64
			done Done
		}
		states := []state{{w.size, Done{}}}
		for range rapid.IntRange(1, 12).Draw(rt, "samples") {
			id, epoch := IntID(rapid.Int64Range(1, 4).Draw(rt, "id")), rapid.IntRange(1, 2).Draw(rt, "epoch")
			s, bad := testSample(id, epoch), rapid.Bool().Draw(rt, "errored")
			if bad {
				s = failed(id, epoch)
			}
			ok(t, w.Sample(s))
			size := w.size
			if rapid.IntRange(0, 2).Draw(rt, "journal") == 0 {
				w.mu.Lock()
				ok(t, w.flush())
				w.mu.Unlock()
			}
			done := Done{Key{id, epoch}: bad}
			for k, v := range states[len(states)-1].done {
				if _, there := done[k]; !there {
					done[k] = v
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "publish") == 0 {
				ok(t, w.publish(false))
			}
			states = append(states, state{size, done})
		}
		size := w.size
		// The process dies: nothing is closed in order, only the lock goes.
		w.halt()
		ok(t, w.part.Close())
		at := rapid.Int64Range(states[0].size, size).Draw(rt, "cut")
		ok(t, os.Truncate(partPath(path), at))
		if rapid.Bool().Draw(rt, "lost") {
			ok(t, os.Remove(path))
		} else {
			openLog(t, path) // is whole at every moment
		}
		want := Done{}
		for _, s := range states {
			if s.size <= at {
				want = s.done
			}
		}
		w, got, err := Resume(path, testStart())
		ok(t, err)
		if d := cmp.Diff(want, got, noRaw); d != "" {
			rt.Fatal(d)
		}
		for id := int64(1); id <= 4; id++ {
			for epoch := 1; epoch <= 2; epoch++ {
				if bad, there := got[Key{IntID(id), epoch}]; bad || !there {
					ok(t, w.Sample(testSample(IntID(id), epoch)))
				}
			}
		}
		checkWhole(t, w, path)
	})
}

// checkWhole finishes a log of ids 1 to 4 and epochs 1 and 2, none of which may be missing, double or errored.
func checkWhole(t *testing.T, w *Writer, path string) {
	t.Helper()
	ok(t, w.Finish(testFinish()))
	r, err := Open(path)
	ok(t, err)
	defer r.Close()
	seen := map[Key]int{}
	for s, err := range r.Samples() {
		ok(t, err)
		seen[Key{s.ID, s.Epoch}]++
		if d := cmp.Diff(testSample(s.ID, s.Epoch).Messages, s.Messages, noRaw); d != "" || s.Error != nil {
			t.Fatal(s.ID, s.Error, d)
		}
	}
	rows, err := r.Summaries(0, 100)
	ok(t, err)
	for _, s := range rows {
		seen[Key{s.ID, s.Epoch}] += 10
		if s.Error != "" {
			t.Fatal("summary of the errored run", s.ID)
		}
	}
	for k, n := range seen {
		if n != 11 {
			t.Fatal(k, n)
		}
	}
	if n, err := r.Len(); len(seen) != 8 || len(rows) != 8 || n != 8 || err != nil {
		t.Fatal(len(seen), len(rows), n, err)
	}
	if _, err := os.Stat(partPath(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the work file is left", err)
	}
}

func TestResumeFinished(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"own": func(*testing.T, string) {},
		"foreign order": func(t *testing.T, path string) { // as of another writer: the generic way of copying
			r := openLog(t, path)
			f, err := os.Create(path + ".2")
			ok(t, err)
			defer f.Close()
			w := newWriter(path, testStart(), f, nil)
			for i := len(r.members) - 1; i >= 0; i-- {
				m := r.members[i]
				if !strings.HasPrefix(m.name, journalPrefix) {
					ok(t, w.copyMember(f, r.file, &m))
				}
			}
			ok(t, w.directory(f, len(w.index.entries), nil, w.size))
			ok(t, os.Rename(path+".2", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			write(t, path, nil, testSample(IntID(1), 1), failed(IntID(2), 1), failed(IntID(3), 1), testSample(IntID(3), 1))
			change(t, path)
			before, err := os.ReadFile(path)
			ok(t, err)
			w, done, err := Resume(path, testStart())
			ok(t, err)
			want := Done{Key{IntID(1), 1}: false, Key{IntID(2), 1}: true, Key{IntID(3), 1}: false}
			if d := cmp.Diff(want, done, noRaw); d != "" {
				t.Fatal(d)
			}
			ok(t, w.Close()) // without anything new, the log stays finished
			if after, err := os.ReadFile(path); err != nil || !cmp.Equal(before, after) {
				t.Fatal("the log changed", err)
			}
			w, _, err = Resume(path, testStart())
			ok(t, err)
			ok(t, w.Sample(testSample(IntID(2), 1)))
			ok(t, w.Close()) // in progress again
			if r := openLog(t, path); r.Header().Status != Started {
				t.Error(r.Header().Status)
			}
			w, done, err = Resume(path, testStart())
			ok(t, err)
			want[Key{IntID(2), 1}] = false
			if d := cmp.Diff(want, done, noRaw); d != "" {
				t.Fatal(d)
			}
			for id := int64(1); id <= 4; id++ {
				for epoch := 1; epoch <= 2; epoch++ {
					ok(t, w.Sample(testSample(IntID(id), epoch)))
				}
			}
			checkWhole(t, w, path)
		})
	}
}

func TestResumeRefuses(t *testing.T) {
	path := logPath(t)
	write(t, path, nil, testSample(IntID(1), 1))
	temperature := 0.5
	for field, change := range map[string]func(s *Start){
		"eval.task is ": func(s *Start) { s.Eval.Task = "because/other" },
		`eval.task_args.scenario is "blackmail" in the log and "leaking" now`: func(s *Start) { s.Eval.TaskArgs = []byte(`{"scenario":"leaking"}`) },
		"eval.model is ": func(s *Start) { s.Eval.Model = "mock/other" },
		"eval.model_args is absent in the log and ":            func(s *Start) { s.Eval.ModelArgs = []byte(`{"a":1}`) },
		"eval.dataset.samples is 3 in the log and 4 now":       func(s *Start) { s.Eval.Dataset.Samples = 4 },
		"eval.config.epochs is 2 in the log and absent now":    func(s *Start) { s.Eval.Config.Epochs = 0 },
		`eval.metadata.dataset_hash is "abc" in the log and`:   func(s *Start) { s.Eval.Metadata = []byte(`{"dataset_hash":"d"}`) },
		"eval.scorers[0].name":                                 func(s *Start) { s.Eval.Scorers = []Scorer{{Name: "x"}} },
		"plan.steps is ":                                       func(s *Start) { s.Plan.Steps = nil },
		"plan.config.temperature is absent in the log and 0.5": func(s *Start) { s.Plan.Config.Temperature = &temperature },
	} {
		s := testStart()
		change(&s)
		_, _, err := Resume(path, s)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		} else if !errors.Is(err, errDiffers) || because.Hint(err) == "" {
			t.Errorf("%s: no hint in %v", field, err)
		}
	}
	s := testStart() // what may differ
	s.Eval.EvalID, s.Eval.Created, s.Eval.Packages, s.Eval.Config.MaxSamples, s.Plan.Config.MaxConnections = "", "", nil, 9, 50
	s.Eval.TaskArgs = []byte(` { "scenario" : "blackmail" } `)
	w, _, err := Resume(path, s)
	ok(t, err)
	if w.Start().Eval.EvalID != "eval" {
		t.Error("the log's id has changed")
	}
	ok(t, w.Close())
	if _, _, err := Resume(path+"x", s); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestOneWriter(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	for range 2 {
		if _, _, err := Resume(path, testStart()); !errors.Is(err, errLocked) {
			t.Error(err)
		}
	}
	if _, err := Create(path, testStart()); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	ok(t, w.Close())
	ok(t, os.Remove(path))
	if _, err := Create(path, testStart()); !errors.Is(err, fs.ErrExist) {
		t.Error("a work file was overwritten", err)
	}
	w, _, err = Resume(path, testStart())
	ok(t, err)
	ok(t, w.Finish(testFinish()))
	ok(t, w.Close())
	if err := w.Sample(testSample(IntID(1), 1)); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// TestDamagedPart flips a byte in a sample that the log does not show yet: it and what follows is cut off.
func TestDamagedPart(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	ok(t, w.Sample(testSample(IntID(1), 1)))
	middle := w.size
	ok(t, w.Sample(testSample(IntID(2), 1)))
	ok(t, w.Sample(testSample(IntID(3), 1)))
	w.halt()
	_, err = w.part.WriteAt([]byte{0xff, 0xff}, middle+200)
	ok(t, err)
	ok(t, w.part.Close())
	w, done, err := Resume(path, testStart())
	ok(t, err)
	if d := cmp.Diff(Done{Key{IntID(1), 1}: false}, done, noRaw); d != "" {
		t.Error(d)
	}
	ok(t, w.Close())
}
