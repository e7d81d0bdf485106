package evallog

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// packer compresses members; it is kept for the next one.
type packer struct {
	raw  []byte // a member's JSON
	out  bytes.Buffer
	flat *flate.Writer
	zstd *zstd.Encoder
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// deflateLevel is the level of samples and summaries. On 14 KB samples of an agentic evaluation, encoding included (BenchmarkPack), it takes
// 0.09 ms and leaves 2,360 bytes; Zstandard at its fastest takes 0.09 ms and leaves 2,260; level 5 of deflate takes more than twice the time and leaves
// 2,180. So the choice is free, and deflate is what every zip tool reads.
const deflateLevel = 1

// pack compresses p.raw into a whole member, header first, and gives its bytes, which hold until the packer is used again.
func (p *packer) pack(name string, method uint16) (member, []byte, error) {
	m := member{name: name, method: method, crc: crc32.ChecksumIEEE(p.raw), size: int64(len(p.raw))}
	if len(name) > 65535 || m.size >= maxMember {
		return m, nil, fmt.Errorf("%.80s is too large for a log: %d bytes, of at most 1 GiB", name, m.size)
	}
	p.out.Reset()
	p.out.Write(make([]byte, localSize+len(name)))
	switch method {
	case zstd93:
		if p.zstd == nil {
			var err error
			if p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
				return m, nil, err
			}
		}
		p.out.Write(p.zstd.EncodeAll(p.raw, p.out.AvailableBuffer()))
	default:
		if err := p.flatten(); err != nil {
			return m, nil, err
		}
	}
	b := p.out.Bytes()
	m.packed = int64(len(b) - localSize - len(name))
	appendLocal(b[:0], &m)
	return m, b, nil
}

func (p *packer) flatten() error {
	if p.flat == nil {
		var err error
		if p.flat, err = flate.NewWriter(&p.out, deflateLevel); err != nil {
			return err
		}
	} else {
		p.flat.Reset(&p.out)
	}
	if _, err := p.flat.Write(p.raw); err != nil {
		return err
	}
	return p.flat.Close()
}

// release keeps the packer for others, unless one large member has made it large.
func (p *packer) release() {
	if cap(p.raw)+p.out.Cap() < 16<<20 {
		packers.Put(p)
	}
}

// unflate is a deflate reader that goes back to its pool when closed.
type unflate struct {
	io.ReadCloser
	in *bufio.Reader
}

var unflates = sync.Pool{New: func() any {
	in := bufio.NewReaderSize(nil, 16<<10)
	return &unflate{flate.NewReader(in), in}
}}

func (u *unflate) Close() error {
	err := u.ReadCloser.Close()
	u.in.Reset(nil)
	unflates.Put(u)
	return err
}

// unzstd is a zstd reader that goes back to its pool when closed.
type unzstd struct{ *zstd.Decoder }

var unzstds sync.Pool

func (u *unzstd) Close() error {
	err := u.Reset(nil)
	unzstds.Put(u)
	return err
}

// decompress reads data of a method; the caller closes the reader.
func decompress(method uint16, in io.Reader) (io.ReadCloser, error) {
	switch method {
	case stored:
		return io.NopCloser(in), nil
	case deflate:
		u := unflates.Get().(*unflate)
		u.in.Reset(in)
		return u, u.ReadCloser.(flate.Resetter).Reset(u.in, nil)
	case zstd93:
		u, ok := unzstds.Get().(*unzstd)
		if !ok {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderLowmem(true))
			if err != nil {
				return nil, err
			}
			u = &unzstd{d}
		}
		return u, u.Reset(in)
	}
	return nil, fmt.Errorf("compression method %d is unknown", method)
}
