package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"regexp"
)

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// isSum reports whether s is a SHA-256 in lower-case hex.
func isSum(s string) bool { return hexSum.MatchString(s) }

// source is content to store: size bytes with a checksum.
type source struct {
	r       io.Reader
	file    *os.File // instead of r, where the content is a whole file whose checksum has just been taken
	size    int64
	sum     string
	advance func(n int64) // called with what was sent, by several goroutines; may be nil
}

// report counts bytes.
func (s *source) report(n int64) {
	if s.advance != nil {
		s.advance(n)
	}
}

// checked gives the content to a reader that never sees the end of anything else than what was announced.
func (s *source) checked() *checkedReader {
	r := s.r
	if s.file != nil {
		r = io.NewSectionReader(s.file, 0, s.size)
	}
	return &checkedReader{s: s, r: r, h: sha256.New(), left: s.size}
}

// checkedReader passes size bytes on and holds the last of them back until the checksum has been seen to fit, so that a
// receiver that counts bytes never has a whole file with wrong content.
type checkedReader struct {
	s    *source
	r    io.Reader
	h    hash.Hash
	left int64
	err  error
}

func (c *checkedReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		c.err = c.end()
		return 0, c.err
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.h.Write(p[:n])
	c.left -= int64(n)
	switch {
	case c.left == 0:
		if c.err = c.end(); c.err != io.EOF {
			return 0, c.err
		}
	case err == io.EOF:
		c.err = fmt.Errorf("%w: it ends after %d of %d bytes", ErrDamaged, c.s.size-c.left, c.s.size)
		return 0, c.err
	case err != nil:
		c.err = err
		return 0, err
	}
	c.s.report(int64(n))
	return n, nil
}

// end is what follows the last byte: io.EOF if the content is what was announced.
func (c *checkedReader) end() error {
	if sum := hex.EncodeToString(c.h.Sum(nil)); sum != c.s.sum {
		return fmt.Errorf("%w: SHA-256 %s, want %s", ErrDamaged, sum, c.s.sum)
	}
	var one [1]byte
	for range 100 {
		n, err := c.r.Read(one[:])
		if n > 0 {
			return fmt.Errorf("%w: it has more than %d bytes", ErrDamaged, c.s.size)
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// hashFile reads a file from its start and gives its length and checksum.
func hashFile(ctx context.Context, f io.ReaderAt) (int64, string, error) {
	h := sha256.New()
	n, err := io.Copy(h, reader(ctx, io.NewSectionReader(f, 0, 1<<62)))
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func reader(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
