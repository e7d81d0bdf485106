package evallog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"unsafe"
)

var (
	errNotZip   = errors.New("not an Inspect log: no zip directory at its end")
	errChecksum = errors.New("the checksum is wrong")
)

// readDirectory lists the members of a zip by its directory.
func readDirectory(r io.ReaderAt, size int64) ([]member, error) {
	n, dirSize, dirOffset, end, err := readEnd(r, size)
	if err != nil {
		return nil, err
	}
	if dirSize < 0 || dirOffset < 0 || dirSize > end || dirOffset > end-dirSize || n < 0 || n > dirSize/centralSize {
		return nil, errDirectory
	}
	shift := end - dirSize - dirOffset // of a zip that something else stands before
	buf := make([]byte, dirSize)
	if _, err := r.ReadAt(buf, end-dirSize); err != nil {
		return nil, err
	}
	all := unsafe.String(unsafe.SliceData(buf), len(buf)) // buf is not written any more: names are parts of it
	members := make([]member, 0, n)
	for at := 0; int64(len(members)) < n; {
		m, used, err := parseCentral(buf[at:], all[at:])
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(members), err)
		}
		at += used
		if m.offset += shift; m.offset < 0 || m.packed < 0 || m.size < 0 || m.offset > size-localSize || m.packed > size-localSize-m.offset {
			return nil, fmt.Errorf("%s: %w", m.name, errDirectory)
		}
		members = append(members, m)
	}
	return members, nil
}

// readEnd finds the end record: number of entries, size and offset of the directory as they are written, and where it ends.
func readEnd(r io.ReaderAt, size int64) (n, dirSize, dirOffset, end int64, err error) {
	tail := make([]byte, min(size, endSize+math.MaxUint16+locatorSize))
	start := size - int64(len(tail))
	if _, err := r.ReadAt(tail, start); err != nil && err != io.EOF {
		return 0, 0, 0, 0, err
	}
	at := len(tail) - endSize
	for ; at >= 0; at-- {
		if le.Uint32(tail[at:]) == endMark && at+endSize+int(le.Uint16(tail[at+20:])) <= len(tail) {
			break
		}
	}
	if at < 0 {
		return 0, 0, 0, 0, errNotZip
	}
	e := tail[at:]
	n, dirSize, dirOffset, end = int64(le.Uint16(e[10:])), int64(le.Uint32(e[12:])), int64(le.Uint32(e[16:])), start+int64(at)
	if at < locatorSize || le.Uint32(tail[at-locatorSize:]) != locatorMark {
		return n, dirSize, dirOffset, end, nil
	}
	return readEnd64(r, int64(le.Uint64(tail[at-locatorSize+8:])), end-locatorSize)
}

// readEnd64 reads the record that stands at offset, or just before the locator if something precedes the zip.
func readEnd64(r io.ReaderAt, offset, locator int64) (n, dirSize, dirOffset, end int64, err error) {
	var b [end64Size]byte
	for _, at := range []int64{offset, locator - end64Size} {
		if at < 0 || at > locator-end64Size {
			continue
		}
		if _, err := r.ReadAt(b[:], at); err != nil {
			return 0, 0, 0, 0, err
		}
		if le.Uint32(b[:]) == end64Mark {
			return int64(le.Uint64(b[32:])), int64(le.Uint64(b[40:])), int64(le.Uint64(b[48:])), at, nil
		}
	}
	return 0, 0, 0, 0, errDirectory
}

// dataOffset finds where a member's data begin. The local header may have other extra fields than the directory.
func (m *member) dataOffset(r io.ReaderAt) (int64, error) {
	var b [localSize]byte
	if _, err := r.ReadAt(b[:], m.offset); err != nil {
		return 0, err
	}
	if le.Uint32(b[:]) != localMark {
		return 0, errors.New("no local header where the directory says")
	}
	return m.offset + localSize + int64(le.Uint16(b[26:])) + int64(le.Uint16(b[28:])), nil
}

// open gives a member's data, decompressed. Reading to the end checks size and checksum.
func (m *member) open(r io.ReaderAt) (io.ReadCloser, error) {
	if m.flags&flagEncrypted != 0 {
		return nil, errors.New("it is encrypted")
	}
	at, err := m.dataOffset(r)
	if err != nil {
		return nil, err
	}
	in, err := decompress(m.method, io.NewSectionReader(r, at, m.packed))
	if err != nil {
		return nil, err
	}
	return &checked{in: in, left: m.size, want: m.crc}, nil
}

// checked reads a member and compares it with its header.
type checked struct {
	in   io.ReadCloser
	left int64
	sum  uint32
	want uint32
}

func (c *checked) Close() error { return c.in.Close() }

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p[:n])
	c.left -= int64(n)
	switch {
	case c.left < 0:
		return n, errors.New("it is longer than its header says")
	case err == io.EOF && c.left > 0:
		return n, io.ErrUnexpectedEOF
	case err == io.EOF && c.sum != c.want:
		return n, errChecksum
	}
	return n, err
}

// maxMember bounds a member that is read whole.
const maxMember = 1 << 30

// most gives the size that compressed data of some length can have, which bounds what a header can make a reader allocate.
func (m *member) most() int64 {
	switch m.method {
	case stored:
		return m.packed
	case deflate:
		return m.packed*1032 + 1024
	}
	return m.packed*33000 + 1<<20 // zstd: a block of 128 KiB takes four bytes at least
}

// read gives a member's data whole, appended to buf[:0] where they fit.
func (m *member) read(r io.ReaderAt, buf []byte) ([]byte, error) {
	if m.size > maxMember || m.size > m.most() {
		return nil, fmt.Errorf("it claims %d bytes in %d compressed ones", m.size, m.packed)
	}
	in, err := m.open(r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buf = buf[:0]
	if int64(cap(buf)) <= m.size { // one byte more, to see the end
		buf = make([]byte, 0, m.size+1)
	}
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}
