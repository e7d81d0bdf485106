package study_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/because-lab/because/report"
	"github.com/because-lab/because/study"
)

func loadToy(t *testing.T) *study.File {
	t.Helper()
	f, err := study.Load("testdata/toy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// open opens the toy study in dir.
func open(t *testing.T, w study.World, o study.Options) *study.Study {
	t.Helper()
	o.Warn = func(err error) { t.Error("store warns:", err) }
	s, err := study.Open(loadToy(t), w, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs it and gives the bytes of results.json.
func run(t *testing.T, s *study.Study, jobs int) (*report.Results, string) {
	t.Helper()
	r, err := s.Run(context.Background(), study.RunOptions{Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Folder(), "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	w := &toy{}
	_, first := run(t, open(t, w, study.Options{Dir: dir}), 4)
	ran := len(w.ran)
	_, second := run(t, open(t, w, study.Options{Dir: dir}), 2)
	if len(w.ran) != ran {
		t.Errorf("the second run did %v again", w.ran[ran:])
	}
	if first != second {
		t.Error("the second run gave other results")
	}
	_, elsewhere := run(t, open(t, &toy{}, study.Options{Dir: t.TempDir()}), 1)
	if elsewhere != first {
		t.Error("one job at a time gave other results than four")
	}
}
