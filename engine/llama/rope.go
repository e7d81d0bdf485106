package llama

import (
	"fmt"
	"math"
)

// A ropeTable holds the rotations of rotary position embedding (Su et al.
// 2021, arXiv:2104.09864) in the layout of Hugging Face's Llama: element i of a
// head turns with element i+E/2.
type ropeTable struct {
	cos, sin []float32 // MaxPositions, E/2
}

func newRopeTable(c Config) ropeTable {
	var t ropeTable
	t.cos, t.sin = c.Rotations(c.MaxPositions)
	return t
}

// Rotations tabulates cosine and sine of the angle at each position,
// [positions,E/2]. Frequency and angle are rounded to float32 as transformers
// does, so that logits agree at large positions too.
func (c Config) Rotations(positions int) (cos, sin []float32) {
	half := c.HeadDim / 2
	cos, sin = make([]float32, positions*half), make([]float32, positions*half)
	for i := range half {
		freq := c.Rope.frequency(float32(1 / math.Pow(c.RopeTheta, float64(2*i)/float64(c.HeadDim))))
		for p := range positions {
			angle := float64(float32(p) * freq)
			cos[p*half+i] = float32(math.Cos(angle))
			sin[p*half+i] = float32(math.Sin(angle))
		}
	}
	return cos, sin
}

// The kinds of [RopeScaling].
const (
	RopeLinear = "linear" // Chen et al. 2023, arXiv:2306.15595: all positions are interpolated
	RopeLlama3 = "llama3" // Llama 3.1 (arXiv:2407.21783): long wavelengths alone
)

// frequency scales one rotary frequency, with the roundings of transformers.
func (r RopeScaling) frequency(freq float32) float32 {
	factor := float32(r.Factor)
	switch r.Kind {
	case RopeLinear:
		return freq / factor
	case RopeLlama3:
		wavelength := float32(2*math.Pi) / freq
		switch original := float64(r.Original); {
		case wavelength > float32(original/r.Low):
			return freq / factor
		case wavelength < float32(original/r.High):
			return freq
		default:
			smooth := (float32(original)/wavelength - float32(r.Low)) / float32(r.High-r.Low)
			return (1-smooth)*freq/factor + smooth*freq
		}
	}
	return freq
}

// maxRopeFactor is far above what any model uses, and keeps every frequency normal.
const maxRopeFactor = 1 << 20

// validate reports the first field out of range.
func (r RopeScaling) validate() error {
	switch r.Kind {
	case "":
		if r != (RopeScaling{}) {
			return fmt.Errorf("parameters without a type (want %q or %q)", RopeLinear, RopeLlama3)
		}
		return nil
	case RopeLinear, RopeLlama3:
	default:
		return fmt.Errorf("unknown type %q, want %q or %q", r.Kind, RopeLinear, RopeLlama3)
	}
	if !(r.Factor >= 1 && r.Factor <= maxRopeFactor) {
		return fmt.Errorf("factor is %v, want a number from 1 to %d", r.Factor, maxRopeFactor)
	}
	if r.Kind == RopeLinear {
		if r.Low != 0 || r.High != 0 || r.Original != 0 {
			return fmt.Errorf("type %q takes a factor alone", RopeLinear)
		}
		return nil
	}
	switch {
	case !(r.Low > 0 && r.Low < r.High && r.High <= maxRopeFactor):
		return fmt.Errorf("low_freq_factor is %v and high_freq_factor %v, want 0 < low < high", r.Low, r.High)
	case r.Original < 1 || r.Original > math.MaxInt32:
		return fmt.Errorf("original_max_position_embeddings is %d, want a positive number", r.Original)
	}
	return nil
}
