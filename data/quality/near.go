package quality

import (
	"math"
	"slices"

	"github.com/because-lab/because/data/internal/words"
)

// The signature of a text has bands of rows each. Two texts of Jaccard similarity s share a band with probability 1-(1-s^rows)^bands: 0.997 for
// 0.5, 1 for 0.7, 0.3 for 0.2.
const (
	nearBands = 43
	nearRows  = 3
	shingle   = 5 // words
	chainMost = 8 // texts of one band that are compared, the latest first
)

// Near finds texts that are nearly the same as earlier ones: MinHash over word 5-grams with locality-sensitive bands, where every candidate is then
// compared exactly. Of a large family of near-duplicates each is compared with some of the others, which is enough to find it one.
//
// Source: A. Broder, "On the resemblance and containment of documents", 1997; J. Leskovec, A. Rajaraman, J. Ullman, "Mining of massive
// datasets", chapter 3.
type Near struct {
	above    float64
	sketches sketches
	sets     [][]uint32 // shingles of each text, sorted
}

// NewNear finds texts whose similarity is above a bound from 0 to 1.
func NewNear(above float64) *Near { return &Near{above: above, sketches: newSketches(above)} }

// Add adds a text, and gives the most similar of the earlier ones that are similar enough: its number, from 0. A text takes some four bytes a
// word and 700 more.
func (n *Near) Add(text string) (earlier int, jaccard float64, found bool) {
	set := shingles(text)
	n.sets = append(n.sets, set)
	return nearest(n.sketches.add(set), set, n.above, func(text int32) []uint32 { return n.sets[text] })
}

// nearest gives the most similar of some candidates that is similar enough.
func nearest(candidates []int32, set []uint32, above float64, setOf func(int32) []uint32) (earlier int, jaccard float64, found bool) {
	for _, c := range candidates {
		if j := jaccardOf(set, setOf(c)); j > above && (j > jaccard || j == jaccard && int(c) < earlier) {
			earlier, jaccard, found = int(c), j, true
		}
	}
	return earlier, jaccard, found
}

// sketches finds candidates: earlier texts that share a band, and by estimate are not far below the bound.
type sketches struct {
	above float64
	texts []sketch
	heads []int32 // hash tables of the bands, one after the other: the last text of a chain, plus 1
}

// sketch is what is kept of a text.
type sketch struct {
	keys  [nearBands]uint32           // its bands, hashed
	next  [nearBands]int32            // in each band, the text before it in the chain, plus 1
	least [nearBands * nearRows]uint8 // the last byte of each least hash
	empty bool
}

// slack is how far below the bound an estimate may be: more than three standard deviations of an estimate by 129 hashes.
const slack = 0.15

func newSketches(above float64) sketches {
	return sketches{above: above, heads: make([]int32, nearBands<<6)}
}

// add adds a text by its shingles and gives the candidates among the earlier ones.
func (x *sketches) add(set []uint32) (candidates []int32) {
	me := sketchOf(set)
	x.texts = append(x.texts, me)
	if me.empty {
		return nil
	}
	for band, key := range me.keys {
		at := x.heads[x.slot(band, key)] - 1
		for compared := 0; at >= 0 && compared < chainMost; at = x.texts[at].next[band] - 1 {
			if x.texts[at].keys[band] != key {
				continue // another chain in the same slot
			}
			compared++
			if !slices.Contains(candidates, at) && me.estimate(&x.texts[at]) > x.above-slack {
				candidates = append(candidates, at)
			}
		}
	}
	x.enter(int32(len(x.texts) - 1))
	return candidates
}

// estimate is the share of equal least hashes, which is about the similarity.
func (s *sketch) estimate(t *sketch) float64 {
	same := 0
	for i, b := range s.least {
		if t.least[i] == b {
			same++
		}
	}
	return float64(same) / float64(len(s.least))
}

// slot is the place of a key in its band's table.
func (x *sketches) slot(band int, key uint32) uint64 {
	size := uint64(len(x.heads) / nearBands)
	return uint64(band)*size + mix(uint64(key))&(size-1)
}

// enter puts a text at the heads of its chains, in larger tables where these are full.
func (x *sketches) enter(text int32) {
	if len(x.texts)*nearBands > len(x.heads) {
		x.heads = make([]int32, 2*len(x.heads))
		for t := range text {
			x.chain(t)
		}
	}
	x.chain(text)
}

func (x *sketches) chain(text int32) {
	s := &x.texts[text]
	if s.empty {
		return
	}
	for band, key := range s.keys {
		slot := x.slot(band, key)
		s.next[band] = x.heads[slot]
		x.heads[slot] = text + 1
	}
}

// Jaccard is the similarity of two texts: the share of their word 5-grams that both have. A text of fewer words is one gram.
func Jaccard(a, b string) float64 { return jaccardOf(shingles(a), shingles(b)) }

func jaccardOf(a, b []uint32) float64 {
	both, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both, i, j = both+1, i+1, j+1
		}
	}
	if both == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

// shingles gives hashes of the word 5-grams of a text, sorted, each once.
func shingles(text string) []uint32 {
	ws := words.Split(text)
	if len(ws) == 0 {
		return nil
	}
	k := min(shingle, len(ws))
	out := make([]uint32, 0, len(ws)-k+1)
	for i := 0; i+k <= len(ws); i++ {
		out = append(out, uint32(mix(words.Gram(ws[i:i+k]))))
	}
	slices.Sort(out)
	return slices.Clip(slices.Compact(out))
}

// sketchOf hashes a set.
func sketchOf(set []uint32) sketch {
	s := sketch{empty: len(set) == 0}
	for band := range s.keys {
		key := uint64(0)
		for row := range nearRows {
			n := band*nearRows + row
			seed := mix(uint64(n) + 1)
			multiply, least := seed|1, uint64(math.MaxUint64)
			for _, x := range set {
				// Multiplication and shifts permute the numbers well enough that any shingle is as likely the least.
				h := (uint64(x) ^ seed>>32) * multiply
				h ^= h >> 32
				least = min(least, h*0x9e3779b97f4a7c15)
			}
			key = mix(key ^ least)
			s.least[n] = uint8(mix(least))
		}
		s.keys[band] = uint32(key)
	}
	return s
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
