package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
)

// holdEnv makes the test binary a process that locks the named store, starts to store something, and hangs.
const holdEnv = "BECAUSE_TEST_HOLD_STORE"

func TestMain(m *testing.M) {
	if root := os.Getenv(holdEnv); root != "" {
		if err := hold(root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func hold(root string) error {
	s, err := Open(root, Options{})
	if err != nil {
		return err
	}
	if err := s.TryLock(); err != nil {
		return err
	}
	_, err = s.Put(context.Background(), func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), []byte("x"), 0o600); err != nil {
			return err
		}
		fmt.Println("holding")
		time.Sleep(time.Minute) // killed long before
		return errors.New("not killed")
	})
	return err
}

func TestLockExcludesAndNamesTheHolder(t *testing.T) {
	root := t.TempDir()
	first := openStore(t, root, nil)
	waits := make(chan string, 1)
	second, err := Open(root, Options{Waiting: func(holder string) { waits <- holder }})
	if err != nil {
		t.Fatal(err)
	}
	err = second.TryLock()
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) || because.Hint(err) == "" {
		t.Errorf("second lock: %v (hint %q)", err, because.Hint(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-waits
		cancel()
	}()
	if err := second.Lock(ctx); !errors.Is(err, ErrLocked) || !errors.Is(err, context.Canceled) {
		t.Errorf("second lock, cancelled: %v", err)
	}
	go func() {
		<-waits
		if err := first.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	if err := second.Lock(t.Context()); err != nil {
		t.Fatalf("second lock after the first was given back: %v", err)
	}
	if err := first.TryLock(); !errors.Is(err, ErrLocked) {
		t.Errorf("first locked again beside the second: %v", err)
	}
	if err := second.Unlock(); err != nil {
		t.Error(err)
	}
	if err := first.TryLock(); err != nil {
		t.Error(err)
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	root := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "holding\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	s, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.TryLock(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("locked beside the child: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	if left, err := os.ReadDir(s.tmpDir()); err != nil || len(left) == 0 {
		t.Fatalf("the child left nothing to clean: %v", err)
	}
	if err := s.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEmptyTmp(t, s)
	if u, err := s.Size(); err != nil || u != (Usage{}) {
		t.Errorf("the store holds %+v, %v", u, err)
	}
	if err := s.Unlock(); err != nil {
		t.Error(err)
	}
}
