package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// lockPoll is how often a waiting process looks whether the lock is free.
const lockPoll = 100 * time.Millisecond

// Lock makes this process the one that writes to the store, waiting for another process that does until ctx ends;
// the error then names that process. It creates the store's folders where they are missing and removes what dead
// processes left in tmp/. The operating system frees the lock when the process ends, however it ends.
func (s *Store) Lock(ctx context.Context) error {
	for waiting := false; ; waiting = true {
		err := s.TryLock()
		if err == nil || !errors.Is(err, ErrLocked) {
			return err
		}
		if !waiting && s.opt.Waiting != nil && ctx.Err() == nil {
			s.opt.Waiting(s.holder())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// TryLock is Lock without waiting.
func (s *Store) TryLock() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		return because.E("lock store", s.root, fmt.Errorf("%w by this process", ErrLocked), "")
	}
	if err := os.MkdirAll(s.root, 0o755); err != nil {
		return fault("create store", s.root, err)
	}
	if err := s.checkFormat(); err != nil {
		return err
	}
	f, err := s.acquire()
	if err != nil {
		return err
	}
	s.lock = f
	err = errors.Join(s.sweep(), s.create())
	if err != nil {
		s.lock = nil
		f.Close()
	}
	return err
}

// acquire opens and locks ROOT/lock and writes into it who holds it.
func (s *Store) acquire() (*os.File, error) {
	path := filepath.Join(s.root, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fault("lock store", path, err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, ErrLocked) {
			return nil, because.E("lock store", s.root, fmt.Errorf("%w by %s", ErrLocked, s.holder()),
				"wait for it to end, or choose another folder")
		}
		return nil, because.E("lock store", path, err, "the file system must support locks: choose a folder on a local disk")
	}
	// The folder may have been removed and made anew since the file was opened: such a lock guards nothing.
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, because.E("lock store", path, fmt.Errorf("%w: the lock file was replaced", ErrLocked), "try again")
	}
	host, _ := os.Hostname() // only informs
	who := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host, time.Now().Format(time.DateTime))
	if err := errors.Join(f.Truncate(0), writeAt(f, who)); err != nil {
		f.Close()
		return nil, fault("lock store", path, err)
	}
	return f, nil
}

// writeAt writes text at the start of f.
func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// holder describes the process that holds the lock, as it wrote it: "process 123 on host since time".
func (s *Store) holder() string {
	who, err := os.ReadFile(filepath.Join(s.root, "lock"))
	if text := strings.TrimSpace(string(who)); err == nil && text != "" {
		return text
	}
	return "another process"
}

// sweep removes what earlier processes left unfinished. The caller holds the lock, so none of them lives.
func (s *Store) sweep() error {
	left, err := os.ReadDir(s.tmpDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault("clean store", s.tmpDir(), err)
	}
	for _, entry := range left {
		path := filepath.Join(s.tmpDir(), entry.Name())
		if err := removeAll(path); err != nil {
			return fault("clean store", path, err)
		}
	}
	return nil
}

// Unlock lets other processes write. Calls to Put must have returned.
func (s *Store) Unlock() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return because.E("unlock store", s.root, errors.New("not locked"), "")
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}

// writable fails unless this process holds the lock.
func (s *Store) writable(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return because.E(op, s.root, errors.New("the store is not locked for writing"), "")
	}
	return nil
}
