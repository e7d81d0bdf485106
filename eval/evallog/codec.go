package evallog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// codec turns values of one type into JSON and back. It follows the json tags of the types in this package, and is faster
// than encoding/json, which also cannot write or read NaN.
type codec struct {
	append func(b []byte, v reflect.Value) ([]byte, error)
	scan   func(l *lexer, v reflect.Value) error
}

// self is a type with a JSON form of its own.
type self interface {
	appendJSON(b []byte) ([]byte, error)
	scanJSON(l *lexer) error
}

var (
	codecs   = map[reflect.Type]*codec{}
	codecsMu sync.Mutex
	selfType = reflect.TypeFor[self]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// encode appends the JSON of *p to b.
func encode[T any](b []byte, p *T) ([]byte, error) {
	return codecOf(reflect.TypeFor[T]()).append(b, reflect.ValueOf(p).Elem())
}

// decode reads one JSON value, and nothing behind it, into *p. Raw fields of *p are parts of data.
func decode[T any](data []byte, p *T) error {
	l := &lexer{data: data}
	if err := scanInto(l, p); err != nil {
		return err
	}
	return l.end()
}

// scanInto reads the lexer's next value into *p.
func scanInto[T any](l *lexer, p *T) error {
	return codecOf(reflect.TypeFor[T]()).scan(l, reflect.ValueOf(p).Elem())
}

func codecOf(t reflect.Type) *codec {
	codecsMu.Lock()
	defer codecsMu.Unlock()
	return build(t)
}

// build makes the codec of a type and of all types in it. The caller holds codecsMu; types may contain themselves.
func build(t reflect.Type) *codec {
	if c := codecs[t]; c != nil {
		return c
	}
	c := new(codec)
	codecs[t] = c
	switch {
	case t == rawType:
		*c = codec{appendRaw, scanRaw}
	case reflect.PointerTo(t).Implements(selfType):
		*c = codec{
			func(b []byte, v reflect.Value) ([]byte, error) { return v.Addr().Interface().(self).appendJSON(b) },
			func(l *lexer, v reflect.Value) error { return v.Addr().Interface().(self).scanJSON(l) },
		}
	default:
		*c = byKind(t)
	}
	return c
}

func byKind(t reflect.Type) codec {
	switch t.Kind() {
	case reflect.String:
		return codec{
			func(b []byte, v reflect.Value) ([]byte, error) { return appendString(b, v.String()), nil },
			scanString,
		}
	case reflect.Bool:
		return codec{appendBool, scanBool}
	case reflect.Int, reflect.Int64:
		return codec{appendInt, scanInt}
	case reflect.Float64:
		return codec{
			func(b []byte, v reflect.Value) ([]byte, error) { return appendFloat(b, v.Float()), nil },
			scanFloat,
		}
	case reflect.Pointer:
		return pointerCodec(build(t.Elem()), t.Elem())
	case reflect.Slice:
		return sliceCodec(build(t.Elem()))
	case reflect.Array:
		return arrayCodec(build(t.Elem()))
	case reflect.Map:
		return mapCodec(build(t.Elem()), t.Elem())
	case reflect.Struct:
		return structCodec(t)
	}
	panic("evallog: no JSON form for " + t.String())
}

// field is one field of an object.
type field struct {
	name      string
	key       []byte // the name as it is written, with quotes and colon
	index     []int
	omitEmpty bool
	codec     *codec
}

// object is the fields of a struct type.
type object struct {
	fields []field
	byName map[string]*field
	raw    []int // the field that keeps the text as it was read; nil: none
}

// objectOf lists the fields of a struct; those of embedded structs count as its own.
func objectOf(t reflect.Type) *object {
	o := &object{byName: map[string]*field{}}
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Name == "Raw" && name == "-" && len(f.Index) == 1:
			o.raw = f.Index
		case f.Anonymous || name == "-":
		default:
			key := append(appendString(nil, name), ':')
			o.fields = append(o.fields, field{name, key, f.Index, option == "omitempty", build(f.Type)})
		}
	}
	for i := range o.fields {
		o.byName[o.fields[i].name] = &o.fields[i]
	}
	return o
}

func structCodec(t reflect.Type) codec {
	o := objectOf(t)
	return codec{
		func(b []byte, v reflect.Value) ([]byte, error) {
			b, err := o.append(append(b, '{'), v)
			return append(b, '}'), err
		},
		o.scan,
	}
}

