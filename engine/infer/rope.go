package infer

import (
	"math"

	"github.com/because-lab/because/engine/llama"
)

// frequencies gives the angle per position of each pair of a head, E/2, as
// modeling_rope_utils of transformers computes it: in float32, whose rounding
// shows at large positions.
func frequencies(c llama.Config) []float32 {
	f := make([]float32, c.HeadDim/2)
	for i := range f {
		power := float32(math.Pow(c.RopeTheta, float64(float32(2*i)/float32(c.HeadDim))))
		f[i] = 1 / power
		switch c.Rope.Kind {
		case llama.RopeLinear:
			f[i] /= float32(c.Rope.Factor)
		case llama.RopeLlama3:
			f[i] = llama3(f[i], c.Rope)
		}
	}
	return f
}

// llama3 slows down the frequencies of long wavelength.
func llama3(f float32, r llama.RopeScaling) float32 {
	factor, low, high, original := float32(r.Factor), float32(r.Low), float32(r.High), float32(r.Original)
	wavelength := 2 * math.Pi / f
	switch {
	case wavelength > original/low:
		return f / factor
	case wavelength < original/high:
		return f
	}
	smooth := (original/wavelength - low) / (high - low)
	return (1-smooth)*f/factor + smooth*f
}

// rotations tabulates cosine and sine [positions,E/2].
func rotations(c llama.Config, positions int) (cos, sin []float32) {
	f := frequencies(c)
	cos, sin = make([]float32, positions*len(f)), make([]float32, positions*len(f))
	for p := range positions {
		for i, freq := range f {
			s, c := math.Sincos(float64(float32(p) * freq))
			cos[p*len(f)+i], sin[p*len(f)+i] = float32(c), float32(s)
		}
	}
	return cos, sin
}
