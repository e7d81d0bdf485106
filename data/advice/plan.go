package advice

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
)

// exactly reads an answer by its prompt's form, of which there must be so many items.
func (r *recipe) exactly(prompt string, n int, answer because.Response) ([]map[string]string, error) {
	p, err := r.set.Get(prompt)
	if err != nil {
		return nil, err
	}
	texts, err := p.Answer.Read(answer.Text)
	if err == nil && len(texts) != n {
		err = fmt.Errorf("there are %d items, and %d were asked for", len(texts), n)
	}
	return texts, err
}

// readPrinciples makes an item of each principle that was chosen, under its id.
func (r *recipe) readPrinciples(in pipe.Item, answer because.Response) ([]pipe.Item, error) {
	texts, err := r.exactly("principles", r.o.Principles, answer)
	if err != nil {
		return nil, err
	}
	var out []pipe.Item
	seen := map[string]bool{}
	for _, t := range texts {
		id := strings.Trim(t["id"], "[]# ")
		p, ok := r.o.Constitution.Principle(id)
		switch {
		case !ok:
			return nil, pipe.Again("no such principle", fmt.Sprintf("The constitution has no principle %q. Use the ids between the brackets.", id))
		case seen[id]:
			return nil, pipe.Again("a principle twice", fmt.Sprintf("The principle %q is there twice.", id))
		}
		seen[id] = true
		cite, err := r.o.Constitution.Cite(id)
		if err != nil {
			return nil, err
		}
		out = append(out, in.Without("constitution").Child(id, "principle_id", id, "principle", strings.TrimSpace(r.o.Constitution.Text(p)), "citation", cite,
			"bearing", t["bearing"], "how_many", fmt.Sprint(r.o.Types)))
	}
	return out, nil
}

func (r *recipe) readTypes(in pipe.Item, answer because.Response) ([]pipe.Item, error) {
	texts, err := r.exactly("types", r.o.Types, answer)
	var out []pipe.Item
	for i, t := range texts {
		out = append(out, in.Without("problem", "how_many", "bearing").Child(fmt.Sprintf("%02d", i+1), "type", t["type"]))
	}
	return out, err
}

// batches is how many requests for scenarios are planned over so many pairs of principle and type: as many as give the records that are wanted, with some to
// spare.
func (r *recipe) batches(cells int) int {
	if r.o.N == 0 || cells == 0 {
		return cells
	}
	return int(math.Ceil(float64(r.wanted()) / float64(r.o.Scenarios)))
}

// wanted is how many scenarios the records take that are asked for.
func (r *recipe) wanted() int { return int(math.Ceil(float64(r.o.N)/r.o.Kept - 1e-9)) }

// scenarios is how many of n scenarios are thought to be written out.
func (r *recipe) scenarios(n int) int {
	if r.o.N == 0 {
		return n
	}
	return min(n, r.wanted())
}

// plan makes the requests for scenarios: one type of each principle in turn, then the next types, then all of them again, each with other
// ingredients.
func (r *recipe) plan(cells []pipe.Item) ([]pipe.Item, error) {
	order := interleave(cells, func(it pipe.Item) string { return it.Get("principle_id") })
	settings, pressures := r.shuffled("settings"), r.shuffled("pressures")
	var out []pipe.Item
	for b := range r.batches(len(order)) {
		cell := order[b%len(order)]
		var lines []string
		for k := range r.o.Scenarios {
			i := b*r.o.Scenarios + k
			// After all settings were used once they meet other pressures.
			lines = append(lines, fmt.Sprintf("%d. %s; %s", k+1, settings[i%len(settings)], pressures[(i+i/len(settings))%len(pressures)]))
		}
		out = append(out, cell.Child(fmt.Sprintf("r%02d", b/len(order)+1), "sparks", strings.Join(lines, "\n")))
	}
	return out, nil
}

// interleave gives the first item of each group, then the second ones, and so on, each time in the order in which they came.
func interleave(items []pipe.Item, group func(pipe.Item) string) []pipe.Item {
	had := map[string]int{}
	var rounds [][]pipe.Item
	for _, it := range items {
		n := had[group(it)]
		had[group(it)]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], it)
	}
	return slices.Concat(rounds...)
}

// readScenarios makes an item of each scenario, with its four parts as one text.
func (r *recipe) readScenarios(in pipe.Item, answer because.Response) ([]pipe.Item, error) {
	texts, err := r.exactly("scenarios", r.o.Scenarios, answer)
	var out []pipe.Item
	for i, t := range texts {
		text := fmt.Sprintf("Situation: %s\n\nWhat they want: %s\n\nThe step: %s\n\nWhat makes it hard: %s", t["situation"], t["aim"], t["breach"], t["hard"])
		out = append(out, in.Without("sparks").Child(fmt.Sprintf("%02d", i+1), "scenario", text, "batch", in.ID()))
	}
	return out, err
}

// spread puts the scenarios into the order in which they become records: the first of each request, then the second ones. It gives each its
// shape by quota, so that the shares hold in every beginning of the file, and a manner in which its user writes.
func (r *recipe) spread(items []pipe.Item) ([]pipe.Item, error) {
	order := interleave(items, func(it pipe.Item) string { return it.Get("batch") })
	voices := r.shuffled("voices")
	two, youAre := quota{share: r.o.TwoTurns}, quota{share: r.o.YouAre}
	bare := [2]quota{{share: r.o.NoSystem}, {share: r.o.NoSystem}} // of conversations with one turn and with two
	var out []pipe.Item
	for i, it := range order {
		turns, shape := 1, "shape-system"
		if two.next() {
			turns = 2
		}
		if bare[turns-1].next() {
			shape = "shape-bare"
		} else if youAre.next() {
			shape = "shape-role"
		}
		out = append(out, it.Without("batch").With("turns", fmt.Sprint(turns), "shape_name", shape, "shape", r.frag[shape],
			"voice", voices[(i+i/len(voices))%len(voices)]))
	}
	return out, nil
}

// quota deals out a share evenly: of the first n, always the share of n, rounded down.
type quota struct {
	share float64
	n     int
}

func (q *quota) next() bool {
	before := math.Floor(q.share*float64(q.n) + 1e-9)
	q.n++
	return math.Floor(q.share*float64(q.n)+1e-9) > before && q.share > 0
}

// shuffled gives a list in an order drawn by the recipe's seed.
func (r *recipe) shuffled(list string) []string {
	out := append([]string(nil), r.lists[list]...)
	stream(r.o.Seed, list).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// stream is a random stream named by seed and purpose.
func stream(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte("advice " + purpose))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
