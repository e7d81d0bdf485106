package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/because-lab/because/eval/evallog"
)

// ids are sample ids of every sort.
var ids = []evallog.ID{
	evallog.IntID(1), evallog.IntID(2), evallog.StringID("7"), evallog.StringID("ünï cødé 🙂"), evallog.StringID("a/b c%20d"),
	evallog.StringID(`quote" back\slash`), evallog.StringID("new\nline"), evallog.StringID("x_epoch_9"),
}

// writeAll writes a log of every kind into a folder.
func writeAll(dir string) error {
	for _, kind := range []struct {
		name   string
		epochs int
		status evallog.Status // how it ends; empty: it does not
		errors bool
		option []evallog.Option
	}{
		{"finished", 1, evallog.Success, false, nil},
		{"zstd", 1, evallog.Success, false, []evallog.Option{evallog.WithZstd()}},
		{"epochs", 2, evallog.Success, false, nil},
		{"errors", 1, evallog.Failed, true, nil},
		{"cancelled", 1, evallog.Cancelled, false, nil},
		{"running", 1, "", true, nil},
	} {
		path := filepath.Join(dir, kind.name+".eval")
		w, err := evallog.Create(path, start(len(ids), kind.epochs), kind.option...)
		if err != nil {
			return err
		}
		if err := fill(w, kind.epochs, kind.errors); err != nil {
			return err
		}
		if kind.status != "" {
			err = w.Finish(finish(kind.status, len(ids)*kind.epochs))
		}
		if err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

func fill(w *evallog.Writer, epochs int, errors bool) error {
	for epoch := 1; epoch <= epochs; epoch++ {
		for i, id := range ids {
			s := sample(id, epoch, uint64(10*i+epoch))
			if errors && i%3 == 0 {
				s = failed(id, epoch)
			}
			if err := w.Sample(s); err != nil {
				return err
			}
		}
	}
	// An errored sample is run again: the newer one counts.
	return w.Sample(sample(ids[0], 1, 99))
}

// large writes a log of n samples; killed half-way it is a log of a killed run.
func large(path string, n int) error {
	w, err := evallog.Create(path, start(n, 1))
	if err != nil {
		return err
	}
	for i := range n {
		if err := w.Sample(sample(evallog.IntID(int64(i)), 1, uint64(i))); err != nil {
			return err
		}
		if i == n/2 {
			fmt.Fprintln(os.Stderr, "half")
		}
	}
	if err := w.Finish(finish(evallog.Success, n)); err != nil {
		return err
	}
	return w.Close()
}

func resume(path string) error {
	r, err := evallog.Open(path)
	if err != nil {
		return err
	}
	n := r.Header().Eval.Dataset.Samples
	if err := r.Close(); err != nil {
		return err
	}
	w, done, err := evallog.Resume(path, start(n, 1))
	if err != nil {
		return err
	}
	fmt.Println(len(done), "samples done")
	return w.Close()
}
