package llama

import "github.com/because-lab/because/engine/kernel"

// packedWeights are the projections in the layout that the kernels read, made
// once for all tokens.
type packedWeights struct {
	layers []packedLayer
	head   *kernel.Packed
}

type packedLayer struct{ qkv, out, gateUp, down *kernel.Packed }

func packWeights(m *Model) *packedWeights {
	c := &m.cfg
	d, f := c.HiddenSize, c.IntermediateSize
	w := &packedWeights{head: kernel.PackNT(c.VocabSize, d, m.p.head, d)}
	for i := range m.p.layers {
		l := &m.p.layers[i]
		w.layers = append(w.layers, packedLayer{
			qkv:    kernel.PackNT(c.qkvWidth(), d, l.qkv, d),
			out:    kernel.PackNT(d, c.attnWidth(), l.out, c.attnWidth()),
			gateUp: kernel.PackNT(2*f, d, l.gateUp, d),
			down:   kernel.PackNT(d, f, l.down, f),
		})
	}
	return w
}

// linear computes dst [t,n] (+)= x [t,k] w^T, from packed if it is not nil. The
// bits are the same.
func (ws *Workspace) linear(t, n, k int, x, w []float32, packed *kernel.Packed, dst []float32, acc bool) {
	if packed != nil {
		kernel.GemmPacked(ws.pool, t, x, k, packed, dst, n, acc)
		return
	}
	kernel.GemmNT(ws.pool, t, n, k, x, k, w, k, dst, n, acc)
}
