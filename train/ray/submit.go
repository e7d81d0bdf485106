package ray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

// Names in a job's metadata, which Ray keeps with it.
const (
	metaKey     = "because_key"
	metaOut     = "because_out"
	metaWorkers = "because_workers"
	metaCPUs    = "because_cpus_per_worker"
	metaGPUs    = "because_gpus_per_worker"
)

// Key is the identity of a job: a hash of all that its results follow from, Run apart.
func Key(j Job) string {
	j.Run = Run{}
	text, err := json.Marshal(j)
	if err != nil {
		panic("ray: a job that is no JSON: " + err.Error()) // numbers that are not finite, which Validate refuses
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// attemptID is the submission ID of a key's n-th attempt, from 1.
func attemptID(key string, n int) string {
	id := "because-" + key[:16]
	if n > 1 {
		id += "-" + strconv.Itoa(n)
	}
	return id
}

// attemptOf is the inverse of attemptID; 0 for an ID of another key.
func attemptOf(key, id string) int {
	rest, ok := strings.CutPrefix(id, attemptID(key, 1))
	if !ok {
		return 0
	}
	if rest == "" {
		return 1
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	if err != nil || n < 2 || attemptID(key, n) != id {
		return 0
	}
	return n
}

// Order is what Start is to see done.
type Order struct {
	Job    Job
	Engine fs.FS             // the Python package because_ray and what goes with it: engines/ray
	Data   string            // the file of the data, unless Job.Data is a URI
	Env    map[string]string // variables of the job's processes, such as credentials of the storage; see Submission about who can read them
	Pip    []string          // packages that the cluster's machines lack
	Python string            // command of the interpreter; empty: python
	Fresh  bool              // start anew even if the job has succeeded before, such as when its results are gone
}

// Started is a job of an order's key.
type Started struct {
	ID      string
	Attempt int    // from 1
	Found   bool   // it was there already: by an earlier call or another process
	Status  Status // when it was found; Pending for a new one
	Out     string // where its results go, which may differ from the order's where it was found
}

// Start sees to it that the cluster has one job of the order's key: a live one is found, so is one that has succeeded; after a failed or stopped one the
// next attempt is submitted, which goes on from the checkpoints in Run.Out. Two processes that start the same job at once end up with the same one. What
// becomes of it Follow tells. A job that the cluster has no room for, were it idle, is an error, unless Options.Wait is set.
func (c *Client) Start(ctx context.Context, o Order) (Started, error) {
	if err := o.Job.Validate(); err != nil {
		return Started{}, because.E("start training", "", err, "")
	}
	key := Key(o.Job)
	s, err := c.start(ctx, o, key)
	if err != nil && ctx.Err() != nil {
		err = because.E("start training", attemptID(key, 1)+" on "+c.Address(), because.ErrInterrupted, "if the job was started already, it goes on, and the same command finds it")
	}
	return s, err
}

func (c *Client) start(ctx context.Context, o Order, key string) (Started, error) {
	if _, err := c.Version(ctx); err != nil {
		return Started{}, err
	}
	for range 10 { // each time round, another process has been faster
		s, err := c.latest(ctx, key)
		if err != nil {
			return Started{}, err
		}
		again := s.Status == Failed || s.Status == Stopped || s.Status == Succeeded && o.Fresh
		if s.ID != "" && !again {
			return s, nil
		}
		s = Started{ID: attemptID(key, s.Attempt+1), Attempt: s.Attempt + 1, Status: Pending, Out: o.Job.Run.Out}
		err = c.submitOrder(ctx, o, key, s.ID)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Started{}, err
		}
		o.Fresh = false // whoever was faster started it anew
	}
	return Started{}, c.fail("start training", attemptID(key, 1), errors.New("other processes keep starting and ending jobs of this key"))
}

// latest finds the live attempt of a key, else its last one; the ID is empty where there is none.
func (c *Client) latest(ctx context.Context, key string) (Started, error) {
	all, err := c.List(ctx)
	if err != nil {
		return Started{}, err
	}
	var last Started
	for _, d := range all {
		n := attemptOf(key, d.ID)
		if n == 0 {
			continue
		}
		if d.Metadata[metaKey] != key {
			return last, c.fail("start training", d.ID, errors.New("a job of this name is not because's, or of another training"))
		}
		s := Started{ID: d.ID, Attempt: n, Found: true, Status: d.Status, Out: d.Metadata[metaOut]}
		if !d.Status.Ended() {
			return s, nil
		}
		if n > last.Attempt {
			last = s
		}
	}
	return last, nil
}

// submitOrder packs, uploads and submits.
func (c *Client) submitOrder(ctx context.Context, o Order, key, id string) error {
	need := NeedOf(o.Job)
	if !c.wait {
		r, err := c.Resources(ctx)
		if err != nil {
			return err
		}
		if err := r.Fits(need); err != nil {
			return c.lacking("start training", id, err)
		}
	}
	p, err := Pack(o.Engine, o.Job, o.Data)
	if err != nil {
		return err
	}
	defer p.Remove()
	uri, err := c.Upload(ctx, p)
	if err != nil {
		return err
	}
	python := firstOf(o.Python, "python")
	return c.Submit(ctx, Submission{
		ID: id, Entry: python + " -m because_ray train " + jobFile,
		Env: RuntimeEnv{WorkingDir: uri, Vars: o.Env, Pip: o.Pip},
		Metadata: map[string]string{
			metaKey: key, metaOut: o.Job.Run.Out, metaWorkers: strconv.Itoa(need.Workers),
			metaCPUs: fmt.Sprint(need.CPUs), metaGPUs: fmt.Sprint(need.GPUs),
		},
	})
}

// needIn reads a job's need from its metadata; false for jobs that are not because's.
func needIn(meta map[string]string) (n Need, ok bool) {
	var errs [3]error
	n.Workers, errs[0] = strconv.Atoi(meta[metaWorkers])
	n.CPUs, errs[1] = strconv.ParseFloat(meta[metaCPUs], 64)
	n.GPUs, errs[2] = strconv.ParseFloat(meta[metaGPUs], 64)
	return n, errors.Join(errs[:]...) == nil
}

func (c *Client) lacking(op, id string, err error) error {
	return because.E(op, id+" on "+c.Address(), &JobError{ID: id, Kind: ErrorResources, Message: err.Error()},
		"ask for fewer or smaller workers, add nodes, or wait for them (--wait), as on a cluster that grows by itself")
}
