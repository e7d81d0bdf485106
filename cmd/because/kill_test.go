package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// smallStudy writes the tiny study into a new folder, with a shorter pretraining and hence without the arm that needs a
// model that acts.
func smallStudy(t *testing.T) (dir string) {
	t.Helper()
	text, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var small []string
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if !strings.Contains(line, "name: deliberation,") {
			small = append(small, strings.Replace(line, "records: 8000}", "records: 2000}", 1))
		}
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small.yaml"), []byte(strings.Join(small, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestKill kills a study at random moments. What comes out in the end is what comes out without kills.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 20
	if testing.Short() {
		kills = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("random seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	reference := smallStudy(t)
	began := time.Now()
	if o := runBecause(t, reference, "study", "small.yaml", "--jobs", "1"); o.code != exitFine {
		t.Fatalf("the reference run ended with code %d:\n%s", o.code, o.errors)
	}
	whole := time.Since(began)
	want := readResults(t, reference)

	dir, completed := smallStudy(t), 0
	for killed := 0; killed < kills; {
		cmd := exec.Command("because", "study", "small.yaml")
		cmd.Dir = dir
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(whole)/2)), func() { cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		switch code := exitCodeOf(err); code {
		case -1:
			killed++
		case exitFine: // before the kill; begin again, for the kills that are left
			compareResults(t, dir, want)
			completed++
			dir = smallStudy(t)
		default:
			t.Fatalf("after %d kills the study ended with code %d:\n%s", killed, code, errs.String())
		}
	}
	if o := runBecause(t, dir, "study", "small.yaml"); o.code != exitFine {
		t.Fatalf("after all kills the study ended with code %d:\n%s", o.code, o.errors)
	} else if strings.Contains(o.errors, "warning") {
		t.Errorf("after all kills something is damaged:\n%s", o.errors)
	}
	compareResults(t, dir, want)
	t.Logf("%d kills; %d of the studies were complete before a kill", kills, completed)

	left, err := os.ReadDir(filepath.Join(dir, ".because", "store", "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the store keeps %d unfinished entries", len(left))
	}
	if o := runBecause(t, dir, "doctor"); o.code != exitFine {
		t.Errorf("the doctor ended with code %d:\n%s", o.code, o.errors)
	}
}

// readResults reads what must be equal after every run.
func readResults(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"results.json", "report.html", "report.md", "transcripts.jsonl", "study.yaml", "lineage.json"} {
		text, err := os.ReadFile(filepath.Join(dir, "runs", "tiny", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	return files
}

func compareResults(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	for name, text := range readResults(t, dir) {
		if !bytes.Equal(text, want[name]) {
			t.Errorf("%s differs from that of a run without kills", name)
		}
	}
}
