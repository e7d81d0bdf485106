//go:build unix

package gguf

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file of the given size; nil if that is not possible, as for an empty file or on some file systems.
func mapFile(f *os.File, size int64) []byte {
	if size <= 0 || size > math.MaxInt {
		return nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil // reading works where mapping does not
	}
	return data
}

func unmap(data []byte) error { return unix.Munmap(data) }
