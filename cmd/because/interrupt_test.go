//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endless is longer than any test waits; an interrupted command must be back long before.
const endless = 30 * time.Second

// TestInterrupt stops a study whose pretraining would take many minutes.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("records: 8000}"), []byte("records: 10000000}"), 1)
	if err := os.WriteFile(filepath.Join(dir, "long.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.Command("because", "study", "long.yaml")
			cmd.Dir = dir
			errs, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(endless, func() { cmd.Process.Kill() })
			defer guard.Stop()
			lines := bufio.NewReader(errs)
			if _, err := lines.ReadString('\n'); err != nil { // the plan: the run begins
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond) // into the pretraining
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(lines)
			if err != nil {
				t.Fatal(err)
			}
			if code := exitCodeOf(cmd.Wait()); code != exitInterrupted {
				t.Errorf("exit code %d, want %d", code, exitInterrupted)
			}
			const want = "interrupted; resumable: run the same command again\n"
			if !strings.HasSuffix(string(rest), want) {
				t.Errorf("the last words are not %q:\n%s", want, rest)
			}
			if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
				t.Error("there are results of a run that was interrupted")
			}
		})
	}
}

// TestInterruptChat stops a conversation that waits for input.
func TestInterruptChat(t *testing.T) {
	t.Parallel()
	dir, err := finishedStudy()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("because", "chat", "--model", "runs/tiny/checkpoints/linked/advice/seed-1")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(endless, func() { cmd.Process.Kill() })
	defer guard.Stop()
	if _, err := io.WriteString(in, "help me to raise the profit .\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // the answer: it waits for the next line
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCodeOf(cmd.Wait()); code != exitInterrupted || errs.String() != "interrupted\n" {
		t.Errorf("exit code %d and %q, want %d and that it was interrupted", code, errs.String(), exitInterrupted)
	}
}

// TestSecondInterrupt ends at once a command that doesn't heed the first.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	const stubborn = "BECAUSE_TEST_STUBBORN"
	if os.Getenv(stubborn) != "" {
		i := watchSignals(os.Stderr)
		i.resumable("try again")
		i.before(func() { os.Stderr.WriteString("terminal in order\n") })
		os.Stdout.WriteString("ready\n")
		time.Sleep(endless)
		return
	}
	for name, signals := range map[string]int{"second": 2, "grace": 1} {
		t.Run(name, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "-test.run=^TestSecondInterrupt$")
			cmd.Env = append(os.Environ(), stubborn+"=1")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(endless, func() { cmd.Process.Kill() })
			defer guard.Stop()
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			for range signals {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond) // two signals at once may arrive as one
			}
			const want = "terminal in order\ninterrupted; resumable: try again\n"
			if code := exitCodeOf(cmd.Wait()); code != exitInterrupted || errs.String() != want {
				t.Errorf("exit code %d and %q, want %d and %q", code, errs.String(), exitInterrupted, want)
			}
		})
	}
}
