package infer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// allowed gives the probabilities of a draw by the definitions, in float64:
// temperature, then top-k, then top-p over what is left.
func allowed(logits []float32, o sampling) map[int32]float64 {
	type candidate struct {
		id int32
		p  float64
	}
	var all []candidate
	for i, v := range logits {
		all = append(all, candidate{int32(i), math.Exp(float64(v) / o.temperature)})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		}
		return 0
	})
	if o.topK > 0 {
		all = all[:min(o.topK, len(all))]
	}
	norm := func() {
		sum := 0.0
		for _, c := range all {
			sum += c.p
		}
		for i := range all {
			all[i].p /= sum
		}
	}
	norm()
	if o.topP > 0 && o.topP < 1 {
		sum, n := 0.0, 0
		for n < len(all) && sum < o.topP {
			sum += all[n].p
			n++
		}
		all = all[:n]
		norm()
	}
	out := map[int32]float64{}
	for _, c := range all {
		out[c.id] = c.p
	}
	return out
}

// TestDrawFollowsTheDefinitions compares the frequencies of many draws.
func TestDrawFollowsTheDefinitions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	logits := make([]float32, 300)
	for i := range logits {
		logits[i] = float32(2 * r.NormFloat64())
	}
	const draws = 20000
	for _, o := range []sampling{
		{temperature: 1}, {temperature: 0.6}, {temperature: 1.5, topK: 7}, {temperature: 1, topK: 1}, {temperature: 1, topK: 1000},
		{temperature: 1, topP: 0.5}, {temperature: 2, topP: 0.97}, {temperature: 0.8, topK: 40, topP: 0.7}, {temperature: 1, topP: 1e-9},
	} {
		want, counts := allowed(logits, o), map[int32]int{}
		var s sampler
		buf := make([]float32, len(logits))
		for range draws {
			copy(buf, logits)
			counts[s.draw(buf, o, r)]++
		}
		chi, cells := 0.0, 0.0
		for id, n := range counts {
			if want[id] == 0 {
				t.Errorf("%+v: drew token %d, which is not allowed", o, id)
			}
			if e := want[id] * draws; e >= 5 {
				chi += (float64(n) - e) * (float64(n) - e) / e
				cells++
			}
		}
		for id, p := range want {
			if p*draws >= 20 && counts[id] == 0 {
				t.Errorf("%+v: never drew token %d of probability %.3f", o, id, p)
			}
		}
		// Mean cells, variance twice that: five standard deviations.
		if limit := cells + 5*math.Sqrt(2*cells) + 1; chi > limit {
			t.Errorf("%+v: chi-squared %.1f over %v tokens, want at most %.1f", o, chi, cells, limit)
		}
	}
}

// TestEqualLogitsRankByToken draws from ties.
func TestEqualLogitsRankByToken(t *testing.T) {
	var s sampler
	logits := make([]float32, 3000)
	if got := argmax(logits); got != 0 {
		t.Errorf("argmax of equal logits is %d", got)
	}
	logits[2500], logits[1025] = 1, 1
	if got := argmax(logits); got != 1025 {
		t.Errorf("argmax is %d, want the first of the largest", got)
	}
	best := s.likeliest(logits, 4, float32(math.Inf(-1)))
	for i, want := range []int32{1025, 2500, 0, 1} {
		if best[i].ID != want {
			t.Errorf("candidate %d is %d, want %d", i, best[i].ID, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		clear(logits)
		if got := s.draw(logits, sampling{temperature: 1, topK: 5}, r); got > 4 {
			t.Fatalf("drew token %d, not one of the first five of equals", got)
		}
	}
}

// TestSeedsDiffer demands that seeds are streams of their own.
func TestSeedsDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(1000) {
		seen[stream(seed).Uint64()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different streams of 1000 seeds", len(seen))
	}
}
