package gguf

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// builder writes GGUF files by hand, so that tests can write wrong ones.
type builder struct {
	version       uint32
	align         int
	keys, tensors int
	head, list    []byte
	data          []byte
}

func newBuilder() *builder { return &builder{version: 3, align: 32} }

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// raw adds a metadata entry of which the value's bytes are given.
func (b *builder) raw(key string, k kind, value []byte) *builder {
	b.head = append(binary.LittleEndian.AppendUint32(appendString(b.head, key), uint32(k)), value...)
	b.keys++
	return b
}

func (b *builder) set(key string, v any) *builder {
	le := binary.LittleEndian
	switch v := v.(type) {
	case string:
		return b.raw(key, kindString, appendString(nil, v))
	case bool:
		return b.raw(key, kindBool, []byte{map[bool]byte{true: 1}[v]})
	case int:
		return b.raw(key, kindUint32, le.AppendUint32(nil, uint32(v)))
	case uint64:
		return b.raw(key, kindUint64, le.AppendUint64(nil, v))
	case int8:
		return b.raw(key, kindInt8, []byte{byte(v)})
	case float32:
		return b.raw(key, kindFloat32, le.AppendUint32(nil, math.Float32bits(v)))
	case float64:
		return b.raw(key, kindFloat64, le.AppendUint64(nil, math.Float64bits(v)))
	case []string:
		out := le.AppendUint64(le.AppendUint32(nil, uint32(kindString)), uint64(len(v)))
		for _, s := range v {
			out = appendString(out, s)
		}
		return b.raw(key, kindArray, out)
	case []int32:
		out := le.AppendUint64(le.AppendUint32(nil, uint32(kindInt32)), uint64(len(v)))
		for _, x := range v {
			out = le.AppendUint32(out, uint32(x))
		}
		return b.raw(key, kindArray, out)
	case []float32:
		out := le.AppendUint64(le.AppendUint32(nil, uint32(kindFloat32)), uint64(len(v)))
		for _, x := range v {
			out = le.AppendUint32(out, math.Float32bits(x))
		}
		return b.raw(key, kindArray, out)
	}
	panic("unknown type")
}

// entry adds to the list of tensors without data; shape is innermost first, as in the file.
func (b *builder) entry(name string, typ Type, offset uint64, shape ...uint64) *builder {
	b.list = binary.LittleEndian.AppendUint32(appendString(b.list, name), uint32(len(shape)))
	for _, d := range shape {
		b.list = binary.LittleEndian.AppendUint64(b.list, d)
	}
	b.list = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b.list, uint32(typ)), offset)
	b.tensors++
	return b
}

// f32 adds a tensor; shape is outermost first.
func (b *builder) f32(name string, x []float32, shape ...int) *builder {
	for len(b.data)%b.align != 0 {
		b.data = append(b.data, 0)
	}
	var dims []uint64
	for i := range shape {
		dims = append(dims, uint64(shape[len(shape)-1-i]))
	}
	b.entry(name, F32, uint64(len(b.data)), dims...)
	for _, v := range x {
		b.data = binary.LittleEndian.AppendUint32(b.data, math.Float32bits(v))
	}
	return b
}

func (b *builder) bytes() []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(le.AppendUint32(nil, magic), b.version)
	out = le.AppendUint64(le.AppendUint64(out, uint64(b.tensors)), uint64(b.keys))
	out = append(append(out, b.head...), b.list...)
	for len(out)%b.align != 0 {
		out = append(out, 0)
	}
	return append(out, b.data...)
}

func (b *builder) open(t testing.TB) (*File, error) {
	t.Helper()
	return openBytes(t, b.bytes())
}

func (b *builder) must(t testing.TB) *File {
	t.Helper()
	f, err := b.open(t)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openBytes(t testing.TB, data []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}
