package infer

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/because-lab/because/engine/kernel"
)

// sampling says how a token is drawn from logits.
type sampling struct {
	temperature, topP float64
	topK              int
}

// sampler is the scratch space for that; it serves one goroutine.
type sampler struct {
	ranked []TopToken
	probs  []float32 // V
}

// stream is the random stream of a seed: that of the first sample of
// llama.Generate. The halves of its state are hashed, so that neighbouring
// seeds start far apart.
func stream(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(splitMix(seed), splitMix(^uint64(0))))
}

// splitMix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw picks a token. As in transformers, the temperature comes first, then the
// topK likeliest tokens remain, then the fewest of these whose probabilities
// reach topP (Holtzman et al. 2020, arXiv:1904.09751). Equal ones rank by token.
// It overwrites logits unless the temperature is 0.
func (s *sampler) draw(logits []float32, o sampling, r *rand.Rand) int32 {
	if o.temperature == 0 {
		return argmax(logits)
	}
	u := r.Float64()
	kernel.Softmax(logits, logits, float32(1/o.temperature))
	limited := o.topK > 0 && o.topK < len(logits)
	if !limited && !(o.topP > 0 && o.topP < 1) {
		if i := kernel.Search(logits, u); i >= 0 {
			return int32(i)
		}
		return argmax(logits) // rounding kept the sum below u
	}
	share := 1.0
	if o.topP > 0 {
		share = o.topP
	}
	if limited {
		return drawFrom(reach(s.likeliest(logits, o.topK, 0), share), u)
	}
	return drawFrom(s.nucleus(logits, share), u)
}

// nucleus returns the fewest likeliest tokens that have the share of all
// probability. They are mostly few, so it looks among more and more of them.
func (s *sampler) nucleus(probs []float32, share float64) []TopToken {
	for k := 64; ; k *= 8 {
		best, sum := s.likeliest(probs, k, 0), 0.0
		for i, t := range best {
			if sum += float64(t.LogProb); sum >= share {
				return best[:i+1]
			}
		}
		if len(best) < k {
			return best
		}
	}
}

// reach cuts tokens, likeliest first, to the fewest with the share of their sum.
func reach(best []TopToken, share float64) []TopToken {
	total, sum := 0.0, 0.0
	for _, t := range best {
		total += float64(t.LogProb)
	}
	for i, t := range best {
		if sum += float64(t.LogProb); sum >= share*total {
			return best[:i+1]
		}
	}
	return best
}

// likeliest returns the k tokens with the largest values of those above a
// bound, in order, with these values in place of log-probabilities.
func (s *sampler) likeliest(values []float32, k int, above float32) []TopToken {
	h := s.ranked[:0]
	for i, v := range values {
		switch {
		case v <= above:
		case len(h) < k:
			if h = append(h, TopToken{int32(i), v}); len(h) == k {
				heapify(h)
				above = h[0].LogProb
			}
		default:
			h[0] = TopToken{int32(i), v}
			siftDown(h, 0)
			above = h[0].LogProb
		}
	}
	s.ranked = h
	slices.SortFunc(h, before)
	return h
}

// before orders by falling probability, then by token.
func before(a, b TopToken) int {
	switch {
	case a.LogProb > b.LogProb:
		return -1
	case a.LogProb < b.LogProb:
		return 1
	}
	return int(a.ID) - int(b.ID)
}

// heapify and siftDown keep the last in order at the top of a heap.
func heapify(h []TopToken) {
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
}

func siftDown(h []TopToken, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && before(h[c+1], h[c]) > 0 {
			c++
		}
		if before(h[c], h[i]) <= 0 {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// drawFrom takes a token in proportion to its probability; u is uniform in [0,1).
func drawFrom(best []TopToken, u float64) int32 {
	total := 0.0
	for _, t := range best {
		total += float64(t.LogProb)
	}
	sum := 0.0
	for _, t := range best {
		if sum += float64(t.LogProb); sum > u*total {
			return t.ID
		}
	}
	return best[0].ID
}

// argmax returns the first index of the largest element.
func argmax(x []float32) int32 {
	const block = 1024
	at, best := 0, float32(math.Inf(-1))
	for i := 0; i < len(x); i += block {
		if v := kernel.Max(x[i:min(len(x), i+block)]); v > best {
			at, best = i, v
		}
	}
	for i := at; i < len(x); i++ {
		if x[i] == best {
			return int32(i)
		}
	}
	return 0
}

// top returns the n likeliest tokens with their log-probabilities; norm is the
// logarithm of the sum of the logits' exponentials.
func (s *sampler) top(logits []float32, n int, norm float64) []TopToken {
	best := slices.Clone(s.likeliest(logits, n, float32(math.Inf(-1))))
	for i, t := range best {
		best[i].LogProb = float32(float64(t.LogProb) - norm)
	}
	return best
}
