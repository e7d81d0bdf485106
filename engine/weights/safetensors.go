package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// The safetensors format (https://github.com/huggingface/safetensors): eight
// bytes with the length of the header, little-endian; the header, a JSON object
// from tensor names to type, shape and byte range; the tensors' bytes, without
// gaps, little-endian and row-major.

// maxHeader is the limit that the reference implementation sets.
const maxHeader = 100_000_000

// metadataKey is the header's entry for free text.
const metadataKey = "__metadata__"

// dtypeSize lists the element types that can be read as float32.
var dtypeSize = map[string]int64{"F32": 4, "F16": 2, "BF16": 2}

// TensorInfo describes one tensor of a safetensors file.
type TensorInfo struct {
	Name  string
	DType string // F32, F16 or BF16
	Shape []int
	start int64 // in the file
	bytes int64
}

// Len returns the number of elements.
func (t *TensorInfo) Len() int { return int(t.bytes / dtypeSize[t.DType]) }

// File is an open safetensors file.
type File struct {
	path     string
	f        *os.File
	tensors  []TensorInfo // in the order of their bytes
	metadata map[string]string
}

// Open reads and checks the header of a safetensors file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: open: %w", err)
	}
	st, err := f.Stat()
	if err == nil {
		var header []byte
		if header, err = readHeader(f, st.Size()); err == nil {
			file := &File{path: path, f: f}
			if file.tensors, file.metadata, err = parseHeader(header, st.Size()); err == nil {
				return file, nil
			}
		}
	}
	f.Close()
	return nil, fmt.Errorf("weights: open %s: %w", path, err)
}

// readHeader reads the header of a file of the given size.
func readHeader(r io.Reader, size int64) ([]byte, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, fmt.Errorf("the file has %d bytes, too few for a safetensors header (truncated?)", size)
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("the header claims %d bytes, but the file has %d (truncated, or not a safetensors file?)", n, size)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	return header, nil
}

