package model

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"

	"github.com/because-lab/because"
)

// keyVersion is part of every key: it changes with the encoding.
const keyVersion = "because answer 1"

// requestKey identifies a request to a model with all that its answer may depend on: the model's name, where it is served (identity),
// the seed, and every field of the request, those to come among them, since they are walked by reflection.
func requestKey(name, identity string, seed uint64, r because.Request) [32]byte {
	b := make([]byte, 0, 4096)
	b = appendString(b, keyVersion)
	b = appendString(b, name)
	b = appendString(b, identity)
	b = binary.LittleEndian.AppendUint64(b, seed)
	return sha256.Sum256(appendValue(b, reflect.ValueOf(r)))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendValue writes a value so that different values have different encodings: lengths before contents, names before fields. Nil and empty
// slices mean the same in a request, and are written the same. JSON is taken byte by byte, since a model reads it so.
func appendValue(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.LittleEndian.AppendUint64(b, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.LittleEndian.AppendUint64(b, v.Uint())
	case reflect.Float32, reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()+0)) // -0 + 0 is 0
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0)
		}
		return appendValue(append(b, 1), v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return appendString(b, string(v.Bytes()))
		}
		b = binary.AppendUvarint(b, uint64(v.Len()))
		for i := range v.Len() {
			b = appendValue(b, v.Index(i))
		}
		return b
	case reflect.Struct:
		b = binary.AppendUvarint(b, uint64(v.NumField()))
		for i := range v.NumField() {
			b = appendValue(appendString(b, v.Type().Field(i).Name), v.Field(i))
		}
		return b
	}
	panic(fmt.Sprintf("model: a request's field of type %s has no place in the cache's key: teach appendValue to write it", v.Type()))
}
