package ray

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/because-lab/because/train"
)

// lingering is how long a served checkpoint stays after its last use, for the next evaluation of it: loading it anew may take longer.
const lingering = time.Minute

// served are the checkpoints that a study has on the cluster. One that nobody uses gives way to others at once, and goes by itself after a while.
type served struct {
	mu      sync.Mutex // held while Ray Serve is told of the applications, which it wants all at once; not while one is awaited
	apps    map[string]*lease
	waiting int // for applications that do not run yet, and may need the room of one that does
}

// lease is the use of an application.
type lease struct {
	users int
	end   *time.Timer // takes it away; nil while it has users
}

// Serve lets the cluster serve a checkpoint of this machine. Calls for the same one share an application.
func (e *Engine) Serve(ctx context.Context, folder string) (train.Endpoint, func() error, error) {
	fail := func(err error) (train.Endpoint, func() error, error) { return train.Endpoint{}, nil, err }
	model, err := PutModel(ctx, folder, e.Storage, nil)
	if err != nil {
		return fail(err)
	}
	env, err := e.Environment(ctx)
	if err != nil {
		return fail(err)
	}
	name := "because-" + path.Base(model)
	app := e.Replica.app(name+e.owned(), model, name, env)
	if err := e.lease(ctx, app); err != nil {
		return fail(err)
	}
	stop := sync.OnceValue(func() error { return e.release(context.WithoutCancel(ctx), app.Name) })
	url, err := e.Client.awaitModel(ctx, app.Name)
	e.served.mu.Lock()
	e.served.waiting--
	e.served.mu.Unlock()
	if err != nil {
		return fail(errors.Join(err, stop()))
	}
	return train.Endpoint{URL: url, Model: name}, stop, nil
}

// owned ends the names of this engine's applications.
func (e *Engine) owned() string {
	if e.Owner == "" {
		return ""
	}
	return "-" + e.Owner
}

// lease asks for an application, in the place of those that nobody uses.
func (e *Engine) lease(ctx context.Context, app App) error {
	s := &e.served
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := e.findLeft(ctx); err != nil {
		return err
	}
	idle := s.idle(app.Name)
	if err := e.Client.Deploy(ctx, app, idle...); err != nil {
		return err
	}
	s.forget(idle)
	l := s.apps[app.Name]
	if l == nil {
		l = &lease{}
		s.apps[app.Name] = l
	}
	l.keep()
	l.users++
	s.waiting++
	return nil
}

// findLeft takes up, the first time, what an earlier process of this owner has left behind when it was killed. The caller holds mu.
func (e *Engine) findLeft(ctx context.Context) error {
	if e.served.apps != nil {
		return nil
	}
	found := map[string]*lease{}
	if e.Owner != "" {
		s, err := e.Client.Serving(ctx)
		if err != nil {
			return err
		}
		for name, a := range s.Apps {
			if strings.HasSuffix(name, e.owned()) && a.Status != appDeleting {
				found[name] = &lease{}
			}
		}
	}
	e.served.apps = found
	return nil
}

// idle names the applications without users, but for one. The caller holds mu.
func (s *served) idle(but string) (names []string) {
	for name, l := range s.apps {
		if l.users == 0 && name != but {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// forget drops applications that have been taken away. The caller holds mu.
func (s *served) forget(names []string) {
	for _, name := range names {
		s.apps[name].keep()
		delete(s.apps, name)
	}
}

// keep stops the clock of an application.
func (l *lease) keep() {
	if l.end != nil {
		l.end.Stop()
		l.end = nil
	}
}

// release ends a use. The application stays for a while, except where another may be waiting for its room.
func (e *Engine) release(ctx context.Context, name string) error {
	s := &e.served
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.apps[name]
	if l == nil { // closed meanwhile
		return nil
	}
	if l.users--; l.users > 0 {
		return nil
	}
	if s.waiting > 0 {
		return e.takeAway(ctx, name)
	}
	l.end = time.AfterFunc(cmp.Or(e.linger, lingering), func() { e.expire(ctx, name) })
	return nil
}

// expire takes an application away that has been without users for long. Close tries again what fails here.
func (e *Engine) expire(ctx context.Context, name string) {
	e.served.mu.Lock()
	defer e.served.mu.Unlock()
	if l := e.served.apps[name]; l != nil && l.users == 0 {
		e.takeAway(ctx, name) //nolint:errcheck // see above
	}
}

// makeRoom takes away what nobody uses, for a job.
func (e *Engine) makeRoom(ctx context.Context) error {
	e.served.mu.Lock()
	defer e.served.mu.Unlock()
	if err := e.findLeft(ctx); err != nil {
		return err
	}
	return e.takeAway(ctx, e.served.idle("")...)
}

// takeAway takes applications away. The caller holds mu.
func (e *Engine) takeAway(ctx context.Context, names ...string) error {
	var all []error
	for _, name := range names {
		err := e.Client.Undeploy(ctx, name)
		if err == nil || errors.Is(err, ErrNotFound) {
			e.served.forget([]string{name})
			continue
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Close takes away what is still served for this engine.
func (e *Engine) Close(ctx context.Context) error {
	s := &e.served
	s.mu.Lock()
	for _, l := range s.apps {
		l.keep()
	}
	err := e.takeAway(ctx, slices.Sorted(maps.Keys(s.apps))...)
	s.apps = nil
	s.mu.Unlock()
	e.opening.Lock()
	defer e.opening.Unlock()
	if e.rewards != nil {
		err = errors.Join(err, e.rewards.Close())
		e.rewards = nil
	}
	return err
}
