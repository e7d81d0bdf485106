// Package batch gathers single requests into the batch APIs of vendors, which answer within a day at half the price. What was submitted
// is written down before it is waited for, so that a run that was killed finds its batches again and pays nothing twice.
package batch

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/because-lab/because/model"
)

// Options say how requests are gathered.
type Options struct {
	Dir     string        // where batches are remembered; created if absent. One run at a time uses it.
	MaxSize int           // requests in a batch, at most; 0: 10,000
	MaxWait time.Duration // how long the first request of a batch waits for others; 0: 10 seconds
	Poll    time.Duration // how often a batch is asked whether it has ended; 0: 30 seconds
}

// maxBytes bounds the bodies of one batch; vendors take some 200 MB.
const maxBytes = 150 << 20

// patience is how often in a row a batch may fail to be asked about, in ways that may pass, before its requests fail.
const patience = 10

// Skew is how far the clocks of this machine and a vendor may differ.
const Skew = 5 * time.Minute

// Entry is a request of a batch. Key is 64 hexadecimal digits.
type Entry struct {
	Key  string
	Body []byte
}

// Result is what became of an entry: the body of an answer, or an error.
type Result struct {
	Key  string
	Body []byte
	Err  error
}

// Vendor is a provider's batch API.
type Vendor interface {
	// Submit creates a batch, which the vendor may be asked for by the token, and gives its ID.
	Submit(ctx context.Context, token string, entries []Entry) (id string, err error)
	// Find looks for a batch whose submission was cut off: by its token, or by its size and time among those that are not known. No
	// such batch gives "".
	Find(ctx context.Context, token string, since time.Time, size int, known map[string]bool) (id string, err error)
	// Ended tells whether a batch has ended.
	Ended(ctx context.Context, id string) (bool, error)
	// Results gives what became of the entries of a batch that has ended, in any order. A batch that failed as a whole is an error.
	Results(ctx context.Context, id string, each func(Result) error) error
	// Lost makes the error of an entry that came to nothing.
	Lost(kind model.Kind, err error) error
}

// Gatherer gathers requests. Many goroutines may call Do at once.
type Gatherer struct {
	vendor Vendor
	o      Options
	files  files

	mu      sync.Mutex
	owner   map[string]*batch // by the key of an entry that is pending, submitted or answered
	known   map[string]bool   // IDs of batches
	pending *batch
}

// New reads what the folder remembers. The identity names the vendor and the account's endpoint: batches of another one are not looked at.
func New(vendor Vendor, identity string, o Options) (*Gatherer, error) {
	if o.Dir == "" {
		return nil, errors.New("batches need a folder in which they are remembered")
	}
	if o.MaxSize < 0 || o.MaxWait < 0 || o.Poll < 0 {
		return nil, errors.New("sizes and times of batches can't be negative")
	}
	o.MaxSize = orDefault(o.MaxSize, 10_000)
	o.MaxWait = orDefault(o.MaxWait, 10*time.Second)
	o.Poll = orDefault(o.Poll, 30*time.Second)
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	g := &Gatherer{vendor: vendor, o: o, files: files{o.Dir, identity}, owner: map[string]*batch{}, known: map[string]bool{}}
	states, err := g.files.states()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		g.known[s.ID] = true
		b := &batch{g: g, state: s, waiters: map[*waiter]bool{}, submitted: true, remembered: true}
		if err := b.load(); err != nil {
			return nil, err
		}
		for _, key := range s.Keys {
			if _, answered := b.answers[key]; answered || !b.ended {
				g.owner[key] = b
			}
		}
	}
	return g, nil
}

func orDefault[T int | time.Duration](x, otherwise T) T {
	if x == 0 {
		return otherwise
	}
	return x
}

// Do gives the answer to a request with a key of its own: the same key is the same request. It returns early, with the context's
// error, where the context ends; the request's batch then runs on at the vendor, and a later Do with its key waits for it again.
func (g *Gatherer) Do(ctx context.Context, key string, body []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		w := g.join(key, body)
		select {
		case <-ctx.Done():
			w.leave()
			return nil, ctx.Err()
		case r := <-w.result:
			if errors.Is(r.Err, errGone) {
				continue // its batch was never created
			}
			return r.Body, r.Err
		}
	}
}

// errGone tells a waiter that what it waits for does not exist.
var errGone = errors.New("the batch was never created")

// join finds the batch of a key or adds the request to the pending one.
func (g *Gatherer) join(key string, body []byte) *waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.owner[key]
	if b == nil {
		b = g.add(key, body)
	}
	w := &waiter{batch: b, key: key, result: make(chan Result, 1)}
	if at, ok := b.answers[key]; ok {
		text, err := b.read(at)
		w.result <- Result{Body: text, Err: err}
		return w
	}
	b.waiters[w] = true
	if b.submitted {
		b.start()
	} else if len(b.entries) >= g.o.MaxSize || b.bytes >= maxBytes {
		b.submit()
	}
	return w
}

// add puts a request into the pending batch.
func (g *Gatherer) add(key string, body []byte) *batch {
	b := g.pending
	if b == nil {
		b = &batch{g: g, waiters: map[*waiter]bool{}}
		b.timer = time.AfterFunc(g.o.MaxWait, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			b.submit()
		})
		g.pending = b
	}
	b.entries = append(b.entries, Entry{key, body})
	b.bytes += len(body)
	g.owner[key] = b
	return b
}

// waiter is one call of Do.
type waiter struct {
	batch  *batch
	key    string
	result chan Result // of capacity 1
}

// leave gives up waiting. Where nobody waits for a batch any more, its work in this process ends, and a pending one is forgotten.
func (w *waiter) leave() {
	g := w.batch.g
	g.mu.Lock()
	defer g.mu.Unlock()
	b := w.batch
	delete(b.waiters, w)
	if !b.submitted {
		b.withdraw(w.key)
	}
	if len(b.waiters) == 0 && b.stop != nil {
		b.stop()
	}
}
