package study

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

const opRead = "read study"

// source is where a File was read.
type source struct {
	name  string // of the file, "" where Go made it
	dir   string // that relative paths in it start from
	lines map[string]int
}

// Load reads and checks a study file. Errors name file, line and key.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "give the path of a study file"
			err = fs.ErrNotExist
		}
		return nil, because.E(opRead, path, err, hint)
	}
	f, err := Parse(path, text)
	if err == nil {
		f.source.dir = filepath.Dir(path)
	}
	return f, err
}

// Parse reads and checks the text of a study file; name says in errors where it comes from.
func Parse(name string, text []byte) (*File, error) {
	root, err := document(text)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	f := &File{source: source{name: name, lines: map[string]int{}}}
	d := &decoder{lines: f.source.lines}
	if err := d.value(root, reflect.ValueOf(f).Elem(), "", 0); err != nil {
		var bad *fault
		if errors.As(err, &bad) {
			return nil, because.E(opRead, subject(name, bad.line, bad.path), bad.err, bad.hint)
		}
		return nil, because.E(opRead, name, err, "")
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )*(?:unmarshal errors:\s*)?(?:line (\d+): )?`)

// syntaxError gives an error of the YAML parser its place.
func syntaxError(name string, err error) error {
	if errors.Is(err, io.EOF) {
		return because.E(opRead, name, errors.New("the file is empty"), "")
	}
	text := err.Error()
	line := 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		line, _ = strconv.Atoi(m[1]) // 0 where there is none
	}
	return because.E(opRead, subject(name, line, ""), errors.New(text), "")
}

// subject puts a place into words: file:line: key.
func subject(name string, line int, path string) string {
	var parts []string
	switch {
	case name != "" && line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", name, line))
	case name != "":
		parts = append(parts, name)
	}
	if path != "" {
		parts = append(parts, path)
	}
	return strings.Join(parts, ": ")
}

// Place tells where a key of the study stands, as "file:line: key"; for a key that is not there, the line of what it
// would belong to.
func (f *File) Place(key string) string {
	return subject(f.source.name, f.line(key), key)
}

// line finds the line of the innermost part of a key path that the file has, 0 where there is none.
func (f *File) line(path string) int {
	for path != "" {
		if line, ok := f.source.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// bad makes the error about a key.
func (f *File) bad(path, hint, format string, args ...any) error {
	return because.E(opRead, f.Place(path), fmt.Errorf(format, args...), hint)
}

// unplaced strips an error about the study of its place.
func unplaced(err error) error {
	var e *because.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