// append writes the fields of a struct, without the braces.
func (o *object) append(b []byte, v reflect.Value) ([]byte, error) {
	start := len(b)
	for i := range o.fields {
		f := &o.fields[i]
		value := at(v, f.index)
		if f.omitEmpty && empty(value) {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		var err error
		if b, err = f.codec.append(append(b, f.key...), value); err != nil {
			return b, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return b, nil
}

// at gives the field at an index; embedded structs are rare enough for the slow way.
func at(v reflect.Value, index []int) reflect.Value {
	if len(index) == 1 {
		return v.Field(index[0])
	}
	return v.FieldByIndex(index)
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// scan reads an object; fields that it does not know are passed over.
func (o *object) scan(l *lexer, v reflect.Value) error {
	if l.null() {
		return nil
	}
	l.peek()
	start := l.pos
	err := l.object(func(name []byte) error { return scanField(l, name, o.byName[string(name)], v) })
	if err == nil && o.raw != nil {
		v.Field(o.raw[0]).SetBytes(l.data[start:l.pos:l.pos])
	}
	return err
}

// scanField reads the value of a field; f is nil for an unknown one.
func scanField(l *lexer, name []byte, f *field, v reflect.Value) error {
	var err error
	if f == nil {
		err = l.skip()
	} else {
		err = f.codec.scan(l, at(v, f.index))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func pointerCodec(elem *codec, t reflect.Type) codec {
	return codec{
		func(b []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(b, "null"...), nil
			}
			return elem.append(b, v.Elem())
		},
		func(l *lexer, v reflect.Value) error {
			if l.null() {
				v.SetZero()
				return nil
			}
			p := reflect.New(t)
			v.Set(p)
			return elem.scan(l, p.Elem())
		},
	}
}

func sliceCodec(elem *codec) codec {
	return codec{
		func(b []byte, v reflect.Value) ([]byte, error) {
			var err error
			b = append(b, '[')
			for i := range v.Len() {
				if i > 0 {
					b = append(b, ',')
				}
				if b, err = elem.append(b, v.Index(i)); err != nil {
					return b, fmt.Errorf("[%d]: %w", i, err)
				}
			}
			return append(b, ']'), nil
		},
		func(l *lexer, v reflect.Value) error {
			if l.null() {
				v.SetZero()
				return nil
			}
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			return l.list(func() error {
				n := v.Len()
				v.Grow(1)
				v.SetLen(n + 1)
				v.Index(n).SetZero()
				if err := elem.scan(l, v.Index(n)); err != nil {
					return fmt.Errorf("[%d]: %w", n, err)
				}
				return nil
			})
		},
	}
}

func arrayCodec(elem *codec) codec {
	return codec{
		func(b []byte, v reflect.Value) ([]byte, error) { return sliceCodec(elem).append(b, v) },
		func(l *lexer, v reflect.Value) error {
			n := 0
			err := l.list(func() error {
				if n++; n > v.Len() {
					return l.errorf("more than %d values", v.Len())
				}
				return elem.scan(l, v.Index(n-1))
			})
			if err == nil && n < v.Len() {
				err = l.errorf("%d values instead of %d", n, v.Len())
			}
			return err
		},
	}
}

func mapCodec(elem *codec, t reflect.Type) codec {
	return codec{
		func(b []byte, v reflect.Value) ([]byte, error) {
			keys := make([]string, 0, v.Len())
			for _, k := range v.MapKeys() {
				keys = append(keys, k.String())
			}
			slices.Sort(keys)
			b = append(b, '{')
			for i, k := range keys {
				if i > 0 {
					b = append(b, ',')
				}
				value := reflect.New(t).Elem() // values of a map have no address, which self needs
				value.Set(v.MapIndex(reflect.ValueOf(k)))
				var err error
				if b, err = elem.append(append(appendString(b, k), ':'), value); err != nil {
					return b, fmt.Errorf("%s: %w", k, err)
				}
			}
			return append(b, '}'), nil
		},
		func(l *lexer, v reflect.Value) error {
			if l.null() {
				v.SetZero()
				return nil
			}
			v.Set(reflect.MakeMap(v.Type()))
			return l.object(func(name []byte) error {
				key, value := string(name), reflect.New(t).Elem()
				if err := elem.scan(l, value); err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
				v.SetMapIndex(reflect.ValueOf(key), value)
				return nil
			})
		},
	}
}
