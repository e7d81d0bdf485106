package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// A reader walks through a header. It never takes a size that the file claims for granted: every count is held against
// the bytes that are left before anything is allocated.
type reader struct {
	r        *bufio.Reader
	at, size int64
}

func newReader(r io.ReaderAt, size int64) *reader {
	return &reader{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16), size: size}
}

// have demands n things of at least width bytes each.
func (r *reader) have(n uint64, width int64, what string) error {
	if n > uint64((r.size-r.at)/width) {
		return fmt.Errorf("byte %d: %d %s cannot be in the %d bytes that are left (truncated?)", r.at, n, what, r.size-r.at)
	}
	return nil
}

// bytes reads n bytes; the caller has made sure that there are so many.
func (r *reader) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return nil, fmt.Errorf("byte %d: %w", r.at, err)
	}
	r.at += int64(n)
	return b, nil
}

// skip leaves n bytes out.
func (r *reader) skip(n int64) error {
	for n > 0 {
		step := int(min(n, 1<<30))
		if _, err := r.r.Discard(step); err != nil {
			return fmt.Errorf("byte %d: %w", r.at, err)
		}
		r.at += int64(step)
		n -= int64(step)
	}
	return nil
}

// fixed reads a little-endian number of 1, 2, 4 or 8 bytes.
func (r *reader) fixed(width int, what string) (uint64, error) {
	if err := r.have(1, int64(width), what); err != nil {
		return 0, err
	}
	b, err := r.r.Peek(width)
	if err != nil {
		return 0, fmt.Errorf("byte %d: %s: %w", r.at, what, err)
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), r.skip(int64(width))
}

// length reads the length of a string and checks that the string is there and no longer than limit.
func (r *reader) length(limit uint64, what string) (int, error) {
	n, err := r.fixed(8, what)
	if err == nil {
		err = r.have(n, 1, "bytes of "+what)
	}
	if err == nil && n > limit {
		err = fmt.Errorf("byte %d: %s of %d bytes, at most %d are allowed", r.at, what, n, limit)
	}
	return int(n), err
}

func (r *reader) string(limit uint64, what string) (string, error) {
	n, err := r.length(limit, what)
	if err != nil {
		return "", err
	}
	b, err := r.bytes(n)
	return string(b), err
}
