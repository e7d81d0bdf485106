package probes

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
)

// order draws which option is shown first, and hands edition A to the first reader.
func order(it pipe.Item) ([]pipe.Item, error) {
	h := fnv.New64a()
	h.Write([]byte(it.ID()))
	a, first, second := "1", it.Get("option_a"), it.Get("option_b")
	if rand.New(rand.NewPCG(h.Sum64(), 1)).IntN(2) == 1 {
		a, first, second = "2", second, first
	}
	return []pipe.Item{it.With("a", a, "first", first, "second", second, "text", it.Get("text_a"))}, nil
}

// read keeps a probe on which the reader of an edition chose that edition's option, and hands the next edition to the next reader.
func read(edition, next string) func(pipe.Item) ([]pipe.Item, error) {
	return func(it pipe.Item) ([]pipe.Item, error) {
		want := it.Get("a")
		if edition == "b" {
			want = other(want)
		}
		switch it.Get("choice") {
		case want:
		case "0":
			return nil, pipe.Drop("edition " + edition + " does not decide it")
		default:
			return nil, pipe.Drop("edition " + edition + " decides it the other way")
		}
		it = it.With("why_"+edition, it.Get("why")).Without("why", "choice")
		if next != "" {
			it = it.With("text", it.Get("text_"+next))
		}
		return []pipe.Item{it}, nil
	}
}

func other(option string) string {
	if option == "1" {
		return "2"
	}
	return "1"
}

func checkProbe(_, out pipe.Item) error {
	if n := len(strings.Fields(out.Get("question"))); n < 12 || n > 150 {
		return pipe.Again("wrong length", fmt.Sprintf("A question has %d words; it should have 30 to 90.", n))
	}
	a, b := len(strings.Fields(out.Get("option_a"))), len(strings.Fields(out.Get("option_b")))
	if a > 40 || b > 40 || a > 2*b || b > 2*a {
		return pipe.Again("uneven options", fmt.Sprintf("The options have %d and %d words; they should be equally long, 25 at most.", a, b))
	}
	return nil
}

func checkChoice(_, out pipe.Item) error {
	if c := out.Get("choice"); c != "0" && c != "1" && c != "2" {
		return pipe.Again(pipe.FlawShape, "The choice must be 0, 1 or 2 and nothing else.")
	}
	return nil
}

func checkDemonstration(_, out pipe.Item) error {
	for _, r := range quality.Broken(because.RoleUser, out.Get("user")) {
		if r.ID == "greeting" || r.ID == "introduction" {
			return pipe.Again("breaks a rule of style", "There should be none of these: "+r.About+".")
		}
	}
	if n := len(strings.Fields(out.Get("assistant"))); n < 8 || n > 200 {
		return pipe.Again("wrong length", fmt.Sprintf("An answer has %d words; it should have 20 to 120.", n))
	}
	return nil
}

// probe is the record: the question with its options, and which one each edition's reasons lead to.
func probe(it pipe.Item) (pipe.Record, error) {
	a, err := strconv.Atoi(it.Get("a"))
	if err != nil {
		return pipe.Record{}, err
	}
	rec := pipe.Record{Principle: it.Get("principle"), Kind: it.Get("domain")}
	rec.Prompt = []because.Message{{Role: because.RoleUser, Content: it.Get("question") + "\n\n1. " + it.Get("first") + "\n2. " + it.Get("second")}}
	rec.Extra = map[string]json.RawMessage{}
	for name, v := range map[string]any{"a": a, "b": 3 - a, "domain": it.Get("domain"), "why_a": it.Get("why_a"), "why_b": it.Get("why_b")} {
		text, err := json.Marshal(v)
		if err != nil {
			return rec, err
		}
		rec.Extra[name] = text
	}
	return rec, nil
}
