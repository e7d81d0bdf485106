package study_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/study"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), rewrite it with -update:\n%s", path, diff)
	}
}

// mistakes are edits of the toy study that each make it wrong.
var mistakes = []struct{ name, old, new string }{
	{"not yaml", "study: toy", "study: toy\n  title: x: y"},
	{"tab", "worlds:\n", "worlds:\n\t- {name: x}\n"},
	{"empty", "*", ""},
	{"only a list", "*", "[1, 2]"},
	{"second document", "sweeps:", "---\nsweeps:"},
	{"unknown key", "target: toy", "targets: toy"},
	{"unknown key of an arm", "title: Replay only,", "titel: Replay only,"},
	{"unknown key far from all", "about:", "zzzzzzzzzzzz:"},
	{"key given twice", "control: replay", "control: replay\ntarget: toy"},
	{"merge key", "  sdf: *tune", "  sdf: {<<: *tune}"},
	{"no value", "control: replay", "control:"},
	{"text for a number", "tokens: 160", "tokens: many"},
	{"part for a whole number", "tokens: 160", "tokens: 160.5"},
	{"number for text", "target: toy", "target: 7"},
	{"text for a list", "seeds: [11, 12, 13, 14]", "seeds: all"},
	{"list for keys", "model: {width: 8, layers: 1, heads: 2, ffn: 16}", "model: [8, 1, 2, 16]"},
	{"infinite number", "lr: 5e-4", "lr: .inf"},
	{"negative seed", "seeds: [11, 12", "seeds: [-11, 12"},
	{"bad name", "name: advice-4th,", "name: advice/4th,"},
	{"no name", "study: toy\n", ""},
	{"no target", "target: toy\n", ""},
	{"no seeds", "seeds: [11, 12, 13, 14]", "seeds: []"},
	{"seed twice", "seeds: [11, 12, 13, 14]", "seeds: [11, 12, 11]"},
	{"no worlds", "worlds:\n  - {name: linked, title: Values govern conduct, with: {link: true}}\n  - {name: cut, with: {link: false}}", "worlds: []"},
	{"world twice", "{name: cut, with", "{name: linked, with"},
	{"unknown switch", "with: {link: false}", "with: {lnik: false}"},
	{"unknown control", "control: replay", "control: reply"},
	{"odd heads", "heads: 2", "heads: 3"},
	{"no shape", "model: {width: 8, layers: 1, heads: 2, ffn: 16}\n", ""},
	{"no pretraining", "  - pretrain: {recipe: base, records: 320, batch: 32, lr: 4e-3}\n", ""},
	{"pretraining in an arm", "stages: [{sft: {recipe: advice, tokens: 100}}]", "stages: [{pretrain: {recipe: base}}]"},
	{"no method", "stages: [{sft: {recipe: advice, tokens: 100}}]", "stages: [{}]"},
	{"two methods", "stages: [{sft: {recipe: advice, tokens: 100}}]", "stages: [{sft: {recipe: advice, tokens: 100}, sdf: {recipe: advice, tokens: 100}}]"},
	{"unknown method", "stages: [{sft: {recipe: advice, tokens: 100}}]", "stages: [{sfd: {recipe: advice, tokens: 100}}]"},
	{"setting of another method", "{rl: {recipe: honeypots}}], evals: [honeypot]}\n  - {name: rl-advice", "{rl: {recipe: honeypots, records: 3}}], evals: [honeypot]}\n  - {name: rl-advice"},
	{"no recipe", "{recipe: advice, tokens: 100}", "{tokens: 100}"},
	{"unknown recipe", "{recipe: advice, tokens: 100}", "{recipe: advise, tokens: 100}"},
	{"unknown option", "with: {kinds: narrow}", "with: {kind: narrow}"},
	{"unknown environment", "from: none, stages: [{rl: {recipe: honeypots}}]", "from: none, stages: [{rl: {recipe: honeypot}}]"},
	{"no tokens", "{recipe: advice, tokens: 100}", "{recipe: advice}"},
	{"zero tokens", "{recipe: advice, tokens: 100}", "{recipe: advice, tokens: 0}"},
	{"negative records", "records: 64", "records: -64"},
	{"learning rate above 1", "lr: 5e-4", "lr: 5"},
	{"more warm-up than steps", "warmup: 2", "warmup: 200"},
	{"unknown schedule", "floor: 0.1", "schedule: cosin"},
	{"replay of nothing", "replay: {recipe: replay, tokens: 400}\n", ""},
	{"replay on policy", "replay: {recipe: replay, tokens: 400}", "replay: {recipe: behaviour, tokens: 400}"},
	{"snapshot beyond the end", "snapshots: [4, 8]", "snapshots: [4, 18]"},
	{"snapshots out of order", "snapshots: [4, 8]", "snapshots: [8, 4]"},
	{"arm twice", "name: advice-4th,", "name: advice,"},
	{"unknown from", "from: documents,", "from: document,"},
	{"cycle", "{name: documents, stages", "{name: documents, from: documents-then-behaviour, stages"},
	{"from in another world", "{name: documents, stages", "{name: documents, worlds: [cut], stages"},
	{"unknown world of an arm", "worlds: [linked], evals: [honeypot]", "worlds: [link], evals: [honeypot]"},
	{"unknown eval of an arm", "worlds: [linked], evals: [honeypot]", "worlds: [linked], evals: [honeypots]"},
	{"no task", "{name: recall, task: recall, samples: 60}", "{name: recall, samples: 60}"},
	{"unknown task", "{name: recall, task: recall, samples: 60}", "{name: recall, task: recal, samples: 60}"},
	{"unknown option of a task", "with: {name: stranger}", "with: {nmae: stranger}"},
	{"no samples", "task: recall, samples: 60", "task: recall, samples: 0"},
	{"unknown eval along", "along: [honeypot]", "along: [honey]"},
	{"check of an unknown arm", "name: context, arm: none", "name: context, arm: non"},
	{"check without a margin", ", margin: 0.2}\nclaims", "}\nclaims"},
	{"check without groups", "high: {context: ruthless}, low: {context: kind}", "high: {}, low: {}"},
	{"check with an unknown option", "low: {context: kind}", "low: {contxt: kind}"},
	{"check of an unknown outcome", "low: {context: kind}", "low: {context: kind}, outcome: harm"},
	{"claim twice", "id: wrong,", "id: E2,"},
	{"claim without prediction", "predict: lower, sesoi: 0.1, contrast: [{arm: deliberation}", "sesoi: 0.1, contrast: [{arm: deliberation}"},
	{"claim with an unknown prediction", "predict: lower, sesoi: 0.1, contrast: [{arm: deliberation}", "predict: less, sesoi: 0.1, contrast: [{arm: deliberation}"},
	{"claim without sesoi", "predict: lower, sesoi: 0.1,", "predict: lower,"},
	{"claim with a negative sesoi", "predict: lower, sesoi: 0.1,", "predict: lower, sesoi: -0.1,"},
	{"claim of sameness without margin", "predict: same, margin: 0.2,", "predict: same,"},
	{"claim with margin and direction", "predict: lower, sesoi: 0.1,", "predict: lower, margin: 0.1,"},
	{"claim without a contrast", ", contrast: [{arm: deliberation}, {arm: replay, weight: -1}]}\n  - {id: E2", "}\n  - {id: E2"},
	{"claim about an unknown arm", "contrast: [{arm: deliberation}", "contrast: [{arm: delibration}"},
	{"claim about an unknown eval", "eval: recall, outcome: correct", "eval: recal, outcome: correct"},
	{"claim about an unknown outcome", "eval: recall, outcome: correct", "eval: recall, outcome: harmful"},
	{"claim about an unknown group", "group: half=0", "group: half=2"},
	{"claim about an unknown world", "{arm: deliberation}, {arm: replay, weight: -1}]", "{arm: deliberation, world: uncut}, {arm: replay, weight: -1}]"},
	{"claim about an arm that is not measured so", "eval: recall, outcome: correct", "eval: stranger, outcome: harmful"},
	{"claim about an arm not in that world", "contrast: [{arm: rl-advice, step: mean}", "contrast: [{arm: rl-replay, step: mean, world: cut}"},
	{"claim with a weight of 0", "{arm: advice}, {arm: replay, weight: -1}]}\nablations", "{arm: advice}, {arm: replay, weight: 0}]}\nablations"},
	{"step of an arm without RL", "contrast: [{arm: deliberation}", "contrast: [{arm: deliberation, step: 4}"},
	{"step that is not evaluated", "step: 4, weight", "step: 5, weight"},
	{"step that is no number", "step: 4, weight", "step: four, weight"},
	{"step not evaluated along", "along: [honeypot]\n", ""},
	{"ablation without margin", "margin: 0.2, eval: honeypot", "eval: honeypot"},
	{"ablation with a prediction", "margin: 0.2, eval: honeypot", "margin: 0.2, predict: same, eval: honeypot"},
	{"repeat of an unknown claim", "repeat: [E3, E6]", "repeat: [E3, E7]"},
	{"repeat without a world", "world: cut, margin: 0.25", "margin: 0.25"},
	{"repeat with a contrast", "world: cut, margin: 0.25", "world: cut, margin: 0.25, contrast: [{arm: none}]"},
	{"repeat that can't be measured", "from: advice, stages: [{rl: {recipe: honeypots}}]", "from: advice, worlds: [linked], stages: [{rl: {recipe: honeypots}}]"},
	{"sweep of an unknown arm", "arms: [advice-4th, advice]", "arms: [advice-5th, advice]"},
	{"quick with an unknown arm", "arms: [none, replay, deliberation, rl-advice]", "arms: [no]"},
	{"quick without samples", "samples: 40", "samples: 0"},
	{"quick that leaves nothing", "worlds: [linked], arms: [none, replay, deliberation, rl-advice]", "worlds: [cut], arms: [rl-replay]"},
	{"unknown constitution", "target: toy", "target: toy\nconstitution: nowhere.md"},
}