// headerEntry is one tensor as the header writes it.
type headerEntry struct {
	DType   string  `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// parseHeader checks that the tensors have known types, that their ranges fit
// their shapes, and that they cover the rest of the file exactly.
func parseHeader(header []byte, size int64) (tensors []TensorInfo, metadata map[string]string, err error) {
	dec := json.NewDecoder(bytes.NewReader(header))
	dec.DisallowUnknownFields()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, nil, fmt.Errorf("the header is not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("header: %w", err)
		}
		name, _ := tok.(string)
		if seen[name] {
			return nil, nil, fmt.Errorf("header: %q occurs twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := dec.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("header: %q: %w", name, err)
			}
			continue
		}
		var e headerEntry
		if err := dec.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("header: %q: %w", name, err)
		}
		t, err := e.info(name, int64(len(header))+8, size)
		if err != nil {
			return nil, nil, fmt.Errorf("header: %q: %w", name, err)
		}
		tensors = append(tensors, t)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if rest := bytes.TrimRight(header[dec.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, fmt.Errorf("header: unexpected %.20q after its end", rest)
	}
	return tensors, metadata, checkCover(tensors, int64(len(header))+8, size)
}

// info checks one entry against the size of the file.
func (e *headerEntry) info(name string, data, size int64) (TensorInfo, error) {
	width, ok := dtypeSize[e.DType]
	if !ok {
		return TensorInfo{}, fmt.Errorf("dtype is %q, supported are F32, F16 and BF16", e.DType)
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1] > size-data {
		return TensorInfo{}, fmt.Errorf("data_offsets are %v, want a range within the %d bytes of data (truncated?)", e.Offsets, size-data)
	}
	t := TensorInfo{Name: name, DType: e.DType, start: data + e.Offsets[0], bytes: e.Offsets[1] - e.Offsets[0]}
	want := width
	for _, d := range e.Shape {
		if d < 0 || (d > 0 && want > math.MaxInt64/d) {
			return TensorInfo{}, fmt.Errorf("shape %v is impossible", e.Shape)
		}
		want *= d
		t.Shape = append(t.Shape, int(d))
	}
	if want != t.bytes {
		return TensorInfo{}, fmt.Errorf("shape %v of %s needs %d bytes, data_offsets give %d", e.Shape, e.DType, want, t.bytes)
	}
	return t, nil
}

// checkCover sorts the tensors by place and demands that they follow one
// another without overlap or gap up to the end of the file.
func checkCover(tensors []TensorInfo, at, size int64) error {
	slices.SortStableFunc(tensors, func(a, b TensorInfo) int {
		if a.start != b.start {
			return int(max(-1, min(1, a.start-b.start)))
		}
		return int(max(-1, min(1, a.bytes-b.bytes)))
	})
	for _, t := range tensors {
		if t.start != at {
			return fmt.Errorf("header: %q begins at byte %d of the file, but the tensor before it ends at %d", t.Name, t.start, at)
		}
		at += t.bytes
	}
	if at != size {
		return fmt.Errorf("the tensors end at byte %d, but the file has %d", at, size)
	}
	return nil
}

// Tensors lists the tensors in the order of their bytes.
func (f *File) Tensors() []TensorInfo { return f.tensors }

// Metadata returns the header's free text, nil if it has none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Find returns the tensor of a name.
func (f *File) Find(name string) (TensorInfo, bool) {
	i := slices.IndexFunc(f.tensors, func(t TensorInfo) bool { return t.Name == name })
	if i < 0 {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// Read fills dst with a tensor's elements as float32.
func (f *File) Read(t TensorInfo, dst []float32) error {
	if len(dst) != t.Len() {
		return fmt.Errorf("weights: read %s: %q has %d elements, the destination %d", f.path, t.Name, t.Len(), len(dst))
	}
	width := int(dtypeSize[t.DType])
	buf := make([]byte, min(1<<16, len(dst)*width))
	for at := 0; at < len(dst); {
		n := min(len(buf)/width, len(dst)-at)
		if _, err := f.f.ReadAt(buf[:n*width], t.start+int64(at*width)); err != nil {
			return fmt.Errorf("weights: read %s: %q: %w", f.path, t.Name, err)
		}
		convert(dst[at:at+n], buf, t.DType)
		at += n
	}
	return nil
}

// convert decodes little-endian elements.
func convert(dst []float32, src []byte, dtype string) {
	for i := range dst {
		switch dtype {
		case "F32":
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		case "BF16":
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		case "F16":
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

// fromHalf converts an IEEE 754 binary16.
func fromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// Tensor is one float32 tensor to write.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// WriteSafetensors writes tensors (F32) and free text. Equal input gives equal
// bytes.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	for _, t := range tensors {
		for at := 0; at < len(t.Data); at += len(buf) / 4 {
			part := t.Data[at:min(len(t.Data), at+len(buf)/4)]
			for i, v := range part {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buf[:4*len(part)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// encodeHeader returns the length prefix and the header, padded to a multiple
// of eight bytes. Go's own encoder would not keep the tensors in order.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	field := func(name string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("weights: header: %q: %w", name, err)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("weights: header: %q: %w", name, err)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(data)
		return nil
	}
	if len(metadata) > 0 {
		if err := field(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	at := int64(0)
	for _, t := range tensors {
		n, shape := 1, make([]int64, len(t.Shape))
		for i, d := range t.Shape {
			n *= d
			shape[i] = int64(d)
		}
		if n != len(t.Data) {
			return nil, fmt.Errorf("weights: header: %q has shape %v but %d elements", t.Name, t.Shape, len(t.Data))
		}
		end := at + 4*int64(n)
		if err := field(t.Name, headerEntry{"F32", shape, []int64{at, end}}); err != nil {
			return nil, err
		}
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.String()...), nil
}
