//go:build unix

package pipe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

const killInFlight = 8

// TestMain is also the run that TestKill kills: it notes each answer in a file before it gives it.
func TestMain(m *testing.M) {
	out := os.Getenv("PIPE_TEST_KILL")
	if out == "" {
		os.Exit(m.Run())
	}
	log, err := os.OpenFile(out+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	slow := scripted{"writer", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		time.Sleep(time.Millisecond)
		if _, err := fmt.Fprintf(log, "%d\n", seed); err != nil {
			return because.Response{}, err
		}
		return good().answer(ctx, seed, r)
	}}
	t := &testing.T{}
	if _, err := Run(context.Background(), testRecipe(t, 40, testPrompts), Options{Out: out, Models: models(slow), InFlight: killInFlight}); err != nil {
		panic(err)
	}
	os.Exit(0)
}

// TestKill ends a run by SIGKILL again and again: the files are those of a run that was left alone, and no more answers are given twice
// than were under way.
func TestKill(t *testing.T) {
	alone := into(t)
	if _, err := Run(t.Context(), testRecipe(t, 40, testPrompts), Options{Out: alone, Models: models(good())}); err != nil {
		t.Fatal(err)
	}
	out, kills := into(t), 0
	draw := rand.New(rand.NewPCG(9, 9))
	for {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PIPE_TEST_KILL="+out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < 6 {
			until := time.Now().Add(20 * time.Second)
			for want := answers(t, out) + 1 + draw.IntN(60); answers(t, out) < want && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Wait(); err == nil {
			break
		}
		if kills++; kills > 6 {
			t.Fatal("the run fails by itself")
		}
		if _, err := os.Stat(out); err == nil {
			t.Error("a killed run left records")
		}
	}
	if d := cmp.Diff(contents(t, alone), contents(t, out)); d != "" {
		t.Errorf("(-alone +killed):\n%.2000s", d)
	}
	if n := answers(t, out); kills == 0 || n > 400+kills*killInFlight {
		t.Errorf("%d answers after %d kills, want 400 and no more than %d for each kill", n, kills, killInFlight)
	}
	for _, left := range []string{filepath.Join(filepath.Dir(out), "letters.jsonl.work")} {
		if _, err := os.Stat(left); err != nil {
			t.Error(err)
		}
	}
}

func answers(t *testing.T, out string) int {
	t.Helper()
	text, err := os.ReadFile(out + ".log")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}
