package hosted

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// polling is the wait between looks at the service: it grows while nothing happens.
type polling struct{ first, now, longest time.Duration }

func (p *Plan) polling() *polling {
	first := orElse(p.o.Poll, 2*time.Second)
	return &polling{first, first, max(first, orElse(p.o.MaxPoll, 30*time.Second))}
}

// sleep waits until the next look.
func (w *polling) sleep(ctx context.Context, news bool) error {
	if news {
		w.now = w.first
	}
	err := sleep(ctx, w.now)
	w.now = min(w.now*3/2, w.longest)
	return err
}

// follow looks at the job until it has ended. Events go to events.jsonl and what they tell of steps to metrics.jsonl as they come.
func (p *Plan) follow(ctx context.Context, f *folder) (*job, error) {
	e, err := openEvents(f.path(eventsName))
	if err != nil {
		return nil, f.fault("read", f.path(eventsName), err)
	}
	defer e.close()
	wait := p.polling()
	for {
		j, err := p.client.getJob(ctx, f.state.Job)
		if isNotFound(err) {
			return nil, because.E("hosted training: look at the job", f.state.Job, errors.New("the service does not know it any more"), "to train anew, give another --out")
		}
		if err != nil {
			return nil, doing(ctx, "look at the job", f.state.Job, err)
		}
		news, err := p.listen(ctx, f, e, &j)
		if err != nil {
			return nil, err
		}
		if j.Status != f.state.Status {
			f.state.Status, news = j.Status, true
			if err := f.save(); err != nil {
				return nil, err
			}
		}
		if err := p.at("looked"); err != nil {
			return nil, err
		}
		if terminal(j.Status) {
			return &j, nil
		}
		if err := wait.sleep(ctx, news); err != nil {
			return nil, err
		}
	}
}

// listen keeps the job's new events and reports how far it is.
func (p *Plan) listen(ctx context.Context, f *folder, e *events, j *job) (news bool, err error) {
	fresh, err := p.client.newEvents(ctx, j.ID, e.seen)
	if err != nil {
		return false, doing(ctx, "read the job's events", j.ID, err)
	}
	if len(fresh) > 0 {
		if err := e.add(fresh); err != nil {
			return false, f.fault("write", e.path, err)
		}
	}
	list, total := eventMetrics(e.all)
	if steps, _ := eventMetrics(fresh); len(steps) > 0 {
		if err := f.writeMetrics(list); err != nil {
			return false, err
		}
	}
	done, note := 0, strings.ReplaceAll(j.Status, "_", " ")
	if len(list) > 0 {
		last := list[len(list)-1]
		done = last.Step
		if loss := last.loss(); loss != "" {
			note += ", " + loss
		}
	} else if n := len(e.all); n > 0 && e.all[n-1].Message != "" {
		note += fmt.Sprintf(": %s", clip(e.all[n-1].Message))
	}
	p.report(float64(done), float64(total), note)
	return len(fresh) > 0, nil
}
