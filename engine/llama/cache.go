package llama

// kvCache holds the rotated keys and the values of every slot. Keys are stored
// transposed, so that both products of the attention of one query run along
// contiguous memory however narrow a head is.
type kvCache struct {
	c         Config
	positions int
	slots     int
	keys      []float32 // L,slots,G*E,positions
	values    []float32 // L,slots,positions,G*E
}

// slotSize is the room that a sequence takes, in elements.
func slotSize(c Config, positions int) int {
	return 2 * c.Layers * c.KVHeads * c.HeadDim * roundPositions(positions)
}

// roundPositions keeps the rows of the transposed keys on cache lines.
func roundPositions(n int) int { return (n + tensorAlign - 1) / tensorAlign * tensorAlign }

func newCache(c Config, slots, positions int) *kvCache {
	n := slots * slotSize(c, positions) / 2
	return &kvCache{c: c, positions: roundPositions(positions), slots: slots, keys: alignedFloats(n), values: alignedFloats(n)}
}

// slot returns the keys [G*E,positions] and values [positions,G*E] of a
// sequence in a layer.
func (k *kvCache) slot(layer, slot int) (keys, values []float32) {
	size := k.c.KVHeads * k.c.HeadDim * k.positions
	at := (layer*k.slots + slot) * size
	return k.keys[at : at+size], k.values[at : at+size]
}

// fill stores the keys and values that a layer computed for a span.
func (k *kvCache) fill(layer, slot int, qkv []float32, sp span) {
	for i := range sp.n {
		k.put(layer, slot, i, qkv[(sp.lo+i)*k.c.qkvWidth():])
	}
}

// put stores the keys and values of one token, row [Q], at a position.
func (k *kvCache) put(layer, slot, pos int, row []float32) {
	keys, values := k.slot(layer, slot)
	width := k.c.KVHeads * k.c.HeadDim
	src := row[k.c.attnWidth():][:2*width]
	for i, v := range src[:width] {
		keys[i*k.positions+pos] = v
	}
	copy(values[pos*width:(pos+1)*width], src[width:])
}

// copySlot copies the first n positions of a sequence's keys and values.
func (k *kvCache) copySlot(to, from, n int) {
	width := k.c.KVHeads * k.c.HeadDim
	for layer := range k.c.Layers {
		fromKeys, fromValues := k.slot(layer, from)
		toKeys, toValues := k.slot(layer, to)
		for i := 0; i < len(fromKeys); i += k.positions {
			copy(toKeys[i:i+n], fromKeys[i:])
		}
		copy(toValues[:n*width], fromValues)
	}
}
