package pipe

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/semaphore"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// asker makes what sends an Ask's requests.
func (r *run) asker(stage int, path string, a Ask) (*asker, error) {
	p, err := r.Prompts.Get(a.promptName())
	if err != nil {
		return nil, err
	}
	if path != a.Name { // within a Do, and so not checked before
		if errs := p.Check(a.Uses...); len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
	}
	chat, err := r.chat(stage, path, p.Hash(), a.Version, a.Model)
	if err != nil {
		return nil, err
	}
	tries := a.Tries
	if tries <= 0 {
		tries = r.o.Tries
	}
	return &asker{stage: path, ask: a, prompt: p, chat: chat, tries: tries, seed: r.seedOf, flying: &r.states[stage].flying}, nil
}

func (a Ask) promptName() string {
	if a.Prompt != "" {
		return a.Prompt
	}
	return a.Name
}

// chat gives the model of a role behind the answers that one stage keeps.
func (r *run) chat(stage int, path, prompt string, version int, role string) (*model.Cached, error) {
	if role == "" {
		role = Writer
	}
	m := r.o.Models[role]
	if m == nil {
		role, m = Writer, r.o.Models[Writer]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := path + "@" + role
	if c := r.chats[key]; c != nil {
		return c, nil
	}
	c, err := model.Cache(&bounded{m, r.room}, model.CacheOptions{
		Dir:      filepath.Join(r.o.Work, key),
		Identity: fmt.Sprintf("recipe %q stage %q version %d prompt %s at %q", r.Name, path, version, prompt, r.o.Identity[role]),
		Warn:     r.warn,
	})
	if err != nil {
		return nil, err
	}
	r.chats[key] = c
	r.states[stage].chats = append(r.states[stage].chats, c)
	return c, nil
}

// warn remembers the first answers that could not be read or kept: the run goes on, and asks for them again.
func (r *run) warn(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.warns) < 16 {
		r.warns = append(r.warns, err)
	}
}

// bounded takes its turn among all requests of a run.
type bounded struct {
	because.Chat
	room *semaphore.Weighted
}

// Answer waits for room and asks.
func (b *bounded) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if err := b.room.Acquire(ctx, 1); err != nil {
		return because.Response{}, err
	}
	defer b.room.Release(1)
	return b.Chat.Answer(ctx, seed, r)
}
