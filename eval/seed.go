package eval

import (
	"crypto/sha256"
	"encoding/binary"
)

// mix gives the seed of the n-th part of something that has a seed.
func mix(seed, n uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	binary.LittleEndian.PutUint64(b[8:], n)
	h := sha256.Sum256(b[:])
	return binary.LittleEndian.Uint64(h[:])
}

// hash gives a number for a name.
func hash(name string) uint64 {
	h := sha256.Sum256([]byte(name))
	return binary.LittleEndian.Uint64(h[:])
}
