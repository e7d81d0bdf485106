package hosted

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// Run trains, or goes on with a run that was interrupted: it uploads the data, makes the job, follows it to its end and writes the
// results. Without consent it creates nothing, and the error is an ErrConsent; a run whose job was already made needs none. When ctx
// ends, the job goes on at the service, and the same call follows it again.
func (p *Plan) Run(ctx context.Context, consent Consent) (Result, error) {
	if err := p.Agreed(consent); err != nil {
		return Result{}, err
	}
	f, err := openFolder(p.o.Out, &p.wanted)
	if err != nil {
		return Result{}, err
	}
	defer f.close()
	r, err := p.run(ctx, f)
	if err = interrupted(ctx, err); err != nil {
		return Result{}, err
	}
	return *r, nil
}

func (p *Plan) run(ctx context.Context, f *folder) (*Result, error) {
	if r, err := f.result(); err != nil || r != nil {
		return r, err
	}
	if err := p.at("begun"); err != nil {
		return nil, err
	}
	if f.state.Job == "" {
		if err := p.start(ctx, f); err != nil {
			return nil, err
		}
	}
	if p.o.Attached != nil {
		p.o.Attached(f.state.Job)
	}
	j, err := p.follow(ctx, f)
	if err != nil {
		return nil, err
	}
	return p.finish(ctx, f, j)
}

// start makes files and job, each once.
func (p *Plan) start(ctx context.Context, f *folder) error {
	if err := p.send(ctx, f, p.train, &f.state.Training, "training"); err != nil {
		return err
	}
	if p.validation != nil {
		if err := p.send(ctx, f, p.validation, f.state.Validation, "validation"); err != nil {
			return err
		}
	}
	if f.state.Attempt != "" { // a process ended here; if it made the job, the service may need a moment to list it
		if err := p.polling().sleep(ctx, false); err != nil {
			return err
		}
	} else {
		f.state.Attempt = rand.Text()
		if err := f.save(); err != nil {
			return err
		}
	}
	if err := p.at("job announced"); err != nil {
		return err
	}
	p.note("making the job")
	j, err := ensure(ctx, p.client,
		func() (job, bool, error) { return p.client.findJob(ctx, &f.state) },
		func() (job, error) { return p.client.createJob(ctx, &f.state) })
	if err != nil {
		return doing(ctx, "make the job", p.o.Model, err)
	}
	if err := p.at("job made"); err != nil {
		return err
	}
	f.state.Job, f.state.Created, f.state.Status = j.ID, j.Created, j.Status
	if err := f.save(); err != nil {
		return err
	}
	return p.at("job recorded")
}

// send brings a file to the service and waits until it is processed.
func (p *Plan) send(ctx context.Context, f *folder, u *upload, ref *reference, what string) error {
	p.note("uploading the " + what + " data")
	up, err := ensure(ctx, p.client,
		func() (file, bool, error) { return p.client.findFile(ctx, u, ref.ID) },
		func() (file, error) { return p.client.uploadFile(ctx, u) })
	if err != nil {
		return doing(ctx, "upload the "+what+" data", ref.From, err)
	}
	if err := p.at(what + " uploaded"); err != nil {
		return err
	}
	ref.ID = up.ID
	if err := f.save(); err != nil {
		return err
	}
	if err := p.at(what + " recorded"); err != nil {
		return err
	}
	return doing(ctx, "process the "+what+" data", ref.From, p.processed(ctx, up, what))
}

// processed waits until the service has looked at a file. A service that does not say so lets the job find out.
func (p *Plan) processed(ctx context.Context, f file, what string) error {
	deadline := time.Now().Add(orElse(p.o.FileWait, 5*time.Minute))
	wait := p.polling()
	for {
		switch {
		case f.broken():
			return because.E("", f.ID, fmt.Errorf("the service does not take the file: %s", clip(p.client.hide(string(f.Details)))), "mend the rows that it names")
		case f.Status != "uploaded" && f.Status != "pending" && f.Status != "running", time.Now().After(deadline):
			return nil
		}
		p.note("the service is reading the " + what + " data")
		if err := wait.sleep(ctx, false); err != nil {
			return err
		}
		id := f.ID
		f = file{}
		if err := p.client.get(ctx, "/files/"+id, &f); err != nil {
			return err
		}
		f.ID = id
	}
}

// finish writes what came of a job that has ended.
func (p *Plan) finish(ctx context.Context, f *folder, j *job) (*Result, error) {
	if j.Status != Succeeded {
		return nil, p.client.ended(j)
	}
	if j.Tuned == "" {
		return nil, because.E("hosted training", j.ID, errors.New("the job succeeded, but the service names no trained model"), "ask the service about the job, or run the same command again later")
	}
	r := &Result{Model: j.Tuned, Base: j.Model, Job: j.ID, Tokens: j.Tokens, Finished: j.Finished, Estimate: p.estimate}
	if p.estimate.PerMillion != nil && j.Tokens > 0 {
		cost := dollars(int(j.Tokens), *p.estimate.PerMillion)
		r.Cost = &cost
	}
	list, problem, err := p.metrics(ctx, f, j)
	if err != nil {
		return nil, err
	}
	r.Problem = problem
	for i := len(list) - 1; i >= 0 && r.Last == nil; i-- {
		if len(list[i].Values) > 0 {
			r.Last = &list[i]
		}
	}
	if err := p.at("metrics written"); err != nil {
		return nil, err
	}
	if err := f.write(resultName, r); err != nil {
		return nil, err
	}
	return r, p.at("result written")
}

// metrics writes metrics.jsonl of the job's result file. Where there is none that can be read, what the events told stays, and problem
// says why: the model is trained all the same.
func (p *Plan) metrics(ctx context.Context, f *folder, j *job) (list []Metric, problem string, err error) {
	e, err := openEvents(f.path(eventsName))
	if err != nil {
		return nil, "", f.fault("read", f.path(eventsName), err)
	}
	defer e.close()
	if list, err = p.resultFile(ctx, j); err == nil {
		return list, "", f.writeMetrics(list)
	}
	var request *model.Error
	if ctx.Err() != nil || errors.As(err, &request) && request.Passes() && request.Kind != model.Garbled {
		return nil, "", doing(ctx, "read the metrics", j.ID, err)
	}
	list, _ = eventMetrics(e.all)
	return list, clip(err.Error()), f.writeMetrics(list)
}

// resultFile fetches and reads the job's metrics.
func (p *Plan) resultFile(ctx context.Context, j *job) ([]Metric, error) {
	if len(j.Results) == 0 {
		return nil, errors.New("the job has no result file")
	}
	id, err := p.client.id(j.Results[0])
	if err != nil {
		return nil, err
	}
	text, err := p.client.content(ctx, "/files/"+id+"/content", func([]byte) error { return nil })
	if err != nil {
		return nil, err
	}
	return parseMetrics(text)
}

// doing says what failed.
func doing(ctx context.Context, what, subject string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	hint := ""
	var e *model.Error
	if because.Hint(err) == "" && errors.As(err, &e) && e.Passes() {
		hint = "run the same command again: it goes on from here"
	}
	return because.E("hosted training: "+what, subject, err, hint)
}

func orElse[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}
