package hosted

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/train/hosted/hostedtest"
)

// The variables by which TestMain runs a training in this program's own process and kills it at a point.
const (
	killURL = "BECAUSE_TEST_HOSTED_URL"
	killDir = "BECAUSE_TEST_HOSTED_DIR"
	killAt  = "BECAUSE_TEST_HOSTED_POINT"
)

func TestMain(m *testing.M) {
	if os.Getenv(killURL) != "" {
		os.Exit(runAndDie())
	}
	os.Exit(m.Run())
}

// runAndDie trains and kills itself, as kill -9 does, when it passes the point of the given number. It gives 0 where the run ended before.
func runAndDie() int {
	at, err := strconv.Atoi(os.Getenv(killAt))
	if err != nil {
		return 3
	}
	o := options(&hostedtest.Server{URL: os.Getenv(killURL)}, os.Getenv(killDir))
	passed := 0
	o.step = func(string) error {
		if passed++; passed == at {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return err
			}
			select {}
		}
		return nil
	}
	p, err := New(o)
	if err == nil {
		_, err = p.Run(context.Background(), Consent{Yes: true})
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 4
	}
	return 0
}

// TestKilled kills a run at each of its points in turn, in one folder or each time in a new one, and goes on with it.
func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	die := func(s *hostedtest.Server, dir string, at int) (ended bool) {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killURL+"="+s.URL, killDir+"="+dir, killAt+"="+strconv.Itoa(at))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() > 0 {
			t.Fatalf("killed at point %d: %v\n%s", at, err, out)
		}
		return err == nil
	}
	whole := serve(t, hostedtest.Behaviour{FilePolls: 1})
	want := run(t, options(whole, t.TempDir()))
	for at := 1; ; at++ {
		s, dir := serve(t, hostedtest.Behaviour{FilePolls: 1}), filepath.Join(t.TempDir(), "out")
		if die(s, dir, at) {
			if at < 10 {
				t.Errorf("the run has only %d points", at-1)
			}
			break
		}
		got := run(t, options(s, dir))
		if diff := cmp.Diff(keyless(want), keyless(got)); diff != "" {
			t.Errorf("killed at point %d:\n%s", at, diff)
		}
		one(t, s)
		checkEvents(t, filepath.Join(dir, eventsName), 4)
	}
	s, dir := serve(t, hostedtest.Behaviour{}), filepath.Join(t.TempDir(), "out")
	for range 3 { // again and again at the same early points
		for at := range 6 {
			if die(s, dir, at+1) {
				break
			}
		}
	}
	run(t, options(s, dir))
	one(t, s)
}

// keyless leaves out what holds the key, which depends on the service's port.
func keyless(r Result) Result {
	r.Model = ""
	return r
}

// TestLocked refuses a folder that another process follows.
func TestLocked(t *testing.T) {
	s, dir := serve(t, hostedtest.Behaviour{}), t.TempDir()
	o := options(s, dir)
	o.step = func(point string) error {
		if point == "job announced" {
			if _, err := plan(t, options(s, dir)).Run(t.Context(), Consent{Yes: true}); err == nil {
				t.Error("two processes train into one folder")
			}
		}
		return nil
	}
	run(t, o)
	one(t, s)
}
