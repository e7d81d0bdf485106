package ray

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// EventFinding is the kind of the events that the engine's doctor prints: a Finding each.
const EventFinding = "finding"

// Finding is one thing that was looked at.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// Probe says what Check is to look at.
type Probe struct {
	Engine  fs.FS             // see Order; nil: no job is run, so that only the head is looked at
	Storage string            // URI of a folder that all nodes are to write to, read and delete from; empty: none
	Env     map[string]string // see Order
	Pip     []string
	Python  string
	Need    Need          // of the job that is planned; the zero value: none is
	Timeout time.Duration // for the job; 0: 6 minutes, for which the engine waits for a slow node itself
}

// Check looks at a cluster from outside and, by a short job, from its nodes. Findings that are not OK are no errors; what could not be looked at is a finding
// that is not OK. A cancelled context ends it early, with what it has and a finding that says so.
func Check(ctx context.Context, c *Client, p Probe) []Finding {
	v, err := c.Version(ctx)
	if err != nil && !errors.Is(err, ErrVersion) {
		return []Finding{bad("reachable", err)}
	}
	all := []Finding{{Name: "reachable", OK: true, Detail: c.Address()}}
	if err != nil {
		all = append(all, bad("version", err))
	} else {
		all = append(all, Finding{Name: "version", OK: true, Detail: "Ray " + v.Ray})
	}
	r, err := c.Resources(ctx)
	if err != nil {
		all = append(all, bad("resources", err))
	} else {
		all = append(all, resourceFindings(r, p.Need)...)
	}
	if p.Engine == nil {
		return all
	}
	found, err := probe(ctx, c, p)
	all = append(all, found...)
	if err != nil {
		all = append(all, bad("workers", err))
	}
	return all
}

// bad makes a finding of an error.
func bad(name string, err error) Finding {
	f := Finding{Name: name, Detail: err.Error(), Hint: because.Hint(err)}
	var known *because.Error
	if errors.As(err, &known) && known.Err != nil {
		f.Detail = known.Err.Error() // what was attempted is what the finding's name says
	}
	return f
}

func resourceFindings(r Resources, need Need) []Finding {
	sum := r.Sum()
	detail := fmt.Sprintf("%d nodes, %g CPUs, %g GPUs", len(r.Nodes), sum.CPU, sum.GPU)
	if len(sum.Kinds) > 0 {
		detail += " (" + strings.Join(sum.Kinds, ", ") + ")"
	}
	detail += fmt.Sprintf(", %.1f GiB of memory", float64(sum.Memory)/(1<<30))
	all := []Finding{{Name: "resources", OK: len(r.Nodes) > 0, Detail: detail}}
	if len(r.Nodes) == 0 {
		all[0].Hint = "ray status on the head tells which nodes have joined"
	}
	if need == (Need{}) {
		return all
	}
	if err := r.Fits(need); err != nil {
		return append(all, Finding{Name: "room", Detail: err.Error(), Hint: jobHints[ErrorResources]})
	}
	return append(all, Finding{Name: "room", OK: true, Detail: "for " + need.String()})
}

// probe runs the engine's doctor as a job and reads what it prints.
func probe(ctx context.Context, c *Client, p Probe) ([]Finding, error) {
	text, err := json.Marshal(map[string]string{"storage": p.Storage})
	if err != nil {
		return nil, err
	}
	pk := packer{engine: p.Engine, limit: packageLimit, extra: map[string][]byte{doctorFile: append(text, '\n')}}
	pkg, err := pk.pack()
	if err != nil {
		return nil, err
	}
	defer pkg.Remove()
	uri, err := c.Upload(ctx, pkg)
	if err != nil {
		return nil, err
	}
	id := "because-doctor-" + nonce()
	err = c.Submit(ctx, Submission{ID: id, Entry: firstOf(p.Python, "python") + " -m because_ray doctor " + doctorFile,
		Env: RuntimeEnv{WorkingDir: uri, Vars: p.Env, Pip: p.Pip}, Metadata: map[string]string{"because_doctor": "1"}})
	if ctx.Err() != nil {
		return nil, giveUp(ctx, c, id, 0, err) // the cluster may have taken it all the same
	}
	if err != nil {
		return nil, err
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = 6 * time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d, err := c.await(limited, id)
	if err != nil {
		return nil, giveUp(ctx, c, id, timeout, err)
	}
	log, err := c.Logs(ctx, id)
	if err != nil {
		return nil, err
	}
	found, err := findings(log, d)
	if deleted := c.Delete(ctx, id); err == nil && deleted != nil {
		err = deleted
	}
	return found, err
}

// giveUp stops a probe that takes too long, or is not wanted any more.
func giveUp(ctx context.Context, c *Client, id string, timeout time.Duration, err error) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, stopped := c.Stop(stopping, id)
	if errors.Is(stopped, ErrNotFound) {
		stopped = nil
	}
	switch {
	case ctx.Err() != nil:
		err = because.ErrInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		err = because.E("run probe", id, fmt.Errorf("it was not done after %s", timeout),
			"the job's packages may take long to install, or the nodes be busy; Ray's dashboard shows the job")
	}
	return errors.Join(err, stopped)
}

// await waits until a job has ended.
func (c *Client) await(ctx context.Context, id string) (Details, error) {
	for wait := c.pace.fresh; ; wait = min(c.pace.slow, wait*5/4) {
		d, err := c.Status(ctx, id)
		if err == nil && d.Status.Ended() {
			return d, nil
		}
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		if err != nil {
			return d, err
		}
		if err := sleep(ctx, wait); err != nil {
			return d, err
		}
	}
}

// findings reads the doctor's log. A doctor that failed, or found nothing, is an error.
func findings(log string, d Details) ([]Finding, error) {
	var found []Finding
	r := newReader()
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		text, ok := strings.CutPrefix(line, EventMark)
		if !ok {
			r.tail.add(line)
			continue
		}
		var e struct {
			Kind string `json:"event"`
			Finding
		}
		if err := json.Unmarshal([]byte(text), &e); err == nil && e.Kind == EventFinding && e.Name != "" {
			found = append(found, e.Finding)
			continue
		}
		r.line(nil, []byte(line)) // an error, or what cannot be read
	}
	amiss := slices.ContainsFunc(found, func(f Finding) bool { return !f.OK })
	if d.Status == Failed && amiss && r.failed == nil && d.ExitCode != nil && *d.ExitCode == 1 {
		return found, nil // it says so by its exit code as well
	}
	if d.Status != Succeeded {
		failed := diagnose(d, r.failed, r.tail)
		return found, because.E("run probe", d.ID, failed, jobHints[failed.Kind])
	}
	if len(found) == 0 {
		return nil, because.E("run probe", d.ID, errors.New("it found nothing"), "because's engine is of another version than this program, or Ray lost the job's log")
	}
	return found, nil
}

func nonce() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
