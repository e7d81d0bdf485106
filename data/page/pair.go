package page

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/because-lab/because/data/columns"
)

// pair is two records that are compared: their rows from 0, and what they share.
type pair struct {
	a, b      int
	by, value string // by is "" where they were put together at random
}

// shared are the things by which records are matched, the closest first.
var shared = []struct {
	by  string
	key func(columns.Row) string
}{
	{"prompt", promptOf},
	{"id", func(r columns.Row) string { return textOf(r.Extra["id"]) }},
	{"principle", func(r columns.Row) string { return textOf(lineageOf(r)["principle"]) }},
	{"kind", func(r columns.Row) string { return textOf(lineageOf(r)["kind"]) }},
}

// promptOf is all that comes before the answer; empty for documents and for prompts without one.
func promptOf(r columns.Row) string {
	messages := r.Prompt
	switch r.Kind() {
	case columns.SFT:
		messages = r.Messages[:len(r.Messages)-1]
	case columns.DPO:
	default:
		return ""
	}
	if len(messages) == 0 {
		return ""
	}
	text, err := json.Marshal(messages)
	if err != nil {
		return "" // a message with broken JSON in it, which columns refuses
	}
	return string(text)
}

// pairs matches records of two files, each at most once: by what they share where they share something, and the rest at random. Of n pairs
// as many as possible are matched; 0 means all. They come in an order of their own, equal for equal seeds.
func pairs(a, b []columns.Row, n int, random *rand.Rand) []pair {
	left, right := all(a), all(b)
	var matched []pair
	for _, s := range shared {
		matched = append(matched, match(a, b, &left, &right, s.by, s.key, random)...)
	}
	rest := match(a, b, &left, &right, "", func(columns.Row) string { return "any" }, random)
	shuffle(random, matched)
	out := append(matched, rest...)
	if n > 0 && n < len(out) {
		out = out[:n]
	}
	shuffle(random, out)
	for i := range out {
		if out[i].by == "" || out[i].by == "prompt" {
			out[i].value = ""
		}
	}
	return out
}

// match pairs rows with equal keys, and takes them off the lists.
func match(a, b []columns.Row, left, right *[]int, by string, key func(columns.Row) string, random *rand.Rand) []pair {
	group := func(rows []columns.Row, list []int) map[string][]int {
		out := map[string][]int{}
		for _, i := range list {
			if k := key(rows[i]); k != "" {
				out[k] = append(out[k], i)
			}
		}
		return out
	}
	inA, inB := group(a, *left), group(b, *right)
	usedA, usedB := map[int]bool{}, map[int]bool{}
	var out []pair
	for _, k := range slices.Sorted(maps.Keys(inA)) {
		as, bs := inA[k], inB[k]
		shuffle(random, as)
		shuffle(random, bs)
		for i := range min(len(as), len(bs)) {
			out = append(out, pair{as[i], bs[i], by, k})
			usedA[as[i]], usedB[bs[i]] = true, true
		}
	}
	*left = slices.DeleteFunc(*left, func(i int) bool { return usedA[i] })
	*right = slices.DeleteFunc(*right, func(i int) bool { return usedB[i] })
	return out
}

func all(rows []columns.Row) []int {
	out := make([]int, len(rows))
	for i := range out {
		out[i] = i
	}
	return out
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
