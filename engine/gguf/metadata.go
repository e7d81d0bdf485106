package gguf

import (
	"fmt"
	"math"
	"strconv"
)

// kind is the type of a metadata value, by the format's number.
type kind uint32

const (
	kindUint8 kind = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// kinds gives each kind's name and, where it is fixed, its width in bytes.
var kinds = [...]struct {
	name  string
	width int
}{
	kindUint8: {"uint8", 1}, kindInt8: {"int8", 1}, kindUint16: {"uint16", 2}, kindInt16: {"int16", 2},
	kindUint32: {"uint32", 4}, kindInt32: {"int32", 4}, kindFloat32: {"float32", 4}, kindBool: {"bool", 1},
	kindString: {"string", 0}, kindArray: {"array", 0},
	kindUint64: {"uint64", 8}, kindInt64: {"int64", 8}, kindFloat64: {"float64", 8},
}

func (k kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("type %d", uint32(k))
}

// value is one metadata value. Numbers are decoded; strings and arrays stay in the file until they are asked for, so
// that a header costs no memory by its claims.
type value struct {
	kind  kind
	elem  kind   // of an array
	bits  uint64 // of a number or bool, as stored
	count int    // bytes of a string, elements of an array
	start int64  // of a string's bytes or an array's elements in the file
	bytes int64
}

// parseKey reads a key and its value.
func (f *File) parseKey(r *reader) error {
	key, err := r.string(maxName, "key")
	if err != nil {
		return err
	}
	if _, ok := f.values[key]; ok {
		return fmt.Errorf("%q occurs twice", key)
	}
	v, err := parseValue(r)
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	f.keys = append(f.keys, key)
	f.values[key] = v
	return nil
}

func parseValue(r *reader) (value, error) {
	k, err := r.fixed(4, "value type")
	if err != nil {
		return value{}, err
	}
	v := value{kind: kind(k)}
	switch {
	case int(k) >= len(kinds):
		return value{}, fmt.Errorf("byte %d: its type is number %d, which is unknown", r.at-4, k)
	case v.kind == kindString:
		v.count, err = r.length(math.MaxInt32, "string")
		v.start, v.bytes = r.at, int64(v.count)
		if err == nil {
			err = r.skip(v.bytes)
		}
	case v.kind == kindArray:
		err = v.parseArray(r)
	default:
		v.bits, err = r.fixed(kinds[k].width, "value")
	}
	return v, err
}

// parseArray passes over an array's elements and remembers where they are.
func (v *value) parseArray(r *reader) error {
	elem, err := r.fixed(4, "element type")
	if err != nil {
		return err
	}
	if int(elem) >= len(kinds) || kind(elem) == kindArray {
		return fmt.Errorf("byte %d: arrays of %v are not supported", r.at-4, kind(elem))
	}
	n, err := r.fixed(8, "array length")
	if err != nil {
		return err
	}
	v.elem = kind(elem)
	width := int64(kinds[elem].width)
	if err := r.have(n, max(width, 1), "elements"); err != nil {
		return err
	}
	v.count, v.start = int(n), r.at
	if v.elem != kindString {
		v.bytes = int64(n) * width
		return r.skip(v.bytes)
	}
	if err := r.have(n, 8, "strings"); err != nil {
		return err
	}
	for range n {
		size, err := r.length(math.MaxInt32, "string")
		if err == nil {
			err = r.skip(int64(size))
		}
		if err != nil {
			return err
		}
	}
	v.bytes = r.at - v.start
	return nil
}

// Keys lists the metadata's keys in the order of the file.
func (f *File) Keys() []string { return f.keys }

// Has reports whether there is a value under a key.
func (f *File) Has(key string) bool {
	_, ok := f.values[key]
	return ok
}

// wrong is the error of a getter.
func (f *File) wrong(key, want string) error {
	v, ok := f.values[key]
	if !ok {
		return fmt.Errorf("metadata %q is missing", key)
	}
	is := v.kind.String()
	if v.kind == kindArray {
		is = fmt.Sprintf("array of %d %v", v.count, v.elem)
	}
	return fmt.Errorf("metadata %q is of type %s, want %s", key, is, want)
}

// Int gives an integer of any width.
func (f *File) Int(key string) (int, error) {
	v := f.values[key]
	i, ok := v.integer(v.kind, v.bits)
	if !ok || !f.Has(key) {
		return 0, f.wrong(key, "an integer that fits int")
	}
	return i, nil
}

// integer interprets the bits of an integer kind.
func (value) integer(k kind, bits uint64) (int, bool) {
	var i int64
	switch k {
	case kindUint8, kindUint16, kindUint32:
		i = int64(bits)
	case kindInt8:
		i = int64(int8(bits))
	case kindInt16:
		i = int64(int16(bits))
	case kindInt32:
		i = int64(int32(bits))
	case kindInt64:
		i = int64(bits)
	case kindUint64:
		if bits > math.MaxInt64 {
			return 0, false
		}
		i = int64(bits)
	default:
		return 0, false
	}
	return int(i), int64(int(i)) == i
}

// Float gives a floating-point number. A float32 becomes the shortest decimal that stands for it: 1e-05, where its
// exact value is 9.99999974737875e-06.
func (f *File) Float(key string) (float64, error) {
	switch v := f.values[key]; v.kind {
	case kindFloat64:
		return math.Float64frombits(v.bits), nil
	case kindFloat32:
		x := math.Float32frombits(uint32(v.bits))
		return strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	}
	return 0, f.wrong(key, "a floating-point number")
}

// Bool gives a truth value.
func (f *File) Bool(key string) (bool, error) {
	v := f.values[key]
	if v.kind != kindBool || v.bits > 1 {
		return false, f.wrong(key, "a bool of 0 or 1")
	}
	return v.bits == 1, nil
}

// String gives a text.
func (f *File) String(key string) (string, error) {
	v := f.values[key]
	if v.kind != kindString {
		return "", f.wrong(key, "a string")
	}
	var s string
	if err := f.m.Use(v.start, v.count, func(b []byte) { s = string(b) }); err != nil {
		return "", fmt.Errorf("gguf: read %s: metadata %q: %w", f.Path(), key, err)
	}
	return s, nil
}
