// Package hosted fine-tunes models at a service that has OpenAI's fine-tuning API: OpenAI itself, or a compatible one by its base URL.
//
// New checks and encodes the data and estimates the cost; it asks nobody. Plan.Run, with the user's consent, uploads the data, makes
// one job, follows it and writes what came of it into a folder. The folder's run.json is written before and after each step, and
// what is made at the service carries the run's key, so that a run that was killed at any moment goes on with the same files and the same job.
package hosted

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/because-lab/because"
)

// Data is the rows of one file of the user.
type Data struct {
	File string // for errors
	Rows []Row
}

// Options say what to train, where and how.
type Options struct {
	Out        string // folder for the results; new, or that of the same run
	Model      string // as the service names it
	BaseURL    string // with /v1; empty: DefaultBaseURL. It must hold no secrets
	Key        string `json:"-"` // empty: none is sent
	Train      Data
	Validation *Data // nil: none

	Epochs       int     // at least 1
	Batch        int     // examples in a batch; 0: the service chooses
	LRMultiplier float64 // of the service's own learning rate; 0: the service chooses
	Seed         uint64  // sent as 31 bits
	Suffix       string  // for the name of the trained model; the run's key follows it

	Prices     Prices           // of this service; the zero value knows none
	HTTPClient *http.Client     `json:"-"` // nil: one of its own
	Report     because.Progress `json:"-"` // steps done of all, and news; may be nil
	// Attached is told the ID of the job as soon as it is known: from then on the run goes on at the service by itself. May be nil.
	Attached func(job string) `json:"-"`

	Poll     time.Duration // first wait between two looks at the job, which grows to MaxPoll while nothing happens; 0: 2 s
	MaxPoll  time.Duration // 0: 30 s
	Retry    time.Duration // first wait after a failed request; 0: 1 s
	FileWait time.Duration // longest wait for a file to be processed, after which the job finds out; 0: 5 minutes

	step func(point string) error // tests stop or kill a run at its points
}

// Format writes what is to be trained for every verb, so that no way of printing shows the key.
func (o Options) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "{Out:%s Model:%s}", o.Out, o.Model) }

// Plan is a checked run that has not begun.
type Plan struct {
	o           Options
	client      *client
	train       *upload
	validation  *upload
	wanted      state
	done, total float64 // as reported last
	estimate    Estimate
}

// Format writes the run's key for every verb, so that no way of printing shows the service's.
func (p *Plan) Format(s fmt.State, _ rune) { io.WriteString(s, "hosted run "+p.wanted.Key) }

// Result is what came of a run, and the contents of result.json.
type Result struct {
	Model    string   `json:"model"` // the trained one, as the service names it
	Base     string   `json:"base_model"`
	Job      string   `json:"job"`
	Tokens   int64    `json:"trained_tokens"` // as the service counted them
	Finished int64    `json:"finished"`       // seconds since 1970
	Estimate Estimate `json:"estimate"`       // from before the run
	// Cost is the trained tokens at the estimate's price, in dollars; nil: the price is unknown. It is an estimate, not a bill.
	Cost *float64 `json:"cost_estimate,omitempty"`
	Last *Metric  `json:"last_metrics,omitempty"` // of the last step that has any
	// Problem says why the metrics are not those of the service's result file but what its events told; empty: they are.
	Problem string `json:"metrics_problem,omitempty"`
}

// New checks options and data, and makes the key of the run. Errors name the row and its column.
func New(o Options) (*Plan, error) {
	fail := func(subject string, err error, hint string) (*Plan, error) {
		return nil, because.E("plan hosted training", subject, err, hint)
	}
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return fail("", err, "such as "+DefaultBaseURL)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c, err := newClient(&o, base)
	if err != nil {
		return fail("", err, "")
	}
	p := &Plan{o: o, client: c}
	if p.train, err = prepare(o.Train, minExamples); err != nil {
		return nil, err
	}
	if o.Validation != nil {
		if p.validation, err = prepare(*o.Validation, 1); err != nil {
			return nil, err
		}
	}
	p.wanted = o.state(base, p.train, p.validation)
	p.estimate = estimate(p.train, o.Epochs, o.Model, o.Prices)
	c.report = p.note
	return p, nil
}

