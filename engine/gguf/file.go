// Package gguf reads GGUF files, the single-file checkpoints of llama.cpp: typed metadata, and tensors that may be
// quantised (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian).
//
// A [File] is the format: metadata and tensors under the file's own names. [File.Source] gives the model in it under
// Hugging Face's names, as [llama.Source] wants it; [File.Tokenizer] and [File.ChatTemplate] give the rest of a
// checkpoint.
package gguf

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	magic            = 0x46554747 // "GGUF"
	defaultAlignment = 32
	maxAlignment     = 1 << 20
	maxDims          = 4
	maxName          = 1 << 16 // of keys and tensors
)

// File is an open GGUF file. Its methods may be called from many goroutines.
type File struct {
	m       *Mapping
	version uint32
	keys    []string // in the order of the file
	values  map[string]value
	tensors []TensorInfo
	index   map[string]int
}

// TensorInfo describes one tensor.
type TensorInfo struct {
	Name  string
	Type  Type
	Shape []int // outermost first, the reverse of how the file writes it; row-major
	start int64 // in the file
	len   int64 // elements
	bytes int64
}

// Len returns the number of elements.
func (t *TensorInfo) Len() int { return int(t.len) }

// Open maps a file and checks its header: versions, counts, lengths, types, and that the tensors' ranges are aligned,
// within the file and apart from one another.
func Open(path string) (*File, error) {
	m, err := Map(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: open %s: %w", path, err)
	}
	f := &File{m: m}
	if err := f.parse(newReader(m, m.Size())); err != nil {
		return nil, errors.Join(fmt.Errorf("gguf: open %s: %w", path, err), m.Close())
	}
	return f, nil
}

// Close unmaps the file.
func (f *File) Close() error { return f.m.Close() }

// Path is the name that the file was opened under.
func (f *File) Path() string { return f.m.Path() }

// Tensors lists the tensors in the order of the file.
func (f *File) Tensors() []TensorInfo { return f.tensors }

// Find returns the tensor of a name in the file.
func (f *File) Find(name string) (TensorInfo, bool) {
	i, ok := f.index[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

func (f *File) parse(r *reader) error {
	tensors, keys, err := f.preamble(r)
	if err != nil {
		return err
	}
	f.values = make(map[string]value)
	for i := range keys {
		if err := f.parseKey(r); err != nil {
			return fmt.Errorf("metadata entry %d of %d: %w", i+1, keys, err)
		}
	}
	align, err := f.alignment()
	if err != nil {
		return err
	}
	f.index = make(map[string]int)
	for i := range tensors {
		if err := f.parseTensor(r); err != nil {
			return fmt.Errorf("tensor %d of %d: %w", i+1, tensors, err)
		}
	}
	return f.place((r.at+align-1)/align*align, align, r.size)
}

// preamble reads magic, version and the two counts.
func (f *File) preamble(r *reader) (tensors, keys uint64, err error) {
	m, err := r.fixed(4, "magic")
	if err != nil || m != magic {
		return 0, 0, fmt.Errorf("it does not begin with \"GGUF\" (not a GGUF file?)")
	}
	v, err := r.fixed(4, "version")
	switch f.version = uint32(v); {
	case err != nil:
		return 0, 0, err
	case v != 0 && v&0xffff == 0:
		return 0, 0, errors.New("it is big-endian; only little-endian files are supported")
	case v != 2 && v != 3:
		return 0, 0, fmt.Errorf("it is of version %d, supported are 2 and 3", v)
	}
	if tensors, err = r.fixed(8, "tensor count"); err != nil {
		return 0, 0, err
	}
	if keys, err = r.fixed(8, "metadata count"); err != nil {
		return 0, 0, err
	}
	if err := r.have(tensors, 8+4+4+8, "tensors"); err != nil {
		return 0, 0, err
	}
	return tensors, keys, r.have(keys, 8+4+1, "metadata entries")
}

func (f *File) alignment() (int64, error) {
	if _, ok := f.values["general.alignment"]; !ok {
		return defaultAlignment, nil
	}
	a, err := f.Int("general.alignment")
	if err == nil && (a < 1 || a > maxAlignment || a&(a-1) != 0) {
		err = fmt.Errorf("general.alignment is %d, want a power of two up to %d", a, maxAlignment)
	}
	return int64(a), err
}

// parseTensor reads one entry of the list of tensors. Its start is still relative to the tensors' data.
func (f *File) parseTensor(r *reader) error {
	name, err := r.string(maxName, "tensor name")
	if err != nil {
		return err
	}
	if _, ok := f.index[name]; ok {
		return fmt.Errorf("%q occurs twice", name)
	}
	t := TensorInfo{Name: name}
	if err := t.parseShape(r); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	typ, err := r.fixed(4, "tensor type")
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	start, err := r.fixed(8, "tensor offset")
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if err := t.measure(Type(typ), start); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	f.index[name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
	return nil
}

func (t *TensorInfo) parseShape(r *reader) error {
	dims, err := r.fixed(4, "number of dimensions")
	if err != nil {
		return err
	}
	if dims > maxDims {
		return fmt.Errorf("it has %d dimensions, at most %d are allowed", dims, maxDims)
	}
	t.len = 1
	for range dims {
		d, err := r.fixed(8, "dimension")
		if err != nil {
			return err
		}
		if d == 0 || d > uint64(math.MaxInt64/t.len) || d > math.MaxInt {
			return fmt.Errorf("a dimension of %d is impossible", d)
		}
		t.len *= int64(d)
		t.Shape = append(t.Shape, int(d))
	}
	slices.Reverse(t.Shape)
	return nil
}

// measure sets type, place and size. Blocks do not cross the ends of rows.
func (t *TensorInfo) measure(typ Type, start uint64) error {
	info, ok := types[typ]
	if !ok {
		return fmt.Errorf("its element type is number %d, which is unknown", uint32(typ))
	}
	row := 1
	if n := len(t.Shape); n > 0 {
		row = t.Shape[n-1]
	}
	if row%info.block != 0 {
		return fmt.Errorf("rows of %d elements are no whole blocks of %s, which have %d", row, info.name, info.block)
	}
	blocks := t.len / int64(info.block)
	if blocks > math.MaxInt64/int64(info.bytes) || start > math.MaxInt64 || t.len > math.MaxInt {
		return fmt.Errorf("shape %v at offset %d is impossible", t.Shape, start)
	}
	t.Type, t.start, t.bytes = typ, int64(start), blocks*int64(info.bytes)
	return nil
}

// place makes the starts absolute and checks the ranges.
func (f *File) place(data, align, size int64) error {
	order := make([]int, len(f.tensors))
	for i := range f.tensors {
		t := &f.tensors[i]
		order[i] = i
		if t.start%align != 0 {
			return fmt.Errorf("%q: offset %d is not a multiple of the alignment %d", t.Name, t.start, align)
		}
		if t.start > size-data || t.bytes > size-data-t.start {
			return fmt.Errorf("%q: its %d bytes at offset %d end past the file, which has %d bytes of tensors (truncated?)", t.Name, t.bytes, t.start, max(0, size-data))
		}
		t.start += data
	}
	slices.SortFunc(order, func(a, b int) int {
		return int(max(-1, min(1, f.tensors[a].start-f.tensors[b].start)))
	})
	for i := 1; i < len(order); i++ {
		a, b := f.tensors[order[i-1]], f.tensors[order[i]]
		if a.start+a.bytes > b.start {
			return fmt.Errorf("%q and %q overlap", a.Name, b.Name)
		}
	}
	return nil
}
