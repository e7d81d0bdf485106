package scenario

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

// Design asks for cases of a family.
type Design struct {
	Filter Filter // the conditions; nil: all 108
	N      int    // cases; they fill cluster after cluster
	// PerCluster is how many conditions a cluster comes under; 0: all. Few in each let few cases come from many clusters.
	PerCluster int
	Seed       uint64  // which wordings and casts go together
	Persona    string  // the name of the trained persona; needed where a condition has persona=trained
	Variant    Variant // empty: Plain
}

// slots are the load-bearing items that every family has, by the factor that they depend on. Their wordings vary independently.
var slots = []struct{ id, by string }{{"system", Persona}, {"goal", Goal}, {"threat", Threat}, {"lever", Lever}, {"deadline", Threat}, {"cost", ""}}

// Clusters gives how many clusters the family has.
func (f *Family) Clusters() int { p := f.prime(); return p * p * len(f.casts) }

// WordingSets gives how many different sets of load-bearing wordings there are. With 5 wordings of each there are 25, and any two share at most one wording.
func (f *Family) WordingSets() int { p := f.prime(); return p * p }

// prime is the largest prime up to the number of wordings that every load-bearing item has.
func (f *Family) prime() int {
	least := 0
	for _, it := range f.items {
		if n := len(it.Wordings); isSlot(it.ID.s) && (least == 0 || n < least) {
			least = n
		}
	}
	for p := least; p > 2; p-- {
		if isPrime(p) {
			return p
		}
	}
	return min(least, 2)
}

func isSlot(id string) bool { return factorOf(id, -1) >= 0 }

// factorOf gives the array's factor of an item: load-bearing items have one each, the others come after them.
func factorOf(id string, place int) int {
	for i, s := range slots {
		if s.id == id {
			return i
		}
	}
	if place < 0 {
		return place
	}
	return len(slots) + place
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// cluster is what cases have in common that differ in the condition alone: a cast and one wording of each item.
type cluster struct {
	cast     int
	wordings []int  // by item
	shared   uint64 // chooses among the texts that all families share
}

// cluster chooses wordings by an orthogonal array of strength 2 over a prime p: row (x, y) gives x + j*y mod p to factor j < p, and y to factor p.
// Any two rows agree in at most one of these p+1 factors (Bose 1938; further items go through the factors again), so that p*p sets of wordings overlap as little as can be. After p*p clusters the
// rows come again with other casts. The seed renames the levels of every factor, and so pairs wordings anew.
func (f *Family) cluster(seed uint64, i int) cluster {
	p := f.prime()
	row := i % (p * p)
	x, y := row%p, row/p
	c := cluster{wordings: make([]int, len(f.items))}
	casts := stream(seed, f.Name, "casts").Perm(len(f.casts))
	c.cast = casts[(row+i/(p*p))%len(casts)]
	for k, it := range f.items {
		j := factorOf(it.ID.s, k) % (p + 1)
		level := (x + j*y) % p
		if j == p {
			level = y
		}
		n := len(it.Wordings)
		c.wordings[k] = stream(seed, f.Name, it.ID.s).Perm(n)[level%n]
	}
	c.shared = stream(0, f.Name, c.String()).Uint64()
	return c
}

// String names a cluster by its cast and wordings, so that equal names mean equal texts.
func (c cluster) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "c%d-", c.cast)
	for _, w := range c.wordings {
		b.WriteString(strconv.FormatInt(int64(w), 36)) // one character for up to 36 wordings
	}
	return b.String()
}

// stream is a random stream named by seed and purpose.
func stream(seed uint64, names ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(names, "\x00")))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Cases gives n cases, balanced over the conditions that the filter keeps. Every cluster comes under all of them, or under PerCluster
// of them in turn, and its cases differ in the condition alone, so that conditions are compared within clusters. If n does not fill
// the last cluster, that has some of its conditions, drawn by the seed.
func (f *Family) Cases(d Design) ([]Case, error) {
	conditions := d.Filter.Conditions()
	fail := func(err error, hint string) ([]Case, error) {
		return nil, because.E("make cases", f.Name, err, hint)
	}
	if err := d.Filter.check(); err != nil {
		return fail(err, "")
	}
	if len(conditions) == 0 {
		return fail(fmt.Errorf("the filter keeps no condition"), "")
	}
	each := len(conditions)
	if d.PerCluster > 0 {
		each = min(each, d.PerCluster)
	}
	if most := each * f.Clusters(); d.N < 1 || d.N > most {
		return fail(fmt.Errorf("%d cases, %d in a cluster", d.N, each), fmt.Sprintf("from 1 to %d are possible; sample a case several times for more", most))
	}
	var cases []Case
	for i := 0; len(cases) < d.N; i++ {
		order := d.turn(f.Name, i, each, len(conditions))
		if left := d.N - len(cases); left < each {
			perm := stream(d.Seed, f.Name, "last").Perm(each)[:left]
			last := make([]int, left)
			for k, at := range perm {
				last[k] = order[at]
			}
			order = last
		}
		cl := f.cluster(d.Seed, i)
		for _, k := range order {
			c, err := f.newCase(cl, conditions[k], d.Persona, d.Variant)
			if err != nil {
				return nil, err
			}
			cases = append(cases, c)
		}
	}
	return cases, nil
}

// turn gives the conditions of the i-th cluster: all of n, or the next few of a shuffled round, so that after some rounds all have come
// equally often.
func (d Design) turn(family string, i, each, n int) []int {
	out := make([]int, each)
	if each == n {
		for k := range out {
			out[k] = k
		}
		return out
	}
	shuffled := stream(d.Seed, family, "conditions").Perm(n)
	for k := range out {
		out[k] = shuffled[(i*each+k)%n]
	}
	return out
}
