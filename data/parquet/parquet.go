// Package parquet reads and writes Parquet files of texts, lists and groups of them: as much of the format as training records need. It is
// the one package that knows the library.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/because-lab/because"
)

// Type is the type of a column: a text, or, where one of them is set, a list or a group.
type Type struct {
	List   *Type
	Fields []Field
}

// Field is a column, or a member of a group. One that is optional may be missing.
type Field struct {
	Name     string
	Type     Type
	Optional bool
}

func (t Type) node() parquet.Node {
	switch {
	case t.List != nil:
		return parquet.List(t.List.node())
	case t.Fields != nil:
		return group(t.Fields)
	}
	return parquet.String()
}

func group(fields []Field) parquet.Group {
	g := parquet.Group{}
	for _, f := range fields {
		n := f.Type.node()
		if f.Optional {
			n = parquet.Optional(n)
		}
		g[f.Name] = n
	}
	return g
}

// rowsPerGroup bounds what a writer holds in memory.
const rowsPerGroup = 2048

// Writer writes rows.
type Writer struct {
	w    *parquet.GenericWriter[any]
	rows int
}

// NewWriter begins a file.
func NewWriter(w io.Writer, columns []Field) *Writer {
	return &Writer{w: parquet.NewGenericWriter[any](w, parquet.NewSchema("records", group(columns)), parquet.Compression(&parquet.Zstd))}
}

// Write adds a row: texts as string, lists as []any, groups as map[string]any.
func (w *Writer) Write(row map[string]any) (err error) {
	defer recovered(&err)
	if _, err := w.w.Write([]any{row}); err != nil {
		return err
	}
	if w.rows++; w.rows%rowsPerGroup == 0 {
		return w.w.Flush()
	}
	return nil
}

// Close ends the file.
func (w *Writer) Close() (err error) {
	defer recovered(&err)
	return w.w.Close()
}

// recovered turns a panic of the library, which it answers damaged files with, into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%v", p)
	}
}

// Read gives the rows of a file, texts as string, lists as []any, groups as map[string]any; what is missing is nil. Numbers and truth values
// come as they are. Errors name the file and the row.
func Read(path string) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		n := 0
		bad := func(err error) { yield(nil, because.E("read records", fmt.Sprintf("%s: row %d", path, n+1), err, "")) }
		f, size, err := open(path)
		if err != nil {
			yield(nil, because.E("read records", path, err, ""))
			return
		}
		defer f.Close()
		r, err := newReader(f, size)
		if err != nil {
			yield(nil, because.E("read records", path, fmt.Errorf("it is no Parquet file, or damaged: %w", err), ""))
			return
		}
		for {
			row, err := next(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				bad(err)
				return
			}
			n++
			if !yield(row, nil) {
				return
			}
		}
	}
}

func open(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func newReader(f io.ReaderAt, size int64) (r *parquet.GenericReader[any], err error) {
	defer recovered(&err)
	file, err := parquet.OpenFile(f, size)
	if err != nil {
		return nil, err
	}
	return parquet.NewGenericReader[any](file, file.Schema()), nil
}

func next(r *parquet.GenericReader[any]) (row map[string]any, err error) {
	defer recovered(&err)
	rows := make([]any, 1)
	n, err := r.Read(rows)
	if n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return nil, err
	}
	m, ok := rows[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the row is a %T", rows[0])
	}
	return plain(m).(map[string]any), nil
}

// plain takes the levels out that Parquet puts into lists, and makes strings of bytes.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case map[string]any:
		if list, ok := v["list"].([]any); ok && len(v) == 1 {
			out := make([]any, len(list))
			for i, e := range list {
				m, ok := e.(map[string]any)
				if !ok || len(m) != 1 {
					return v
				}
				for _, inner := range m { // element, or item in older files
					out[i] = plain(inner)
				}
			}
			return out
		}
		for k := range v {
			v[k] = plain(v[k])
		}
		return v
	}
	return v
}