// prepare checks and encodes a file.
func prepare(d Data, least int) (*upload, error) {
	if err := checkRows(d.Rows, d.File, least); err != nil {
		return nil, err
	}
	u, err := encode(d.Rows)
	if err != nil {
		return nil, err
	}
	if len(u.text) > maxBytes {
		return nil, because.E("check training data", d.File, fmt.Errorf("it makes a file of %d MiB, and the service takes %d", len(u.text)>>20, maxBytes>>20), "train on fewer rows")
	}
	return u, nil
}

// suffixPattern leaves room for the key's beginning within the service's 64 characters.
var suffixPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{0,51}$`)

func (o *Options) check() error {
	bad := func(what, format string, args ...any) error {
		return because.E("plan hosted training", what, fmt.Errorf(format, args...), "")
	}
	switch {
	case o.Out == "":
		return bad("folder", "it has no name")
	case o.Model == "":
		return bad("model", "it has no name")
	case o.Epochs < 1 || o.Epochs > 50:
		return bad("epochs", "%d are not between 1 and 50", o.Epochs)
	case o.Batch < 0 || o.Batch > 256:
		return bad("batch", "%d is not between 1 and 256, nor 0 for the service's choice", o.Batch)
	case !(o.LRMultiplier >= 0) || math.IsInf(o.LRMultiplier, 1):
		return bad("learning rate multiplier", "%v is none", o.LRMultiplier)
	case !suffixPattern.MatchString(o.Suffix):
		return bad("suffix", "%q is not at most 51 letters, digits, _ and -", o.Suffix)
	}
	return nil
}

// state is what run.json holds before anything is made at the service.
func (o *Options) state(base *url.URL, train, validation *upload) state {
	s := state{Format: stateFormat, identity: identity{BaseURL: base.String(), Model: o.Model, Training: train.reference(o.Train.File),
		Epochs: o.Epochs, Batch: o.Batch, LR: o.LRMultiplier, Seed: seed31(o.Seed), Name: o.Suffix}}
	if validation != nil {
		v := validation.reference(o.Validation.File)
		s.Validation = &v
	}
	s.Key = s.key()
	s.Suffix = cmp.Or(o.Suffix, "because") + "-" + s.Key[:12]
	return s
}

func (u *upload) reference(from string) reference {
	return reference{From: from, SHA256: u.hash, Bytes: int64(len(u.text)), Rows: u.rows}
}

// seed31 folds a seed to the 31 bits that the API takes; one that fits stays as it is. The mixing is the finalizer of SplitMix64.
func seed31(seed uint64) int64 {
	if seed>>31 == 0 {
		return int64(seed)
	}
	seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
	seed = (seed ^ seed>>27) * 0x94d049bb133111eb
	return int64((seed ^ seed>>31) >> 33)
}

// Key identifies the run: a hash of service, model, data and settings. It stands in the job's metadata.
func (p *Plan) Key() string { return p.wanted.Key }

// Estimate says what the run will cost.
func (p *Plan) Estimate() Estimate { return p.estimate }

// Job gives the ID of the job that the folder holds for this run, or "" where none was made yet. A run with a job needs no consent.
func (p *Plan) Job() (string, error) {
	s, err := readState(p.o.Out)
	if err != nil || s == nil {
		return "", err
	}
	if err := s.sameAs(&p.wanted, p.o.Out); err != nil {
		return "", err
	}
	return s.Job, nil
}

// Agreed gives the ErrConsent with which Run would refuse, or an error of the folder; nil: Run may go on.
func (p *Plan) Agreed(consent Consent) error {
	job, err := p.Job()
	if err != nil || job != "" {
		return err
	}
	return consent.check(p.estimate, p.o.Model)
}

// key hashes what a run is. Names of the user's files and IDs of the service's are not part of it.
func (i identity) key() string {
	i.Training = reference{SHA256: i.Training.SHA256}
	if i.Validation != nil {
		i.Validation = &reference{SHA256: i.Validation.SHA256}
	}
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // strings and finite numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// note tells news that change nothing about how far the run is.
func (p *Plan) note(note string) { p.report(p.done, p.total, note) }

// report tells how far the run is.
func (p *Plan) report(done, total float64, note string) {
	p.done, p.total = done, total
	if p.o.Report != nil {
		p.o.Report(done, total, "steps", note)
	}
}

// at passes a point of the run, at which tests may end it.
func (p *Plan) at(point string) error {
	if p.o.step == nil {
		return nil
	}
	return p.o.step(point)
}

// interrupted tells an end that the caller asked for from a failure.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
}
