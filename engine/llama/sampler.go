package llama

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/because-lab/because/engine/kernel"
)

// sampler draws tokens from logits. Its buffers serve one goroutine.
type sampler struct {
	temperature, topP float64
	probs             []float32 // V
	order             []int32   // V, for top-p
}

// stream returns the random stream of a sample. The halves of its state are
// hashed, so that neighbouring seeds and samples start far apart.
func stream(seed uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(splitMix(seed), splitMix(^uint64(index))))
}

// splitMix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw picks a token from logits [V] and returns its log-probability under the
// model itself, that is at temperature 1 and without top-p.
func (s *sampler) draw(logits []float32, r *rand.Rand) (token int32, logprob float32) {
	if s.temperature == 0 {
		token = argmax(logits)
		return token, kernel.CrossEntropy(nil, logits, int(token), 0)
	}
	s.probs = grow(s.probs, len(logits))
	kernel.Softmax(s.probs, logits, float32(1/s.temperature))
	u := r.Float64()
	if s.topP > 0 && s.topP < 1 {
		token = s.drawNucleus(u)
	} else {
		token = inverseCDF(s.probs, u)
	}
	if s.temperature == 1 {
		return token, float32(math.Log(float64(s.probs[token])))
	}
	return token, kernel.CrossEntropy(nil, logits, int(token), 0)
}

// argmax returns the first index of the largest element.
func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// inverseCDF returns the first token at which the cumulative probability
// exceeds u. Should rounding keep the sum below u, it is the likeliest token.
func inverseCDF(p []float32, u float64) int32 {
	sum := 0.0
	for i, v := range p {
		sum += float64(v)
		if sum > u {
			return int32(i)
		}
	}
	return argmax(p)
}

// drawNucleus samples from the fewest likeliest tokens whose probabilities
// reach topP (Holtzman et al. 2020, arXiv:1904.09751); equal probabilities rank
// by token.
func (s *sampler) drawNucleus(u float64) int32 {
	s.order = s.order[:0]
	for i, p := range s.probs {
		if p > 0 {
			s.order = append(s.order, int32(i))
		}
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		switch pa, pb := s.probs[a], s.probs[b]; {
		case pa > pb:
			return -1
		case pa < pb:
			return 1
		}
		return int(a - b)
	})
	total, n := 0.0, 0
	for n < len(s.order) && total < s.topP {
		total += float64(s.probs[s.order[n]])
		n++
	}
	sum := 0.0
	for _, t := range s.order[:n] {
		sum += float64(s.probs[t])
		if sum > u*total {
			return t
		}
	}
	return s.order[0]
}
