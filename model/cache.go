package model

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/because-lab/because"
)

// CacheMode says what a cache does.
type CacheMode string

// The modes of a cache. CacheWrite asks anew and keeps the answers, which replaces those that are there.
const (
	CacheOff   CacheMode = "off"
	CacheRead  CacheMode = "read"
	CacheWrite CacheMode = "write"
	CacheBoth  CacheMode = "read-write"
)

// CacheOptions say where and how answers are kept.
type CacheOptions struct {
	Dir  string    // folder of the answers, made when it is needed; several processes may use one
	Mode CacheMode // "" means CacheBoth
	// Identity tells apart what the model's name does not, such as the base URL of its server. It must not hold a key.
	Identity string
	// Warn is told of answers that could not be read or kept, which is no failure of the request. May be nil; many goroutines may call it.
	Warn func(error)
}

// Cached is a model whose answers are kept on disk.
type Cached struct {
	because.Chat
	o       CacheOptions
	answers *answerLog // nil for CacheOff

	mu     sync.Mutex
	flying map[[32]byte]*flight
	counts struct{ hits, misses, joined, failures atomic.Int64 }
}

// CacheStats counts what a cache did. Hits + Misses + Joined is the number of requests.
type CacheStats struct {
	Hits     int // answered from the cache
	Misses   int // sent to the model
	Joined   int // given the answer to an equal request that was under way
	Failures int // answers that could not be read or kept
}

// Cache keeps answers under a key of everything that they may depend on: model, identity, seed and the whole request. Errors and
// answers that were moderated away (StopFilter) are not kept. Equal requests with equal seeds that come while one of them is
// under way wait for its answer. In memory are requests under way and an index of some 60 bytes for each answer in the folder.
func Cache(m because.Chat, o CacheOptions) (*Cached, error) {
	switch o.Mode = orElse(o.Mode, CacheBoth); {
	case o.Mode != CacheOff && o.Mode != CacheRead && o.Mode != CacheWrite && o.Mode != CacheBoth:
		return nil, because.E("open cache", string(o.Mode), errors.New("no such mode"), "the modes are off, read, write and read-write")
	case o.Mode != CacheOff && o.Dir == "":
		return nil, because.E("open cache", "", errors.New("it has no folder"), "")
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	c := &Cached{Chat: m, o: o, flying: map[[32]byte]*flight{}}
	if o.Mode != CacheOff {
		var err error
		if c.answers, err = openLog(o.Dir); err != nil {
			return nil, because.E("open cache", o.Dir, err, "choose another folder, or switch the cache off")
		}
	}
	return c, nil
}

// Stats tells what the cache has done so far.
func (c *Cached) Stats() CacheStats {
	n := &c.counts
	return CacheStats{int(n.hits.Load()), int(n.misses.Load()), int(n.joined.Load()), int(n.failures.Load())}
}

// flight is a request under way; done is closed when its answer is there.
type flight struct {
	done chan struct{}
	out  because.Response
	err  error
}

// Answer gives the answer that is kept, or asks the model.
func (c *Cached) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if c.o.Mode == CacheOff {
		c.counts.misses.Add(1)
		return c.Chat.Answer(ctx, seed, r)
	}
	if err := ctx.Err(); err != nil {
		return because.Response{}, err
	}
	key := requestKey(c.Name(), c.o.Identity, seed, r)
	for {
		f, mine := c.join(key)
		if mine {
			c.fly(ctx, f, key, seed, r)
			return copied(f.out), f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return because.Response{}, ctx.Err()
		}
		// Who gave up did so for itself alone.
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			c.counts.joined.Add(1)
			return copied(f.out), f.err
		}
		if err := ctx.Err(); err != nil {
			return because.Response{}, err
		}
	}
}

// join gives the flight of a request, and whether it is the caller's to fly.
func (c *Cached) join(key [32]byte) (f *flight, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flying[key]; ok {
		return f, false
	}
	f = &flight{done: make(chan struct{}), err: errors.New("the model panicked")}
	c.flying[key] = f
	return f, true
}

// fly finds or asks for an answer, keeps it, and lets those know who wait for it.
func (c *Cached) fly(ctx context.Context, f *flight, key [32]byte, seed uint64, r because.Request) {
	defer func() {
		c.mu.Lock()
		delete(c.flying, key)
		c.mu.Unlock()
		close(f.done)
	}()
	if out, ok := c.kept(key); ok {
		c.counts.hits.Add(1)
		f.out, f.err = out, nil
		return
	}
	c.counts.misses.Add(1)
	f.out, f.err = c.Chat.Answer(ctx, seed, r)
	if f.err != nil || c.o.Mode == CacheRead || f.out.Stop == because.StopFilter {
		return
	}
	text, err := encodeAnswer(c.Name(), f.out)
	if err == nil {
		err = c.answers.write(key, text)
	}
	if err != nil {
		c.warn(because.E("keep answer", c.o.Dir, err, "the run goes on, and the next one pays for this answer again"))
	}
}

// kept gives the answer under a key, if there is one that can be read.
func (c *Cached) kept(key [32]byte) (because.Response, bool) {
	if c.o.Mode == CacheWrite {
		return because.Response{}, false
	}
	text, err := c.answers.read(key)
	if errors.Is(err, fs.ErrNotExist) {
		return because.Response{}, false
	}
	var out because.Response
	if err == nil {
		out, err = decodeAnswer(text)
	}
	if err != nil {
		c.warn(because.E("read answer", "", err, "it is asked for again"))
	}
	return out, err == nil
}

func (c *Cached) warn(err error) {
	c.counts.failures.Add(1)
	c.o.Warn(err)
}

// copied gives an answer that shares no memory with another.
func copied(r because.Response) because.Response {
	r.Native = append([]byte(nil), r.Native...)
	calls := r.Calls
	r.Calls = nil
	for _, call := range calls {
		call.Arguments = append([]byte(nil), call.Arguments...)
		r.Calls = append(r.Calls, call)
	}
	return r
}
