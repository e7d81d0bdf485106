package study_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/report"
	"github.com/because-lab/because/study"
)

// scratch gives an empty folder, in memory where the system has such a place: studies wait for the disk often.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "study-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func loadToy(t *testing.T) *study.File {
	t.Helper()
	f, err := study.Load("testdata/toy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// open opens the toy study.
func open(t *testing.T, w study.World, o study.Options) *study.Study {
	t.Helper()
	if o.Warn == nil {
		o.Warn = func(err error) { t.Error("store warns:", err) }
	}
	s, err := study.Open(loadToy(t), w, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seeds are overrides that make a run short.
func seeds(list ...uint64) study.Overrides { return study.Overrides{Seeds: list} }

// run runs a study and gives the bytes of results.json.
func run(t *testing.T, s *study.Study, jobs int) (*report.Results, string) {
	t.Helper()
	r, err := s.Run(context.Background(), study.RunOptions{Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return r, read(t, filepath.Join(s.Folder(), "results.json"))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRun(t *testing.T) {
	dir := scratch(t)
	w := &toy{}
	_, first := run(t, open(t, w, study.Options{Dir: dir}), 4)
	ran := len(w.ran)
	files := listing(t, dir)
	_, second := run(t, open(t, w, study.Options{Dir: dir}), 2)
	if len(w.ran) != ran {
		t.Errorf("the second run did %v again", w.ran[ran:])
	}
	if first != second || !slices.Equal(files, listing(t, dir)) {
		t.Error("the second run gave other results")
	}
	_, elsewhere := run(t, open(t, &toy{}, study.Options{Dir: scratch(t)}), 1)
	if elsewhere != first {
		t.Error("one job at a time gave other results than four")
	}
	if _, err := report.Read(filepath.Join(dir, "runs", "toy", "results.json")); err != nil {
		t.Error(err)
	}
}

// listing lists the files of a study's folder with what they hold.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	root := filepath.Join(dir, "runs")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			out = append(out, rel+" -> "+target)
			return err
		}
		out = append(out, rel+": "+read(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestResults compares what the toy's results say with what is known of the toy.
func TestResults(t *testing.T) {
	r, _ := run(t, open(t, &toy{}, study.Options{Dir: scratch(t)}), 4)
	verdicts := map[string]string{}
	for _, c := range append(slices.Clone(r.Claims), r.Ablations...) {
		verdicts[c.ID] = string(c.Verdict)
		if len(c.PerSeed) != 4 || c.N == 0 || c.Contrast == "" || c.Metric == "" {
			t.Errorf("claim %s lacks something: %+v", c.ID, c)
		}
	}
	for id, want := range map[string]string{"E3": "supported", "wrong": "contradicted", "E6": "supported", "recall": "supported", "E3 (cut)": "null", "E6 (cut)": "null"} {
		if verdicts[id] != want {
			t.Errorf("%s is %s, want %s", id, verdicts[id], want)
		}
	}
	if len(r.Arms) != 21 {
		t.Errorf("%d arms, want 11 in the one world and 10 in the other", len(r.Arms))
	}
	for _, a := range r.Arms {
		wantTrained := map[string]int64{"none": 0, "replay": 1024, "documents-then-behaviour": 1024, "advice": 512, "rl-none": 0}
		if want, ok := wantTrained[a.Name]; ok && a.TokensTrained != want {
			t.Errorf("%s in %s trained on %d tokens, want %d", a.Name, a.World, a.TokensTrained, want)
		}
		if (a.Name == "advice" || a.Name == "rl-advice") && a.OwnTokens != 400 {
			t.Errorf("%s has %d own tokens, want 400", a.Name, a.OwnTokens)
		}
		if strings.HasPrefix(a.Name, "rl-") {
			var at []int
			for _, p := range a.Curve {
				at = append(at, p.Step)
			}
			if !slices.Equal(at, []int{0, 4, 8, 12}) || a.Curve[0].Reward.OK() || !a.Curve[3].Reward.OK() {
				t.Errorf("curve of %s: %+v", a.Name, a.Curve)
			}
		}
	}
	none, rl := r.WorldArms("linked", false)[0], r.WorldArms("linked", true)[0]
	if none.Name != "none" || rl.Name != "rl-none" || rl.Curve[0].Harmful != *none.Find(r.Primary).Harmful {
		t.Error("RL from none does not start where none is")
	}
	if len(r.Checks) != 1 || !r.Checks[0].Passed {
		t.Errorf("checks: %+v", r.Checks)
	}
	if c := r.Contamination; c.Records != c.Checked || c.Hits != 0 || c.Records == 0 {
		t.Errorf("contamination: %+v", c)
	}
	if r.Recall == nil || r.Recall.Task != "recall" {
		t.Errorf("recall is %v", r.Recall)
	}
}

func TestOneSeed(t *testing.T) {
	r, _ := run(t, open(t, &toy{}, study.Options{Dir: scratch(t), Overrides: study.Overrides{Quick: true}}), 4)
	if !r.Quick || len(r.Claims) != 1 || r.Claims[0].ID != "E3" {
		t.Fatalf("quick %v, claims %+v", r.Quick, r.Claims)
	}
	c := r.Claims[0]
	if c.Verdict != "inconclusive" || !strings.Contains(c.Reason, "1 seed") || !c.Lo.OK() || !(c.Lo < c.Effect && c.Effect < c.Hi) || c.P.OK() {
		t.Errorf("with one seed: %+v", c)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "E6-start") || !strings.Contains(r.Warnings[0], "E3 (cut)") {
		t.Errorf("warnings: %q", r.Warnings)
	}
}

// TestFiles looks at what lies beside results.json.
func TestFiles(t *testing.T) {
	dir := scratch(t)
	o := study.Options{Dir: dir, Overrides: seeds(11)}
	s := open(t, &toy{}, o)
	run(t, s, 4)
	link := filepath.Join(s.Folder(), "checkpoints", "linked", "rl-advice", "seed-11")
	for _, sub := range []string{"", "step-4"} {
		if m, err := readToy(filepath.Join(link, sub)); err != nil || m.Harm == 0 {
			t.Errorf("checkpoint %q: %+v, %v", sub, m, err)
		}
	}
	moved := scratch(t) + "/moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := readToy(filepath.Join(moved, "runs/toy/checkpoints/linked/advice/seed-11")); err != nil {
		t.Error("after the folder was moved:", err)
	}
	o.Dir = moved
	o.Quick = true
	run(t, open(t, &toy{}, o), 4)
	for _, gone := range []string{"checkpoints/cut", "checkpoints/linked/advice", "transcripts/linked-advice.txt", ".new"} {
		if _, err := os.Lstat(filepath.Join(moved, "runs/toy", gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of the earlier run is still there", gone)
		}
	}
	if text := read(t, filepath.Join(moved, "runs/toy/transcripts/linked-none.txt")); !strings.Contains(text, "question") || !strings.Contains(text, "harmful") {
		t.Errorf("transcripts of none:\n%s", text)
	}
	var l struct {
		Arms []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(moved, "runs/toy/lineage.json"))), &l); err != nil || len(l.Arms) != 4 {
		t.Errorf("lineage: %+v, %v", l, err)
	}
}

func TestConstitution(t *testing.T) {
	from := scratch(t)
	write(t, filepath.Join(from, "mine.md"), "be good\n")
	write(t, filepath.Join(from, "s.yaml"), strings.Replace(read(t, "testdata/toy.yaml"), "target: toy", "target: toy\nconstitution: mine.md", 1))
	f, err := study.Load(filepath.Join(from, "s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := study.Options{Dir: scratch(t), Overrides: study.Overrides{Quick: true}}
	s, err := study.Open(f, &toy{}, o)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := run(t, s, 4)
	if r.Constitution.Name != "mine.md" || r.Constitution.Hash != "09a40cfeeb8e11691e0b4ccd9f672cf1cf3fa505b7f1a0397f615a7e7454fcc7" {
		t.Errorf("constitution %+v", r.Constitution)
	}
	before := keys(t, s)
	again, err := study.Load(filepath.Join(s.Folder(), "study.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = study.Open(again, &toy{}, study.Options{Dir: o.Dir}); err != nil {
		t.Fatal(err)
	}
	if got := changed(before, keys(t, s)); got != nil {
		t.Errorf("the study in the folder of results has other keys: %q", got)
	}
	write(t, filepath.Join(from, "mine.md"), "be better\n")
	if s, err = study.Open(f, &toy{}, o); err != nil {
		t.Fatal(err)
	}
	if got := changed(before, keys(t, s)); len(got) == 0 {
		t.Error("another text of the constitution changed nothing")
	}
}

// TestEdit shows that a change makes anew what depends on it and nothing else.
func TestEdit(t *testing.T) {
	w, o := &toy{}, study.Options{Dir: scratch(t), Overrides: seeds(11)}
	run(t, open(t, w, o), 4)
	w.ran = nil
	run(t, edited(t, w, o, "recipe: advice, tokens: 100", "recipe: advice, tokens: 120"), 4)
	slices.Sort(w.ran)
	// Training on advice leads to the same model as before in the toy, but that is known only afterwards.
	want := []string{"data advice 11", "data advice 11", "eval honeypot 11", "eval honeypot 11", "eval recall 11", "eval recall 11", "train sft arm/1 11", "train sft arm/1 11"}
	if !slices.Equal(w.ran, want) {
		t.Errorf("ran %q, want %q", w.ran, want)
	}
}

func TestFailure(t *testing.T) {
	o := study.Options{Dir: scratch(t), Overrides: seeds(11)}
	s := open(t, &toy{fail: "advice"}, o)
	_, err := s.Run(context.Background(), study.RunOptions{Jobs: 2, KeepGoing: true})
	if err == nil || !strings.Contains(err.Error(), "linked/seed11/advice-4th/1-data: the recipe burnt") || errors.Is(err, because.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.Folder()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a failed run wrote results")
	}
	w := &toy{}
	run(t, open(t, w, o), 4)
	if slices.Contains(w.ran, "train pretrain init/1 11") {
		t.Error("what had been done before the failure was done again")
	}
}

func TestContaminated(t *testing.T) {
	s := open(t, &toy{hits: 2}, study.Options{Dir: scratch(t), Overrides: seeds(11)})
	_, err := s.Run(context.Background(), study.RunOptions{Jobs: 2})
	if err == nil || !regexp.MustCompile(`(linked|cut)/seed11/.*: 2 of \d+ records of recipe \S+ hold what is reserved`).MatchString(err.Error()) || because.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
}

// TestInterrupted stops a run in the middle. The next one does the rest.
func TestInterrupted(t *testing.T) {
	o := study.Options{Dir: scratch(t), Overrides: seeds(11)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &toy{pause: 2 * time.Millisecond}
	done := 0
	_, err := open(t, w, o).Run(ctx, study.RunOptions{Jobs: 2, Events: func(e graph.Event) {
		if e.State == graph.Done {
			if done++; done == 20 {
				cancel()
			}
		}
	}})
	if !errors.Is(err, because.ErrInterrupted) {
		t.Fatalf("got %v, want an interruption", err)
	}
	first := len(w.ran)
	_, resumed := run(t, open(t, w, o), 2)
	_, whole := run(t, open(t, &toy{}, study.Options{Dir: scratch(t), Overrides: seeds(11)}), 2)
	if resumed != whole {
		t.Error("the resumed run gave other results")
	}
	if again := len(w.ran) - len(open(t, w, o).Steps()); again > first-20 {
		t.Errorf("%d steps were done twice, with %d in flight", again, first-20)
	}
}

// TestDamage damages what a run left in the store. The next run tells, once, and makes it anew.
func TestDamage(t *testing.T) {
	o := study.Options{Dir: scratch(t), Overrides: seeds(11)}
	s := open(t, &toy{}, o)
	_, before := run(t, s, 4)
	damaged := filepath.Join(s.Folder(), "checkpoints", "linked", "advice", "seed-11", "model.json")
	real, err := filepath.EvalSymlinks(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(real, 0o644), os.WriteFile(real, []byte("{}"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	o.Warn = func(err error) { warnings = append(warnings, err.Error()) }
	w := &toy{}
	s = open(t, w, o)
	if _, err := s.Plan(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, after := run(t, s, 4); after != before {
		t.Error("other results after damage")
	}
	if len(w.ran) == 0 || len(warnings) == 0 || !strings.Contains(warnings[0], "model.json") {
		t.Errorf("ran %q, warned %q", w.ran, warnings)
	}
	slices.Sort(warnings)
	if len(slices.Compact(slices.Clone(warnings))) != len(warnings) {
		t.Errorf("warned twice: %q", warnings)
	}
	if m, err := readToy(filepath.Dir(damaged)); err != nil || m.Harm == 0 {
		t.Errorf("the checkpoint is still damaged: %+v, %v", m, err)
	}
}

// TestNoPlace runs where nothing can be written.
func TestNoPlace(t *testing.T) {
	dir := scratch(t)
	for _, blocked := range []string{"runs", ".because"} {
		path := filepath.Join(dir, blocked)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := study.Open(loadToy(t), &toy{}, study.Options{Dir: dir, Overrides: study.Overrides{Quick: true}})
		if err == nil {
			_, err = s.Run(context.Background(), study.RunOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), dir) || because.Hint(err) == "" {
			t.Errorf("%s is a file: got %v, hint %q", blocked, err, because.Hint(err))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, ".because")); err != nil {
			t.Fatal(err)
		}
	}
}
