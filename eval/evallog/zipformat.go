package evallog

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// The zip format as PKWARE's APPNOTE 6.3.10 has it. Writing and reading it here rather than with archive/zip keeps an entry of
// the directory at a few dozen bytes, lets the work file go without a directory, and opens large logs several times faster.
const (
	localMark   = 0x04034b50
	centralMark = 0x02014b50
	endMark     = 0x06054b50
	end64Mark   = 0x06064b50
	locatorMark = 0x07064b50

	localSize   = 30
	centralSize = 46
	endSize     = 22
	end64Size   = 56
	locatorSize = 20

	stored  = 0
	deflate = 8
	zstd93  = 93

	flagDescriptor = 1 << 3  // sizes follow the data
	flagUTF8       = 1 << 11 // the name is UTF-8
	flagEncrypted  = 1

	dosDate = 1<<5 | 1 // 1 January 1980: times stand in the JSON, and files stay the same byte for byte
)

var le = binary.LittleEndian

// member is one file of a zip.
type member struct {
	name         string
	method       uint16
	flags        uint16
	crc          uint32
	packed, size int64 // bytes, compressed and not
	offset       int64 // of the local header
}

// nameFlags gives the flags that a name needs.
func nameFlags(name string) uint16 {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return flagUTF8
		}
	}
	return 0
}

// appendLocal writes a local header. Its sizes must be below 4 GiB.
func appendLocal(b []byte, m *member) []byte {
	version := uint16(20)
	if m.method == zstd93 {
		version = 63
	}
	b = le.AppendUint32(b, localMark)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, nameFlags(m.name))
	b = le.AppendUint16(b, m.method)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, dosDate)
	b = le.AppendUint32(b, m.crc)
	b = le.AppendUint32(b, uint32(m.packed))
	b = le.AppendUint32(b, uint32(m.size))
	b = le.AppendUint16(b, uint16(len(m.name)))
	b = le.AppendUint16(b, 0)
	return append(b, m.name...)
}

// appendCentral writes an entry of the directory.
func appendCentral(b []byte, m *member) []byte {
	var extra []byte
	offset := uint32(m.offset)
	version := uint16(20)
	if m.method == zstd93 {
		version = 63
	}
	if m.offset >= math.MaxUint32 {
		offset, version = math.MaxUint32, max(version, 45)
		extra = le.AppendUint16(extra, 1)
		extra = le.AppendUint16(extra, 8)
		extra = le.AppendUint64(extra, uint64(m.offset))
	}
	b = le.AppendUint32(b, centralMark)
	b = le.AppendUint16(b, 3<<8|version) // made on Unix: the external attributes are a mode
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, nameFlags(m.name))
	b = le.AppendUint16(b, m.method)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, dosDate)
	b = le.AppendUint32(b, m.crc)
	b = le.AppendUint32(b, uint32(m.packed))
	b = le.AppendUint32(b, uint32(m.size))
	b = le.AppendUint16(b, uint16(len(m.name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, 0o100644<<16)
	b = le.AppendUint32(b, offset)
	b = append(b, m.name...)
	return append(b, extra...)
}

// appendEnd writes the end of a zip with a directory of n entries.
func appendEnd(b []byte, n, size, offset int64) []byte {
	n16, size32, offset32 := uint16(n), uint32(size), uint32(offset)
	if n >= math.MaxUint16 || size >= math.MaxUint32 || offset >= math.MaxUint32 {
		b = le.AppendUint32(b, end64Mark)
		b = le.AppendUint64(b, end64Size-12)
		b = le.AppendUint16(b, 3<<8|45)
		b = le.AppendUint16(b, 45)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(n))
		b = le.AppendUint64(b, uint64(n))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(offset))
		b = le.AppendUint32(b, locatorMark)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(offset+size))
		b = le.AppendUint32(b, 1)
		n16, size32, offset32 = uint16(min(n, math.MaxUint16)), uint32(min(size, math.MaxUint32)), uint32(min(offset, math.MaxUint32))
	}
	b = le.AppendUint32(b, endMark)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, n16)
	b = le.AppendUint16(b, n16)
	b = le.AppendUint32(b, size32)
	b = le.AppendUint32(b, offset32)
	return le.AppendUint16(b, 0)
}

var errDirectory = errors.New("the zip's directory is damaged")

// parseCentral reads the entry at the start of b, whose text all is.
func parseCentral(b []byte, all string) (m member, n int, err error) {
	if len(b) < centralSize || le.Uint32(b) != centralMark {
		return m, 0, errDirectory
	}
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	n = centralSize + nameLen + extraLen + commentLen
	if n > len(b) {
		return m, 0, errDirectory
	}
	m = member{
		name: all[centralSize : centralSize+nameLen], flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), crc: le.Uint32(b[16:]),
		packed: int64(le.Uint32(b[20:])), size: int64(le.Uint32(b[24:])), offset: int64(le.Uint32(b[42:])),
	}
	return m, n, m.zip64(b[centralSize+nameLen:][:extraLen], true)
}

// zip64 takes sizes and, if wanted, the offset from the extra fields where they did not fit.
func (m *member) zip64(extra []byte, offset bool) error {
	for len(extra) >= 4 {
		tag, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return nil // other writers pad; what is missing shows below
		}
		if tag == 1 {
			values := extra[:n]
			for _, p := range []*int64{&m.size, &m.packed, &m.offset} {
				if *p != math.MaxUint32 || p == &m.offset && !offset {
					continue
				}
				if len(values) < 8 || le.Uint64(values) > math.MaxInt64 {
					return errDirectory
				}
				*p, values = int64(le.Uint64(values)), values[8:]
			}
		}
		extra = extra[n:]
	}
	return nil
}
