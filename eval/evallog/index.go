package evallog

import (
	"hash/maphash"
	"math"
)

// index is what a writer keeps of the members it has written: some 80 bytes each.
type index struct {
	entries []entry
	names   []byte            // all names, one behind the other
	newest  map[uint64]uint32 // hash of a name -> its newest entry
	seed    maphash.Seed
}

// entry is a member without its name's text.
type entry struct {
	offset int64
	packed uint32
	size   uint32
	crc    uint32
	name   uint32 // end of the name in index.names; it begins where that of the entry before ends
	older  uint32 // 1 + number of the entry that takes this one's place; 0: none
	row    uint32 // 1 + number of the sample's newest row of summaries; 0: none, or not a sample
	method uint8
}

func newIndex() *index { return &index{newest: map[uint64]uint32{}, seed: maphash.MakeSeed()} }

// name gives an entry's name; it is valid until the next add.
func (x *index) name(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = x.entries[i-1].name
	}
	return x.names[from:x.entries[i].name]
}

// find gives the newest entry of a name.
func (x *index) find(name string) (i int, ok bool) {
	_, i, ok = x.slot(name)
	return i, ok
}

// slot finds a name's place in the map; names with equal hashes move on to the next free one.
func (x *index) slot(name string) (h uint64, i int, ok bool) {
	for h = maphash.String(x.seed, name); ; h++ {
		at, there := x.newest[h]
		if !there {
			return h, 0, false
		}
		if string(x.name(int(at))) == name {
			return h, int(at), true
		}
	}
}

// add notes a member; an earlier one of the same name counts no more.
func (x *index) add(m *member) int {
	i := len(x.entries)
	h, old, ok := x.slot(m.name)
	if ok {
		x.entries[old].older = uint32(i) + 1
	}
	x.names = append(x.names, m.name...)
	x.entries = append(x.entries, entry{
		offset: m.offset, packed: uint32(m.packed), size: uint32(m.size), crc: m.crc, name: uint32(len(x.names)), method: uint8(m.method),
	})
	x.newest[h] = uint32(i)
	return i
}

// full reports whether the index can take no more: names of 4 GiB, or as many members.
func (x *index) full(name string) bool {
	return len(x.names)+len(name) > math.MaxUint32 || len(x.entries) >= math.MaxUint32-1
}

// live reports whether entry i counts among the first n.
func (x *index) live(i, n int) bool { o := x.entries[i].older; return o == 0 || int(o)-1 >= n }

// member gives entry i in full.
func (x *index) member(i int) member {
	e := &x.entries[i]
	return member{
		name: string(x.name(i)), method: uint16(e.method), crc: e.crc, packed: int64(e.packed), size: int64(e.size), offset: e.offset,
	}
}
