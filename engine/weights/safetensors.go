package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/because-lab/because/engine/gguf"
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

// dtypes gives them the numbers that the decoders know them by.
var dtypes = map[string]gguf.Type{"F32": gguf.F32, "F16": gguf.F16, "BF16": gguf.BF16}

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

// File is an open safetensors file, memory-mapped where the system can. Its
// methods may be called from many goroutines.
type File struct {
	path     string
	m        *gguf.Mapping
	tensors  []TensorInfo // in the order of their bytes
	index    map[string]int
	metadata map[string]string
}

// Open reads and checks the header of a safetensors file.
func Open(path string) (*File, error) {
	m, err := gguf.Map(path)
	if err != nil {
		return nil, fmt.Errorf("weights: open %s: %w", path, err)
	}
	f := &File{path: path, m: m}
	header, err := readHeader(io.NewSectionReader(m, 0, m.Size()), m.Size())
	if err == nil {
		f.tensors, f.metadata, err = parseHeader(header, m.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("weights: open %s: %w", path, err), m.Close())
	}
	f.index = make(map[string]int, len(f.tensors))
	for i, t := range f.tensors {
		f.index[t.Name] = i
	}
	return f, nil
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
func (f *File) Close() error { return f.m.Close() }

// Find returns the tensor of a name.
func (f *File) Find(name string) (TensorInfo, bool) {
	i, ok := f.index[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// Read fills dst with a tensor's elements as float32.
func (f *File) Read(t TensorInfo, dst []float32) error {
	if len(dst) != t.Len() {
		return fmt.Errorf("weights: read %s: %q has %d elements, the destination %d", f.path, t.Name, t.Len(), len(dst))
	}
	return f.ReadRange(t, 0, dst)
}

// readElements bounds how much of a file is handled at once where it is read
// and not mapped.
const readElements = 1 << 16

// ReadRange fills dst with a tensor's elements from element at on as float32.
func (f *File) ReadRange(t TensorInfo, at int, dst []float32) error {
	if at < 0 || at > t.Len()-len(dst) {
		return fmt.Errorf("weights: read %s: %q has %d elements, asked were %d from %d", f.path, t.Name, t.Len(), len(dst), at)
	}
	width := int(dtypeSize[t.DType])
	for len(dst) > 0 {
		n := min(len(dst), readElements)
		var failed error
		err := f.m.Use(t.start+int64(at)*int64(width), n*width, func(b []byte) { failed = gguf.Decode(dtypes[t.DType], dst[:n], b) })
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("weights: read %s: %q: %w", f.path, t.Name, err)
		}
		at, dst = at+n, dst[n:]
	}
	return nil
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
	return writeSafetensors(w, tensors, metadata, "F32")
}

// WriteSafetensorsBF16 is [WriteSafetensors] with every element rounded to the
// nearest bfloat16, ties to even, as PyTorch does.
func WriteSafetensorsBF16(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	return writeSafetensors(w, tensors, metadata, "BF16")
}

func writeSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string, dtype string) error {
	header, err := encodeHeader(tensors, metadata, dtype)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	width := int(dtypeSize[dtype])
	buf := make([]byte, 1<<16)
	for _, t := range tensors {
		for at := 0; at < len(t.Data); at += len(buf) / width {
			part := t.Data[at:min(len(t.Data), at+len(buf)/width)]
			encode(buf, part, dtype)
			if _, err := w.Write(buf[:width*len(part)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode writes little-endian elements, float32 or bfloat16.
func encode(dst []byte, src []float32, dtype string) {
	if dtype == "BF16" {
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], toBF16(v))
		}
		return
	}
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

// toBF16 rounds to the nearest bfloat16, ties to even. NaN stays NaN.
func toBF16(v float32) uint16 {
	if v != v {
		return 0x7fc0
	}
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// encodeHeader returns the length prefix and the header, padded to a multiple
// of eight bytes. Go's own encoder would not keep the tensors in order.
func encodeHeader(tensors []Tensor, metadata map[string]string, dtype string) ([]byte, error) {
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
		end := at + dtypeSize[dtype]*int64(n)
		if err := field(t.Name, headerEntry{dtype, shape, []int64{at, end}}); err != nil {
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
