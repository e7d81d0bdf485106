package gguf

import (
	"encoding/binary"
	"fmt"
)

// Strings gives an array of strings.
func (f *File) Strings(key string) ([]string, error) {
	v := f.values[key]
	if v.kind != kindArray || v.elem != kindString {
		return nil, f.wrong(key, "an array of strings")
	}
	out := make([]string, 0, v.count)
	err := f.array(key, func(b []byte) {
		for len(b) >= 8 {
			n := binary.LittleEndian.Uint64(b)
			if n > uint64(len(b)-8) {
				return // not what Open has seen
			}
			out = append(out, string(b[8:8+n]))
			b = b[8+n:]
		}
	})
	if err == nil && len(out) != v.count {
		err = fmt.Errorf("gguf: read %s: metadata %q has changed since the file was opened", f.Path(), key)
	}
	return out, err
}

// Ints gives an array of integers of any width.
func (f *File) Ints(key string) ([]int, error) {
	v := f.values[key]
	if v.kind != kindArray {
		return nil, f.wrong(key, "an array of integers")
	}
	out, fits := make([]int, v.count), true
	err := f.array(key, func(b []byte) {
		width := kinds[v.elem].width
		for i := range out {
			var wide [8]byte
			copy(wide[:], b[i*width:(i+1)*width])
			var ok bool
			out[i], ok = v.integer(v.elem, binary.LittleEndian.Uint64(wide[:]))
			fits = fits && ok
		}
	})
	if err == nil && !fits {
		err = f.wrong(key, "an array of integers that fit int")
	}
	return out, err
}

// Floats gives an array of float32.
func (f *File) Floats(key string) ([]float32, error) {
	v := f.values[key]
	if v.kind != kindArray || v.elem != kindFloat32 {
		return nil, f.wrong(key, "an array of float32")
	}
	out := make([]float32, v.count)
	err := f.array(key, func(b []byte) { decodeF32(out, b) })
	return out, err
}

// array calls use with the bytes of an array.
func (f *File) array(key string, use func(b []byte)) error {
	v := f.values[key]
	if err := f.m.Use(v.start, int(v.bytes), use); err != nil {
		return fmt.Errorf("gguf: read %s: metadata %q: %w", f.Path(), key, err)
	}
	return nil
}
