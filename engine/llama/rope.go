package llama

import "math"

// A ropeTable holds the rotations of rotary position embedding (Su et al.
// 2021, arXiv:2104.09864) in the layout of Hugging Face's Llama: element i of a
// head turns with element i+E/2.
type ropeTable struct {
	cos, sin []float32 // MaxPositions, E/2
}

// newRopeTable rounds frequency and angle to float32 as transformers does, so
// that logits agree at large positions too.
func newRopeTable(c Config) ropeTable {
	half := c.HeadDim / 2
	t := ropeTable{cos: make([]float32, c.MaxPositions*half), sin: make([]float32, c.MaxPositions*half)}
	for i := range half {
		freq := float32(1 / math.Pow(c.RopeTheta, float64(2*i)/float64(c.HeadDim)))
		for p := range c.MaxPositions {
			angle := float64(float32(p) * freq)
			t.cos[p*half+i] = float32(math.Cos(angle))
			t.sin[p*half+i] = float32(math.Sin(angle))
		}
	}
	return t
}
