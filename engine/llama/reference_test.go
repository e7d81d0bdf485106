package llama

import (
	"fmt"
	"math"
)

// reference is the same model written a second time, in float64, one token and
// one loop at a time, straight from the definitions.
type reference struct {
	c       Config
	tensors [][]float64 // in the order of Model.Tensors
	named   map[string][]float64
}

func newReference(m *Model) *reference {
	r := &reference{c: m.Config(), named: map[string][]float64{}}
	for _, t := range m.Tensors() {
		x := make([]float64, len(t.Data))
		for i, v := range t.Data {
			x[i] = float64(v)
		}
		r.tensors, r.named[t.Name] = append(r.tensors, x), x
	}
	return r
}

func (r *reference) head() []float64 {
	if r.c.TieEmbeddings {
		return r.tensors[0]
	}
	return r.tensors[len(r.tensors)-1]
}

func (r *reference) loss(b Batch) float64 {
	sum := 0.0
	for d := range len(b.Starts) - 1 {
		lo, hi := b.Starts[d], b.Starts[d+1]
		for i, z := range r.logits(b.Tokens[lo:hi]) {
			w := float64(b.Weights[int(lo)+i])
			if w == 0 {
				continue
			}
			top, total := math.Inf(-1), 0.0
			for _, v := range z {
				top = max(top, v)
			}
			for _, v := range z {
				total += math.Exp(v - top)
			}
			sum -= w * (z[b.Targets[int(lo)+i]] - top - math.Log(total))
		}
	}
	return sum
}

// logits of every position of one document.
func (r *reference) logits(tokens []int32) [][]float64 {
	c := r.c
	d := c.HiddenSize
	x := make([][]float64, len(tokens))
	for i, t := range tokens {
		x[i] = append([]float64(nil), r.tensors[0][int(t)*d:(int(t)+1)*d]...)
	}
	for i := range c.Layers {
		r.block(fmt.Sprintf("model.layers.%d.", i), x)
	}
	norm := r.named["model.norm.weight"]
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = matVec(r.head(), r.rms(x[i], norm))
	}
	return out
}

func (r *reference) block(layer string, x [][]float64) {
	w := func(name string) []float64 { return r.named[layer+name] }
	c, e := r.c, r.c.HeadDim
	n := len(x)
	q, k, v := make([][]float64, n), make([][]float64, n), make([][]float64, n)
	for i := range x {
		h := r.rms(x[i], w("input_layernorm.weight"))
		for name, to := range map[string][][]float64{"q": q, "k": k, "v": v} {
			to[i] = matVec(w("self_attn."+name+"_proj.weight"), h)
			if c.QKVBias {
				addTo(to[i], w("self_attn."+name+"_proj.bias"))
			}
			if name == "v" {
				continue
			}
			if c.QKNorm {
				for at := 0; at < len(to[i]); at += e {
					copy(to[i][at:at+e], r.rms(to[i][at:at+e], w("self_attn."+name+"_norm.weight")))
				}
			}
			r.rotate(to[i], i)
		}
	}
	for i := range x {
		mixed := make([]float64, c.Heads*e)
		for h := range c.Heads {
			kv := h / (c.Heads / c.KVHeads)
			p, total := make([]float64, i+1), 0.0
			for j := range p {
				for a := range e {
					p[j] += q[i][h*e+a] * k[j][kv*e+a]
				}
				p[j] = math.Exp(p[j] / math.Sqrt(float64(e)))
				total += p[j]
			}
			for j := range p {
				for a := range e {
					mixed[h*e+a] += p[j] / total * v[j][kv*e+a]
				}
			}
		}
		addTo(x[i], matVec(w("self_attn.o_proj.weight"), mixed))
	}
	for i := range x {
		h := r.rms(x[i], w("post_attention_layernorm.weight"))
		gate, up := matVec(w("mlp.gate_proj.weight"), h), matVec(w("mlp.up_proj.weight"), h)
		for j := range gate {
			gate[j] = gate[j] / (1 + math.Exp(-gate[j])) * up[j]
		}
		addTo(x[i], matVec(w("mlp.down_proj.weight"), gate))
	}
}

func (r *reference) rms(x, gain []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	inv := 1 / math.Sqrt(sum/float64(len(x))+r.c.NormEps)
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] * inv * gain[i]
	}
	return out
}

func (r *reference) rotate(x []float64, pos int) {
	e := r.c.HeadDim
	for h := 0; h < len(x); h += e {
		for i := range e / 2 {
			angle := float64(pos) * r.scaled(math.Pow(r.c.RopeTheta, -2*float64(i)/float64(e)))
			sin, cos := math.Sincos(angle)
			a, b := x[h+i], x[h+i+e/2]
			x[h+i], x[h+i+e/2] = a*cos-b*sin, b*cos+a*sin
		}
	}
}

// scaled is RopeScaling by its definition: for llama3 the share of the unscaled
// frequency grows from 0 to 1 as the original context holds from Low to High turns.
func (r *reference) scaled(freq float64) float64 {
	s := r.c.Rope
	switch s.Kind {
	case RopeLinear:
		return freq / s.Factor
	case RopeLlama3:
		turns := float64(s.Original) * freq / (2 * math.Pi)
		share := min(1, max(0, (turns-s.Low)/(s.High-s.Low)))
		return share*freq + (1-share)*freq/s.Factor
	}
	return freq
}

// matVec multiplies w [rows,len(x)] by x.
func matVec(w, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range x {
			out[i] += w[i*len(x)+j] * v
		}
	}
	return out
}

func addTo(dst, x []float64) {
	for i, v := range x {
		dst[i] += v
	}
}
