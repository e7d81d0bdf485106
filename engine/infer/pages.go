package infer

import (
	"slices"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// pageFloats is the size of a page: keys and values of all layers.
func pageFloats(c llama.Config) int {
	return 2 * c.Layers * c.KVHeads * c.HeadDim * kernel.PageTokens
}

// pagedHead says where a key/value head of a layer is in a page.
func pagedHead(c *llama.Config, layer, kv int) kernel.PagedKeys {
	size := c.HeadDim * kernel.PageTokens
	at := (layer*c.KVHeads + kv) * 2 * size
	return kernel.PagedKeys{Size: c.HeadDim, Keys: at, Values: at + size}
}

// A page holds the keys and values of consecutive positions of a sequence. They
// depend on the tokens up to there, so a page stands in a tree below that of the
// positions before it. Filled positions never change; only the sequence that
// made a page adds to it, others share it once it is full.
type page struct {
	data     []float32
	tokens   [kernel.PageTokens]int32
	filled   int
	parent   *page
	children []*page
	refs     int    // sequences that hold it; each holds all pages above, too
	used     uint64 // when it was last let go
}

// common is how many filled positions of p have the given tokens.
func (p *page) common(tokens []int32) int {
	n := min(p.filled, len(tokens))
	for i, t := range tokens[:n] {
		if p.tokens[i] != t {
			return i
		}
	}
	return n
}

// pageTree is the bounded memory for keys and values. Pages that no sequence
// holds stay for prompts to come until their memory is needed.
type pageTree struct {
	size  int // of a page, in floats
	limit int // pages
	root  page
	pages []*page // all
	idle  int     // those without references
	spare [][]float32
	clock uint64
}

func newPageTree(c llama.Config, limit int) *pageTree {
	return &pageTree{size: pageFloats(c), limit: limit}
}

// available is the number of pages that can be had.
func (t *pageTree) available() int { return t.limit - len(t.pages) + t.idle }

// alloc gives an empty page below parent (nil for the start of a sequence),
// held once, or nil if every page is in use.
func (t *pageTree) alloc(parent *page) *page {
	if len(t.pages) >= t.limit && !t.evict() {
		return nil
	}
	if parent == nil {
		parent = &t.root
	}
	p := &page{parent: parent, refs: 1}
	if n := len(t.spare); n > 0 {
		p.data, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		p.data = alignedFloats(t.size)
	}
	parent.children = append(parent.children, p)
	t.pages = append(t.pages, p)
	return p
}

// evict drops the leaf that was let go longest ago.
func (t *pageTree) evict() bool {
	var oldest *page
	for _, p := range t.pages {
		if p.refs == 0 && len(p.children) == 0 && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if oldest == nil {
		return false
	}
	t.drop(oldest)
	return true
}

// drop removes an idle leaf.
func (t *pageTree) drop(p *page) {
	p.parent.children = remove(p.parent.children, p)
	t.pages = remove(t.pages, p)
	t.idle--
	t.spare = append(t.spare, p.data)
}

// remove deletes p from list, whose order means nothing.
func remove(list []*page, p *page) []*page {
	i, last := slices.Index(list, p), len(list)-1
	list[i], list[last] = list[last], nil
	return list[:last]
}

func (t *pageTree) hold(p *page) {
	if p.refs++; p.refs == 1 {
		t.idle--
	}
}

// release lets go of a sequence's pages; those with content stay in the tree.
func (t *pageTree) release(pages []*page) {
	for _, p := range slices.Backward(pages) {
		t.clock++
		p.used = t.clock
		if p.refs--; p.refs > 0 {
			continue
		}
		t.idle++
		if p.filled == 0 {
			t.drop(p)
		}
	}
}

// match finds what the tree has of a sequence: the full pages that it begins
// with, and a page of which the next positions can be copied (nil if none).
func (t *pageTree) match(tokens []int32) (full []*page, next *page, common int) {
	at := &t.root
	for {
		next, common = nil, 0
		for _, p := range at.children {
			if n := p.common(tokens); n > common {
				next, common = p, n
			}
		}
		if common < kernel.PageTokens {
			return full, next, common
		}
		full, at, tokens = append(full, next), next, tokens[common:]
	}
}
