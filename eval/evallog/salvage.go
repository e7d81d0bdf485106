package evallog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/because-lab/because"
)

// Salvage opens a log that is cut off or whose directory is damaged, or the work file of a run, by looking for its members
// one by one. What cannot be read is left out and listed by Lost.
func Salvage(path string) (*Reader, error) {
	var lost []string
	r, err := open(path, func(in io.ReaderAt, size int64) ([]member, error) {
		members, holes := scan(in, size)
		lost = holes
		return members, nil
	})
	if err != nil {
		return nil, because.E("salvage log", path, err, "")
	}
	r.lost = lost
	return r, nil
}

// scanner looks for members in a damaged zip. Failed attempts draw on a budget of bytes, or a hostile file could make it
// read the same ones over and over.
type scanner struct {
	in      io.ReaderAt
	size    int64
	budget  int64
	members []member
	lost    []string
}

// scan finds members by their local headers and keeps those whose checksum is right.
func scan(in io.ReaderAt, size int64) (members []member, lost []string) {
	s := &scanner{in: in, size: size, budget: 8*size + 64<<20}
	for at := int64(0); at < size && !isDirectory(in, at); {
		if n, ok := s.take(at); ok {
			at += n
			continue
		}
		next := find(in, []byte("PK\x03\x04"), at+1, size)
		if dir := find(in, []byte("PK\x01\x02"), at+1, next); dir < next {
			next = dir
		}
		s.lost = append(s.lost, fmt.Sprintf("%d bytes at byte %d", next-at, at))
		if at = next; s.budget < 0 {
			s.lost = append(s.lost, fmt.Sprintf("everything from byte %d on: too much damage", at))
			break
		}
	}
	return s.members, s.lost
}

// take notes the member at an offset, if its data are right, and gives its length.
func (s *scanner) take(at int64) (n int64, ok bool) {
	m, n, ok := s.localAt(at)
	if !ok {
		return 0, false
	}
	if err := m.check(s.in); err != nil {
		s.budget -= n
		s.lost = append(s.lost, fmt.Sprintf("%s at byte %d: %v", m.name, at, err))
		return 0, false
	}
	s.members = append(s.members, m)
	return n, true
}

// check reads a member's data through.
func (m *member) check(in io.ReaderAt) error {
	if m.size > m.most() {
		return fmt.Errorf("it claims %d bytes in %d compressed ones", m.size, m.packed)
	}
	r, err := m.open(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// localAt reads the member at an offset.
func (s *scanner) localAt(at int64) (m member, n int64, ok bool) {
	var b [localSize]byte
	if _, err := s.in.ReadAt(b[:], at); err != nil || le.Uint32(b[:]) != localMark {
		return m, 0, false
	}
	m = member{
		flags: le.Uint16(b[6:]), method: le.Uint16(b[8:]), crc: le.Uint32(b[14:]),
		packed: int64(le.Uint32(b[18:])), size: int64(le.Uint32(b[22:])), offset: at,
	}
	nameLen := int(le.Uint16(b[26:]))
	rest := make([]byte, nameLen+int(le.Uint16(b[28:])))
	if _, err := s.in.ReadAt(rest, at+localSize); err != nil && !errors.Is(err, io.EOF) {
		return m, 0, false
	}
	m.name = string(rest[:nameLen])
	if m.zip64(rest[nameLen:], false) != nil {
		return m, 0, false
	}
	head := localSize + int64(len(rest))
	if m.flags&flagDescriptor != 0 && m.packed == 0 && !s.described(&m, at+head) {
		return m, 0, false
	}
	return m, head + m.packed, m.packed >= 0 && m.size >= 0 && m.packed <= s.size-at-head
}

// described finds the sizes of a member that has them behind its data: where a descriptor's mark gives the distance to it.
func (s *scanner) described(m *member, from int64) bool {
	for at := from; s.budget > 0; at++ {
		next := find(s.in, []byte("PK\x07\x08"), at, s.size)
		if s.budget -= next - at; next >= s.size {
			return false
		}
		at = next
		var b [16]byte
		if _, err := s.in.ReadAt(b[:], at); err != nil {
			return false
		}
		if int64(le.Uint32(b[8:])) == at-from {
			m.crc, m.packed, m.size = le.Uint32(b[4:]), at-from, int64(le.Uint32(b[12:]))
			return true
		}
	}
	return false
}

// isDirectory reports whether the zip's directory begins at an offset.
func isDirectory(in io.ReaderAt, at int64) bool {
	var b [4]byte
	_, err := in.ReadAt(b[:], at)
	mark := le.Uint32(b[:])
	return err == nil && (mark == centralMark || mark == endMark)
}

// find gives the first place of a mark from an offset on, or size.
func find(in io.ReaderAt, mark []byte, from, size int64) int64 {
	r := bufio.NewReaderSize(io.NewSectionReader(in, from, size-from), 64<<10)
	for at := from; ; {
		b, err := r.Peek(r.Size())
		if i := bytes.Index(b, mark); i >= 0 {
			return at + int64(i)
		}
		if err != nil || len(b) < len(mark) {
			return size
		}
		n, _ := r.Discard(min(len(b)-len(mark)+1, math.MaxInt32))
		at += int64(n)
	}
}
