// Package input reads what people write: YAML files, strictly, with errors that name file and line; and names that may be mistyped.
package input

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

// YAML reads the text of a file, one document without unknown or repeated keys, into a struct with yaml tags. Errors are because.Errors of the operation, "read task" say, about
// "file:line".
func YAML(op, file string, text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(into)
	if err == nil {
		if err = d.Decode(new(yaml.Node)); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("a second document follows")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty")
	}
	return placed(op, file, err, into)
}

var (
	atLine  = regexp.MustCompile(`(?s)line (\d+): (.*?)(?:\n|$)`)
	unknown = regexp.MustCompile(`field (\S+) not found in type (\S+)`)
)

// placed turns the decoder's error into one about a line.
func placed(op, file string, err error, into any) error {
	m := atLine.FindStringSubmatch(err.Error())
	if m == nil {
		return because.E(op, file, errors.New(strings.TrimPrefix(err.Error(), "yaml: ")), "")
	}
	cause, hint := m[2], ""
	if u := unknown.FindStringSubmatch(cause); u != nil {
		cause = "unknown key " + u[1]
		hint = DidYouMean(u[1], keysOf(reflect.TypeOf(into), u[2], map[reflect.Type]bool{}))
	}
	return because.E(op, file+":"+m[1], errors.New(cause), hint)
}

// keysOf finds, in what t is made of, the struct type of a name and gives its keys.
func keysOf(t reflect.Type, name string, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	if t.String() == name {
		return keys(t)
	}
	for i := range t.NumField() {
		if found := keysOf(t.Field(i).Type, name, seen); found != nil {
			return found
		}
	}
	return nil
}

func keys(t reflect.Type) []string {
	out := []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(options, "inline") && f.Type.Kind() == reflect.Struct:
			out = append(out, keys(f.Type)...)
		case tag == "" && f.IsExported():
			out = append(out, strings.ToLower(f.Name))
		case tag != "" && tag != "-":
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}