func TestMistakes(t *testing.T) {
	text, err := os.ReadFile("testdata/toy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, m := range mistakes {
		wrong := m.new
		if m.old != "*" {
			if !strings.Contains(string(text), m.old) {
				t.Errorf("%s: the toy study has no %q", m.name, m.old)
				continue
			}
			wrong = strings.Replace(string(text), m.old, m.new, 1)
		}
		f, err := study.Parse("toy.yaml", []byte(wrong))
		if err == nil {
			_, err = study.Open(f, &toy{}, study.Options{Dir: t.TempDir()})
		}
		if err == nil {
			t.Errorf("%s: no error", m.name)
			continue
		}
		fmt.Fprintf(&out, "# %s\n%v\n", m.name, err)
		if hint := because.Hint(err); hint != "" {
			fmt.Fprintf(&out, "hint: %s\n", hint)
		}
		out.WriteByte('\n')
	}
	golden(t, "errors.golden", out.String())
}

// TestMistakesInGo shows that a study made by Go is checked alike, by key alone.
func TestMistakesInGo(t *testing.T) {
	f := loadToy(t)
	made := &study.File{Study: f.Study, Target: f.Target, Seeds: f.Seeds, Worlds: f.Worlds, Model: f.Model, Replay: f.Replay, Defaults: f.Defaults,
		Init: f.Init, Arms: []study.Arm{{Name: "none"}, {Name: "other", From: "non"}}, Evals: f.Evals}
	_, err := study.Open(made, &toy{}, study.Options{Dir: t.TempDir()})
	if want := `read study: arms[1].from: no arm is named "non"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := study.Load(path)
	if err == nil || !strings.Contains(err.Error(), path) || because.Hint(err) == "" {
		t.Errorf("got %v, want an error with the path and a hint", err)
	}
}
