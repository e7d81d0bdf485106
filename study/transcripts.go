package study

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/report"
)

// perOutcome is how many transcripts of each outcome are shown of the study's first eval; of others one.
const perOutcome = 2

// transcripts picks samples that a person can read, from the first seed: of each arm in the primary world all evals, in
// other worlds the first one.
func (g *gathering) transcripts(ctx context.Context) ([]report.Transcript, error) {
	f := g.s.File
	var out []report.Transcript
	for _, u := range g.s.planner.units {
		if u.seed != f.Seeds[0] {
			continue
		}
		for i := range f.Evals {
			e := &f.Evals[i]
			if u.evals[e.Name] == "" || i > 0 && u.world != f.Worlds[0].Name {
				continue
			}
			most := 1
			if i == 0 {
				most = perOutcome
			}
			some, err := g.pick(ctx, u, e, most)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return out, nil
}

// pick takes samples of each outcome of one evaluation, spread over it.
func (g *gathering) pick(ctx context.Context, u *unit, e *Eval, most int) ([]report.Transcript, error) {
	step := u.evals[e.Name]
	counts, err := g.counts(step)
	if err != nil {
		return nil, err
	}
	outcomes, err := g.counted(u.world, e)
	if err != nil {
		return nil, err
	}
	dir, err := g.s.store.Open(ctx, g.artifact[step])
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, batch.SamplesFile)
	wanted := map[string][]int{} // by outcome: which of its samples
	for _, o := range outcomes {
		for i := range min(most, counts.Outcomes[o]) {
			wanted[o] = append(wanted[o], i*counts.Outcomes[o]/most)
		}
	}
	found, err := pickLines(path, wanted)
	if err != nil {
		return nil, err
	}
	cell := g.s.File.cell(e.Name)
	var out []report.Transcript
	for _, o := range outcomes {
		for _, s := range found[o] {
			out = append(out, report.Transcript{Arm: u.arm, World: u.world, Seed: u.seed, Task: cell.Task, Cell: cell.Cell,
				Outcome: o, Why: s.Score.Why, Prompt: promptOf(s.Sample), Response: s.Answer})
		}
	}
	return out, nil
}

// promptOf gives what the model was given.
func promptOf(s because.Sample) string {
	text := conversation(s.Input)
	if s.Prefill != "" {
		text += fmt.Sprintf("\n%s (given): %s", because.RoleAssistant, s.Prefill)
	}
	return text
}

// pickLines reads the wanted samples of each outcome from samples.jsonl.
func pickLines(path string, wanted map[string][]int) (map[string][]batch.Scored, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read samples", path, err, "")
	}
	defer f.Close()
	found, seen := map[string][]batch.Scored{}, map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		outcome := outcomeOf(lines.Bytes())
		nth := seen[outcome]
		seen[outcome]++
		left := wanted[outcome]
		if len(left) == 0 || left[0] != nth {
			continue
		}
		wanted[outcome] = left[1:]
		var s batch.Scored
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, because.E("read samples", fmt.Sprintf("%s:%d", path, n), err, "")
		}
		found[outcome] = append(found[outcome], s)
	}
	if err := lines.Err(); err != nil {
		return nil, because.E("read samples", path, err, "")
	}
	return found, nil
}

// outcomeOf finds the outcome in a line of samples.jsonl without decoding all of it: the last member of that name is the
// score's, and within a text the quotes would be escaped. "" where it must be decoded in full to tell.
func outcomeOf(line []byte) string {
	mark := []byte(`"outcome":"`)
	if at := bytes.LastIndex(line, mark); at >= 0 {
		rest := line[at+len(mark):]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			return string(rest[:end])
		}
	}
	var s struct {
		Score because.Score `json:"score"`
	}
	if json.Unmarshal(line, &s) != nil {
		return "" // shown by no transcript
	}
	return string(s.Score.Outcome)
}
