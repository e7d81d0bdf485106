package ray

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/train/ray/raytest"
)

func TestDoctor(t *testing.T) {
	finding := func(name string, ok bool) string {
		return raytest.Event(map[string]any{"event": EventFinding, "name": name, "ok": ok, "detail": "of " + name, "hint": "a hint"})
	}
	well := raytest.Script{Lines: raytest.Print("2026 log", finding("torch", true), finding("storage", false))}
	for name, tc := range map[string]struct {
		script  raytest.Script
		prepare func(*raytest.Server, *Probe)
		want    string // names, those that are not well with !
		text    string // in the last
	}{
		"well":       {script: well, want: "reachable version resources torch !storage", text: "of storage"},
		"head alone": {prepare: func(_ *raytest.Server, p *Probe) { p.Engine = nil }, want: "reachable version resources", text: "1 nodes, 4 CPUs, 0 GPUs, 16.0 GiB"},
		"room":       {prepare: func(_ *raytest.Server, p *Probe) { p.Engine, p.Need = nil, Need{2, 2, 0} }, want: "reachable version resources room", text: "2 workers with 2 CPUs each"},
		"no room":    {prepare: func(_ *raytest.Server, p *Probe) { p.Engine, p.Need = nil, Need{2, 2, 1} }, want: "reachable version resources !room", text: "no node has so many GPUs"},
		"old": {script: well, prepare: func(s *raytest.Server, p *Probe) { s.SetVersion("2.1.0"); p.Engine = nil },
			want: "reachable !version resources", text: "16.0 GiB"},
		"away":         {prepare: func(s *raytest.Server, _ *Probe) { s.Restart(time.Hour) }, want: "!reachable", text: "EOF"},
		"no nodes":     {prepare: func(s *raytest.Server, p *Probe) { s.SetNodes(); p.Engine = nil }, want: "reachable version !resources", text: "0 nodes"},
		"fails":        {script: raytest.Script{Lines: raytest.Print("ModuleNotFoundError: No module named 'because_ray'"), Status: "FAILED"}, want: "reachable version resources !workers", text: "because_ray"},
		"fails midway": {script: raytest.Script{Lines: raytest.Print(finding("torch", true), raytest.Event(Event{Kind: EventError, Error: ErrorStorage, Message: "gone"})), Status: "FAILED"}, want: "reachable version resources torch !workers", text: "gone"},
		"amiss":        {script: raytest.Script{Lines: raytest.Print(finding("torch", true), finding("trl", false)), Status: "FAILED", ExitCode: 1}, want: "reachable version resources torch !trl", text: "of trl"},
		"killed":       {script: raytest.Script{Lines: raytest.Print(finding("torch", true), finding("trl", false)), Status: "FAILED", ExitCode: -9}, want: "reachable version resources torch !trl !workers", text: "killed"},
		"says nothing": {want: "reachable version resources !workers", text: "found nothing"},
		"hangs":        {script: raytest.Script{Pending: -1}, prepare: func(_ *raytest.Server, p *Probe) { p.Timeout = 30 * time.Millisecond }, want: "reachable version resources !workers", text: "not done after 30ms"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := cluster(t, func(raytest.Job) raytest.Script { return tc.script })
			p := Probe{Engine: someEngine, Storage: "s3://b/x"}
			if tc.prepare != nil {
				tc.prepare(s, &p)
			}
			found := Check(t.Context(), c, p)
			var names []string
			for _, f := range found {
				if f.Detail == "" || !f.OK && f.Hint == "" {
					t.Errorf("%+v says too little", f)
				}
				if !f.OK {
					f.Name = "!" + f.Name
				}
				names = append(names, f.Name)
			}
			if d := cmp.Diff(tc.want, strings.Join(names, " ")); d != "" {
				t.Error(d)
			}
			if last := found[len(found)-1]; !strings.Contains(last.Detail, tc.text) {
				t.Errorf("%+v", last)
			}
			for _, j := range s.Jobs() {
				if st := s.Status(j.ID); st == "RUNNING" || st == "PENDING" {
					t.Errorf("a job was left: %s", st)
				}
			}
		})
	}
}

func TestDoctorsJob(t *testing.T) {
	var job raytest.Job
	_, c := cluster(t, func(j raytest.Job) raytest.Script { job = j; return raytest.Script{} })
	Check(t.Context(), c, Probe{Engine: someEngine, Storage: "s3://b/x", Env: map[string]string{"A": "b"}, Python: "python3"})
	var file map[string]string
	if err := json.Unmarshal(job.Files["doctor.json"], &file); err != nil || file["storage"] != "s3://b/x" {
		t.Error(file, err)
	}
	if job.Entry != "python3 -m because_ray doctor doctor.json" || job.Vars["A"] != "b" || job.Files["because_ray/zz.py"] == nil {
		t.Errorf("%+v", job)
	}
}

func TestDoctorIsCancelled(t *testing.T) {
	s, c := cluster(t, func(raytest.Job) raytest.Script { return raytest.Script{Pending: -1} })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(s.Jobs()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	found := Check(ctx, c, Probe{Engine: someEngine})
	if last := found[len(found)-1]; last.OK || !strings.Contains(last.Detail, "interrupted") {
		t.Errorf("%+v", found)
	}
	if st := s.Status(s.Jobs()[0].ID); st != "STOPPED" {
		t.Error(st)
	}
}
