package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because/engine/weights"
)

// envChild makes the test binary a process that trains into the folder named.
const envChild = "BECAUSE_TEST_FINETUNE"

func TestMain(m *testing.M) {
	if out := os.Getenv(envChild); out != "" {
		os.Exit(child(out))
	}
	os.Exit(m.Run())
}

// killOptions checkpoint at every other step, so that many kills fall into the writing of one.
func killOptions(out string, adapter bool) Options {
	o := tinyOptions(out)
	o.CheckpointEvery, o.Epochs = 2, 4
	if adapter {
		o.LoRA, o.Merge = lora(), true
	}
	return o
}

// child prints each step, so that its parent can kill it after one.
func child(spec string) int {
	method, out, _ := strings.Cut(spec, ":")
	m, err := weights.LoadModel(out + ".base")
	if err == nil {
		_, err = Run(context.Background(), m, tinyRows(40), killOptions(out, method == "lora"), func(done, _ float64, _, _ string) { fmt.Println(done) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestKillAndResume kills a process at random moments until it gets through, and compares every file with those of an
// uninterrupted run.
func TestKillAndResume(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	for _, method := range []string{"full", "lora"} {
		t.Run(method, func(t *testing.T) {
			whole, out := killOptions(t.TempDir(), method == "lora"), t.TempDir()
			if _, err := Run(context.Background(), tinyModel(t), tinyRows(40), whole, nil); err != nil {
				t.Fatal(err)
			}
			if err := weights.SaveModel(out+".base", tinyModel(t), weights.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			r, kills := rand.New(rand.NewPCG(1, uint64(len(method)))), 0
			for !runChild(t, method+":"+out, 1+r.IntN(6), time.Duration(r.IntN(4000))*time.Microsecond) {
				if kills++; kills > 200 {
					t.Fatal("the run does not get on")
				}
			}
			t.Logf("%d kills", kills)
			if kills < 3 {
				t.Errorf("%d kills are too few to tell", kills)
			}
			sameTree(t, tree(t, out), tree(t, whole.Out))
		})
	}
}

// runChild lets a child make some steps, kills it a moment later, and tells whether it had finished.
func runChild(t *testing.T, spec string, steps int, after time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+spec)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	for seen := 0; seen < steps; {
		n, err := pipe.Read(buf)
		seen += strings.Count(string(buf[:n]), "\n")
		if err != nil {
			break
		}
	}
	time.Sleep(after)
	killed := cmd.Process.Kill() == nil
	err = cmd.Wait()
	if err != nil && (!killed || cmd.ProcessState.Exited()) {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return err == nil
}
