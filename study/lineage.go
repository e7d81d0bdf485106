package study

import (
	"encoding/json"

	"github.com/because-lab/because"
)

// lineageFile, beside results.json, says which steps every number came from.
const lineageFile = "lineage.json"

// made is what a step made.
type made struct {
	Step     string `json:"step"`
	Key      string `json:"key"`
	Artifact string `json:"artifact"`
}

// lineage is the content of lineage.json.
type lineage struct {
	Study  string         `json:"study"`
	Arms   []armLineage   `json:"arms"`
	Claims []claimLineage `json:"claims"` // ablations too
	Checks []claimLineage `json:"checks"`
}

// armLineage is one arm in one world with one seed.
type armLineage struct {
	Name       string                 `json:"name"`
	World      string                 `json:"world"`
	Seed       uint64                 `json:"seed"`
	Checkpoint made                   `json:"checkpoint"`
	Evals      map[string]made        `json:"evals"`
	Along      map[string][]snapshots `json:"along,omitempty"`
}

// snapshots is an evaluation along RL.
type snapshots struct {
	At int `json:"at"` // updates
	made
}

// claimLineage is the evaluations behind a contrast, all seeds.
type claimLineage struct {
	ID    string `json:"id"`
	Evals []made `json:"evals"`
}

// lineage collects where the numbers came from.
func (g *gathering) lineage() ([]byte, error) {
	l := lineage{Study: g.s.File.Study, Arms: []armLineage{}, Claims: []claimLineage{}, Checks: []claimLineage{}}
	for _, u := range g.s.planner.units {
		a := armLineage{Name: u.arm, World: u.world, Seed: u.seed, Checkpoint: g.made(u.model), Evals: map[string]made{}}
		for name, step := range u.evals {
			a.Evals[name] = g.made(step)
		}
		for name, points := range u.along {
			if a.Along == nil {
				a.Along = map[string][]snapshots{}
			}
			for _, p := range points {
				a.Along[name] = append(a.Along[name], snapshots{p.at, g.made(p.step)})
			}
		}
		l.Arms = append(l.Arms, a)
	}
	for _, c := range append(append([]Claim{}, g.s.File.Claims...), g.s.File.ablations()...) {
		entry := claimLineage{ID: c.ID}
		cells := g.contrast(c)
		for seed := range g.s.File.Seeds {
			for _, cell := range cells {
				entry.Evals = append(entry.Evals, g.made(cell.steps[seed]))
			}
		}
		l.Claims = append(l.Claims, entry)
	}
	for _, c := range g.s.File.Checks {
		entry := claimLineage{ID: c.Name}
		for _, p := range g.s.planner.pairs[c.Name] {
			entry.Evals = append(entry.Evals, g.made(p.high), g.made(p.low))
		}
		l.Checks = append(l.Checks, entry)
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, because.E("write lineage", g.s.File.Study, err, "")
	}
	return append(text, '\n'), nil
}

func (g *gathering) made(step string) made { return made{step, g.key[step], g.artifact[step]} }
