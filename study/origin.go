package study

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

// facts tells in words what the files of an artifact say. What can't be read is said too: an explanation is still useful
// without.
func facts(kind, dir string) []string {
	var out []string
	var err error
	switch kind {
	case KindData:
		out, err = dataFacts(dir)
	case KindPretrain, KindTrain, KindRL:
		out, err = trainFacts(dir)
	case KindEval:
		out, err = evalFacts(dir)
	}
	if err != nil {
		out = append(out, "damaged: "+err.Error())
	}
	return out
}

func dataFacts(dir string) ([]string, error) {
	card, err := readCard(dir)
	if err != nil {
		return nil, err
	}
	out := []string{fmt.Sprintf("%s records, %s tokens", grouped(card.Records), grouped(card.Tokens))}
	if card.Sampled > 0 {
		out = append(out, fmt.Sprintf("%s answers sampled from the model, %s kept", grouped(card.Sampled), grouped(card.Kept)))
	}
	records, err := data.ReadRecords(dir)
	if err != nil {
		return out, err
	}
	principles, writers := map[string]int{}, map[string]int{}
	for _, r := range records {
		if r.Lineage.Principle != "" {
			principles[r.Lineage.Principle]++
		}
		if r.Lineage.Sampled != "" {
			writers[r.Lineage.Sampled]++
		}
	}
	if len(principles) > 0 {
		out = append(out, "principles: "+tallyWords(principles))
	}
	if len(writers) > 0 {
		out = append(out, "written by: "+tallyWords(writers))
	}
	return out, nil
}

func trainFacts(dir string) ([]string, error) {
	run, err := readRun(dir)
	if err != nil {
		return nil, err
	}
	if run.Records == 0 && run.Method == train.Pretrain {
		return []string{"the start checkpoint, as it was found"}, nil
	}
	text := fmt.Sprintf("%s steps, %s records, %s tokens", grouped(run.Steps), grouped(run.Records), grouped(run.Tokens))
	if n := len(run.Loss); n > 0 {
		text += fmt.Sprintf(", loss %.3g to %.3g", run.Loss[0], run.Loss[n-1])
	}
	if n := len(run.Rewards); n > 0 {
		text += fmt.Sprintf(", reward %.3g to %.3g", run.Rewards[0], run.Rewards[n-1])
	}
	return []string{text}, nil
}

func evalFacts(dir string) ([]string, error) {
	counts, err := batch.Read(dir)
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%s samples: %s", grouped(counts.N), tallyWords(counts.Outcomes))}, nil
}

// tallyWords lists counts, largest first.
func tallyWords(counts map[string]int) string {
	keys := sortedKeys(counts)
	slices.SortStableFunc(keys, func(a, b string) int { return counts[b] - counts[a] })
	return strings.Join(names(keys, func(k string) string { return fmt.Sprintf("%s %s", k, grouped(counts[k])) }), ", ")
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// WriteOrigins prints origins as trees. What occurs again is not printed again, and of what was made alike with several
// seeds only the first is printed in full.
func WriteOrigins(w io.Writer, origins []*Origin) error {
	p := &originPrinter{w: w, seen: map[string]bool{}}
	first := map[string]string{} // step by what it is apart from the seed
	for _, o := range origins {
		like, seen := first[withoutSeed(o.Step)]
		if !seen {
			first[withoutSeed(o.Step)] = o.Step
			p.print(o, "", "")
			continue
		}
		p.line(o.head() + "  like " + like)
	}
	if p.err != nil {
		return because.E("print origins", "", p.err, "")
	}
	return nil
}

// withoutSeed gives a step's ID without its seed: "linked/seed11/advice/1-sft" becomes "linked/advice/1-sft".
func withoutSeed(step string) string {
	world, rest, ok := strings.Cut(step, "/seed")
	if !ok {
		return step
	}
	_, rest, _ = strings.Cut(rest, "/")
	return world + "/" + rest
}

// head is the first line about an origin.
func (o *Origin) head() string {
	name := ""
	if o.Name != "" {
		name = o.Name + ": "
	}
	if o.Artifact == "" {
		return fmt.Sprintf("%skey %.12s", name, o.Key)
	}
	return fmt.Sprintf("%s%s  (artifact %.12s, key %.12s)", name, o.Step, o.Artifact, o.Key)
}

type originPrinter struct {
	w    io.Writer
	seen map[string]bool
	err  error
}

func (p *originPrinter) line(text string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(text, " "))
	}
}

// print prints an origin: its first line after first, the others after rest.
func (p *originPrinter) print(o *Origin, first, rest string) {
	again := p.seen[o.Key]
	p.seen[o.Key] = true
	head := first + o.head()
	if again {
		p.line(head + "  see above")
		return
	}
	p.line(head)
	stem := rest + "   "
	if len(o.Inputs) > 0 {
		stem = rest + "│  "
	}
	if o.Kind != "" {
		p.line(stem + fmt.Sprintf("%s (code version %s): %s", o.Kind, o.Version, o.order()))
	}
	for _, fact := range o.Facts {
		p.line(stem + fact)
	}
	for i, in := range o.Inputs {
		if i == len(o.Inputs)-1 {
			p.print(in, rest+"└─ ", rest+"   ")
		} else {
			p.print(in, rest+"├─ ", rest+"│  ")
		}
	}
}
