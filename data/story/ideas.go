package story

import (
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/internal/input"
)

//go:embed ideas.yaml
var shippedIdeas []byte

// batch is how many titles the prompt titles asks for.
const batch = 6

// ideas is what titles are made from.
type ideas struct {
	Places []string `yaml:"places"`
	Minds  []string `yaml:"minds"`
	Tones  []string `yaml:"tones"`
}

func loadIdeas(file string) (*ideas, error) {
	text, name := shippedIdeas, "ideas.yaml"
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, because.E("read ideas of stories", file, err, "")
		}
		name = file
	}
	return parseIdeas(name, text)
}

func parseIdeas(file string, text []byte) (*ideas, error) {
	var x ideas
	if err := input.YAML("read ideas of stories", file, text, &x); err != nil {
		return nil, err
	}
	if len(x.Places) == 0 || len(x.Minds) == 0 || len(x.Tones) == 0 {
		return nil, because.E("read ideas of stories", file, errors.New("places, minds and tones: none of the three may be empty"), "")
	}
	if slices.Contains(slices.Concat(x.Places, x.Minds, x.Tones), "") {
		return nil, because.E("read ideas of stories", file, errors.New("one of them is empty"), "")
	}
	return &x, nil
}

// at gives the idea with a number.
func (x *ideas) at(n int) string {
	return fmt.Sprintf("a story of %s, in %s; %s", deal("minds", x.Minds, n), deal("places", x.Places, n), deal("tones", x.Tones, n))
}

// source gives batches of ideas without end.
func (f framer) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		for b := 0; ; b++ {
			var lines []string
			for i := range batch {
				lines = append(lines, fmt.Sprintf("%d. %s", i+1, f.ideas.at(b*batch+i)))
			}
			if !yield(pipe.New(fmt.Sprintf("%05d", b), "ideas", strings.Join(lines, "\n")), nil) {
				return
			}
		}
	}
}

// deal gives the n-th of a deck that is dealt out in an order of its own before anything comes again. It depends on nothing else, so that runs with
// other seeds write on the same ideas.
func deal[T any](name string, deck []T, n int) T {
	h := fnv.New64a()
	h.Write([]byte(name))
	order := rand.New(rand.NewPCG(h.Sum64(), uint64(n/len(deck)))).Perm(len(deck))
	return deck[order[n%len(deck)]]
}

// distinctTitles drops stories whose title an earlier one has, whatever its articles, case and punctuation.
func distinctTitles() func(pipe.Item) string {
	seen := map[string]bool{}
	return func(it pipe.Item) string {
		var key []string
		for _, w := range strings.FieldsFunc(strings.ToLower(it.Get("title")), func(r rune) bool { return strings.ContainsRune(" .,;:!?'’\"“”-–—", r) }) {
			if w != "the" && w != "a" && w != "an" {
				key = append(key, w)
			}
		}
		if k := strings.Join(key, " "); !seen[k] {
			seen[k] = true
			return ""
		}
		return "an earlier one has its title"
	}
}
