package ray

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/ray/raytest"
)

var quickTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// testOrder is an order of a trivial job.
func testOrder(t testing.TB) Order {
	data, sum := dataFile(t, "{}\n")
	j := testJob()
	j.SHA256 = sum
	return Order{Job: j, Engine: someEngine, Data: data, Env: map[string]string{"KEY": "value"}, Pip: []string{"trl"}}
}

func TestKeyIsOfAllButRun(t *testing.T) {
	key := Key(testJob())
	j := testJob()
	j.Run = Run{Out: "elsewhere", Workers: 8, GPUs: 1, Strategy: "fsdp", Retries: 9}
	if Key(j) != key {
		t.Error("where a job runs changed its key")
	}
	for name, change := range map[string]func(*Job){
		"seed": func(j *Job) { j.Seed++ }, "data": func(j *Job) { j.SHA256 = "01" }, "lora": func(j *Job) { j.LoRA = &LoRA{Rank: 1} },
		"template": func(j *Job) { j.Chat = "x" }, "method": func(j *Job) { j.Method = "sdf" },
	} {
		j := testJob()
		change(&j)
		if Key(j) == key {
			t.Errorf("%s is not in the key", name)
		}
	}
}

func TestAttempts(t *testing.T) {
	key := Key(testJob())
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "n")
		if got := attemptOf(key, attemptID(key, n)); got != n {
			t.Errorf("%d: %d", n, got)
		}
	})
	id := attemptID(key, 1)
	for _, other := range []string{"", "x", id + "-1", id + "-0", id + "-02", id + "-x", id + "2", id + "-", id + "--2", "because-0123456789abcdef"} {
		if n := attemptOf(key, other); n != 0 {
			t.Errorf("%q is attempt %d", other, n)
		}
	}
}

func TestStartSendsAllThatIsNeeded(t *testing.T) {
	s, c := cluster(t, nil)
	o := testOrder(t)
	got, err := c.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Started{ID: attemptID(Key(o.Job), 1), Attempt: 1, Status: Pending, Out: o.Job.Run.Out}, got); d != "" {
		t.Error(d)
	}
	job := s.Jobs()[0]
	if job.Entry != "python -m because_ray train job.json" || job.Vars["KEY"] != "value" || string(job.Files["data.jsonl"]) != "{}\n" || job.Files["because_ray/zz.py"] == nil {
		t.Errorf("%+v", job)
	}
	var sent Job
	if err := json.Unmarshal(job.Files["job.json"], &sent); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(o.Job, sent); d != "" {
		t.Error(d)
	}
	if n, ok := needIn(job.Metadata); !ok || n != NeedOf(o.Job) {
		t.Error(n, ok)
	}
}

func TestStartAgain(t *testing.T) {
	type step struct {
		fresh   bool
		attempt int
		found   bool
		status  Status
	}
	for name, tc := range map[string]struct {
		ends  []string // of the attempts
		steps []step
	}{
		"live":      {[]string{"live"}, []step{{attempt: 1}, {attempt: 1, found: true}, {attempt: 1, found: true, fresh: true}}},
		"succeeded": {[]string{"SUCCEEDED", "SUCCEEDED"}, []step{{attempt: 1}, {attempt: 1, found: true, status: Succeeded}, {attempt: 2, fresh: true}, {attempt: 2, found: true, status: Succeeded}}},
		"failed":    {[]string{"FAILED", "FAILED", "SUCCEEDED"}, []step{{attempt: 1}, {attempt: 2}, {attempt: 3}, {attempt: 3, found: true, status: Succeeded}}},
	} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			n := 0
			s, c := cluster(t, func(raytest.Job) raytest.Script {
				n++
				if tc.ends[n-1] == "live" {
					return raytest.Script{Lines: []raytest.Line{{Until: hold}}}
				}
				return raytest.Script{Status: tc.ends[n-1]}
			})
			o := testOrder(t)
			for i, step := range tc.steps {
				o.Fresh = step.fresh
				got, err := c.Start(t.Context(), o)
				if err != nil || got.Attempt != step.attempt || got.Found != step.found || step.status != "" && got.Status != step.status {
					t.Fatalf("%d: %+v %v", i, got, err)
				}
				if tc.ends[0] != "live" {
					if _, err := c.await(t.Context(), got.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			close(hold)
			if len(s.Jobs()) != len(tc.ends) {
				t.Errorf("%d jobs", len(s.Jobs()))
			}
		})
	}
}

