package study

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because/internal/store"
)

// fresh is how long what was looked up counts: long enough for a plan and the run that follows it.
const fresh = 10 * time.Second

// warmStore is a store that looks up many keys at once and remembers for a moment what it found whole: a plan and the
// run after it read every artifact of a large study, which takes longest when nothing is left to do. A step's inputs
// are read again when it opens them.
type warmStore struct {
	*store.Store

	mu    sync.Mutex
	found map[string]finding // by key
}

type finding struct {
	artifact string
	full     bool // every byte was checked
	at       time.Time
}

// warm looks up the keys, as many at once as there are cores.
func (s *warmStore) warm(ctx context.Context, keys []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, key := range keys {
		g.Go(func() error {
			_, _, err := s.Lookup(ctx, key, false)
			return err
		})
	}
	return g.Wait()
}

// Lookup implements graph.Store.
func (s *warmStore) Lookup(ctx context.Context, key string, full bool) (artifact string, ok bool, err error) {
	s.mu.Lock()
	f, known := s.found[key]
	s.mu.Unlock()
	if known && (f.full || !full) && time.Since(f.at) < fresh {
		return f.artifact, true, nil
	}
	artifact, ok, err = s.Store.Lookup(ctx, key, full)
	if err == nil && ok {
		s.mu.Lock()
		if s.found == nil {
			s.found = map[string]finding{}
		}
		s.found[key] = finding{artifact, full, time.Now()}
		s.mu.Unlock()
	}
	return artifact, ok, err
}

// Record implements graph.Store.
func (s *warmStore) Record(key string, payload []byte, artifact string, by map[string]string) error {
	s.forget(key)
	return s.Store.Record(key, payload, artifact, by)
}

func (s *warmStore) forget(key string) {
	s.mu.Lock()
	delete(s.found, key)
	s.mu.Unlock()
}
