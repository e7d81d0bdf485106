package study_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/because-lab/because/study"
)

// childEnv makes the test binary run the toy study in the folder that it names, and nothing else.
const childEnv = "BECAUSE_STUDY_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	f, err := study.Load("testdata/toy.yaml")
	if err == nil {
		var s *study.Study
		if s, err = study.Open(f, &toy{pause: time.Millisecond}, study.Options{Dir: dir, Overrides: seeds(11, 12)}); err == nil {
			_, err = s.Run(context.Background(), study.RunOptions{Jobs: 3})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKill kills a run at random moments, resumes it, and kills it again. The results are those of a run in one go.
func TestKill(t *testing.T) {
	reference := scratch(t)
	began := time.Now()
	if out, err := child(reference).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := time.Since(began)
	want := listing(t, reference)

	seed := uint64(time.Now().UnixNano())
	t.Logf("random seed %d, a whole run takes %v", seed, whole)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 20
	if testing.Short() {
		kills = 5
	}
	dir := scratch(t)
	for killed := 0; killed < kills; {
		cmd := child(dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Float64() * 0.4 * float64(whole)))
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil { // it was done: start over, to be killed early on again
			compareListings(t, want, listing(t, dir))
			dir = scratch(t)
			continue
		}
		killed++
	}
	if out, err := child(dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	compareListings(t, want, listing(t, dir))
}

func child(dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	return cmd
}

func compareListings(t *testing.T, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%d files instead of %d", len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Errorf("after kills %.80s... instead of %.80s...", filepath.ToSlash(got[i]), filepath.ToSlash(want[i]))
			return
		}
	}
}