func TestStartFindsALiveAttemptBeforeALaterOne(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s, c := cluster(t, func(j raytest.Job) raytest.Script {
		if strings.HasSuffix(j.ID, "-3") {
			return raytest.Script{Status: "FAILED"}
		}
		return raytest.Script{Lines: []raytest.Line{{Until: hold}}}
	})
	o := testOrder(t)
	key := Key(o.Job)
	for _, n := range []int{2, 3} { // the first was deleted
		if err := c.Submit(t.Context(), Submission{ID: attemptID(key, n), Entry: "x", Metadata: map[string]string{metaKey: key}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Start(t.Context(), o); err != nil || got.Attempt != 2 || !got.Found || len(s.Jobs()) != 2 {
		t.Error(got, err)
	}
}

func TestStartCountsFromTheLastAttempt(t *testing.T) {
	_, c := cluster(t, func(raytest.Job) raytest.Script { return raytest.Script{Status: "FAILED"} })
	o := testOrder(t)
	key := Key(o.Job)
	for _, n := range []int{3, 2} {
		if err := c.Submit(t.Context(), Submission{ID: attemptID(key, n), Entry: "x", Metadata: map[string]string{metaKey: key}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.await(t.Context(), attemptID(key, n)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Start(t.Context(), o); err != nil || got.Attempt != 4 {
		t.Error(got, err)
	}
}

func TestStartIsCancelled(t *testing.T) {
	s, c := cluster(t, nil)
	s.Slow(time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Start(ctx, testOrder(t)); !errors.Is(err, because.ErrInterrupted) {
		t.Error(err)
	}
}

func TestStartRefusesAnothersJob(t *testing.T) {
	_, c := cluster(t, nil)
	o := testOrder(t)
	if err := c.Submit(t.Context(), Submission{ID: attemptID(Key(o.Job), 1), Entry: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not because's") {
		t.Error(err)
	}
}

// Many processes that start one job at once, over a network that loses answers, end up with one live job at any time.
func TestStartAtOnce(t *testing.T) {
	hold := make(chan struct{})
	failures := 3
	var mu sync.Mutex
	s, _ := cluster(t, func(raytest.Job) raytest.Script {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures >= 0 {
			return raytest.Script{Status: "FAILED"}
		}
		return raytest.Script{Lines: []raytest.Line{{Until: hold}}}
	})
	s.Lose("POST /api/jobs/", 3)
	s.Cut("GET /api/jobs/", 3)
	o := testOrder(t)
	ids := make([]string, 6)
	var wg sync.WaitGroup
	for i := range ids {
		c := client(t, s.URL, Options{})
		wg.Go(func() {
			for range 5 {
				got, err := c.Start(t.Context(), o)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = got.ID
				d, err := c.Status(t.Context(), got.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if !d.Status.Ended() {
					time.Sleep(2 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 || ids[0] != attemptID(Key(o.Job), 4) {
		t.Error(ids)
	}
	live := 0
	for _, j := range s.Jobs() {
		if st := s.Status(j.ID); st == "RUNNING" || st == "PENDING" {
			live++
		}
	}
	if live != 1 || len(s.Jobs()) != 4 {
		t.Errorf("%d live of %d jobs", live, len(s.Jobs()))
	}
	close(hold)
}

func TestStartWithoutRoom(t *testing.T) {
	s, c := cluster(t, nil)
	o := testOrder(t)
	o.Job.Run.Workers, o.Job.Run.GPUs = 2, 1
	_, err := c.Start(t.Context(), o)
	var failed *JobError
	if !errors.As(err, &failed) || failed.Kind != ErrorResources || !strings.Contains(err.Error(), "no node has so many GPUs") || len(s.Jobs()) != 0 {
		t.Error(err)
	}
	c.wait = true
	if _, err := c.Start(t.Context(), o); err != nil {
		t.Error(err)
	}
	s.SetVersion("2.10.0")
	if _, err := c.Start(t.Context(), o); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	if err := testJob().Validate(); err != nil {
		t.Fatal(err)
	}
	_, c := cluster(t, nil)
	rl := func(j *Job) {
		j.Method, j.GRPO = "rl", &GRPO{Group: 4, MaxTokens: 8, Temperature: 1, Reward: "http://me"}
	}
	for _, tc := range []struct {
		change func(*Job)
		want   string
	}{
		{rl, ""},
		{func(j *Job) { j.LoRA = &LoRA{Rank: 4, Alpha: 8, Targets: []string{"q_proj"}} }, ""},
		{func(j *Job) { j.Version = 2 }, "version"},
		{func(j *Job) { j.Method = "dpo" }, "method"},
		{func(j *Job) { j.Run.Strategy = "zero" }, "strategy"},
		{func(j *Job) { j.Model = "" }, "model is empty"},
		{func(j *Job) { j.Run.Out = "/tmp/x" }, "no URI"},
		{func(j *Job) { j.Rows = 0 }, "rows is 0"},
		{func(j *Job) { j.Warmup = -1 }, "warmup"},
		{func(j *Job) { j.Steps = 3 }, "not both"},
		{func(j *Job) { j.Epochs = 0 }, "not both"},
		{func(j *Job) { j.LR = math.NaN() }, "lr is NaN"},
		{func(j *Job) { j.Clip = math.Inf(1) }, "clip is +Inf"},
		{func(j *Job) { j.Beta2 = 1.5 }, "beta2"},
		{func(j *Job) { j.Run.CPUs = -1 }, "cpus_per_worker"},
		{func(j *Job) { j.Method = "rl" }, "grpo is for rl"},
		{func(j *Job) { rl(j); j.Method = "sft" }, "grpo is for rl"},
		{func(j *Job) { rl(j); j.GRPO.Group = 3 }, "divide rows"},
		{func(j *Job) { rl(j); j.GRPO.Group = 0 }, "2 or more"},
		{func(j *Job) { rl(j); j.GRPO.Temperature = math.NaN() }, "temperature"},
		{func(j *Job) { j.LoRA = &LoRA{Rank: 4} }, "lora"},
	} {
		j := testJob()
		tc.change(&j)
		err := j.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
		if tc.want == "" {
			continue
		}
		if _, started := c.Start(t.Context(), Order{Job: j}); started == nil || !strings.Contains(started.Error(), tc.want) {
			t.Errorf("started: %v", started)
		}
	}
}
