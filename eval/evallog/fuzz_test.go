package evallog

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// seedLogs are small logs of several forms.
func seedLogs(t testing.TB) [][]byte {
	path := logPath(t)
	write(t, path, nil, testSample(IntID(1), 1))
	own, err := os.ReadFile(path)
	ok(t, err)
	f := foreign{{"header.json", head + "}"}, {"samples/1_epoch_1.json", condensed}, {"summaries.json", `[{"id":1,"epoch":1}]`}}
	crashed := foreign{{"_journal/start.json", head + "}"}, {"_journal/summaries/1.json", `[{"id":1,"epoch":1}]`}}
	return [][]byte{own, f.bytes(t, stored), f.bytes(t, deflate), f.bytes(t, zstd93), crashed.bytes(t, deflate), own[:len(own)/2], nil}
}

// readAll reads everything there is.
func readAll(r *Reader) {
	for _, err := range r.Samples() {
		_ = err // damage is expected
	}
	if rows, err := r.Summaries(0, 100); err == nil && len(rows) > 0 {
		_, _ = r.Sample(rows[0].ID, rows[0].Epoch)
	}
	_, _ = r.Reductions()
	_, _ = r.Len()
	r.Close()
}

func FuzzOpen(f *testing.F) {
	for _, b := range seedLogs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.eval")
		ok(t, os.WriteFile(path, b, 0o666))
		if r, err := Open(path); err == nil {
			readAll(r)
		}
		// Going on with it either works or is refused; what is then written can be read.
		w, _, err := Resume(path, testStart())
		if err != nil {
			return
		}
		ok(t, w.Sample(testSample(IntID(5), 1)))
		if err := w.Finish(testFinish()); err != nil {
			w.Close()
			return // a row that is none
		}
		if _, err := openLog(t, path).Sample(IntID(5), 1); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzSalvage(f *testing.F) {
	for _, b := range seedLogs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.eval")
		ok(t, os.WriteFile(path, b, 0o666))
		if r, err := Salvage(path); err == nil {
			readAll(r)
		}
		// As a work file, the same bytes must be taken up to their first damage.
		ok(t, os.Rename(path, partPath(path)))
		if w, _, err := Resume(path, testStart()); err == nil {
			ok(t, w.Close())
			openLog(t, path)
		}
	})
}

func FuzzSample(f *testing.F) {
	f.Add([]byte(condensed))
	f.Add([]byte(`{"id":"a","epoch":1,"input":[{"role":"user","content":[{"type":"image","image":"x"}]}],"scores":{"a":{"value":[NaN,-Infinity,1e999]}},"events":[{"event":"x"}]}`))
	text, err := encode(nil, testSample(IntID(1), 1))
	ok(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSample(b)
		if err != nil {
			return
		}
		if _, err := s.Resolved(); err != nil {
			return
		}
		if s.ID.text == "" || s.Epoch < 1 || len(b) > 1<<16 {
			return
		}
		// What was read can be written, and reads the same.
		first, err := encode(nil, s)
		ok(t, err)
		again, err := decodeSample(first)
		ok(t, err)
		second, err := encode(nil, again)
		ok(t, err)
		if !bytes.Equal(first, second) {
			t.Fatalf("%s\nthen\n%s", first, second)
		}
	})
}

// FuzzLexer holds the lexer against encoding/json.
func FuzzLexer(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,"\u00e9\ud83d\ude00\n"],"b":{}}`, `[1,]`, `01`, `"\x"`, "\"\x01\"", `[NaN]`, `tru`, `{"a" 1}`, `"a\`, `1 2`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l := &lexer{data: b}
		err := l.skip()
		if err == nil {
			err = l.end()
		}
		python := bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Infinity"))
		if want := json.Valid(b); want != (err == nil) && !python {
			t.Fatalf("%q: %v, and encoding/json says %v", b, err, want)
		}
		var theirs any
		if err != nil || python || json.Unmarshal(b, &theirs) != nil {
			return
		}
		if want, isText := theirs.(string); isText && utf8.Valid(b) {
			l := &lexer{data: b}
			got, err := l.text()
			ok(t, err)
			if got != want {
				t.Fatalf("%q is %q, not %q", b, got, want)
			}
			if back := ""; json.Unmarshal(appendString(nil, got), &back) != nil || back != got {
				t.Fatalf("%q is written as %s", got, appendString(nil, got))
			}
		}
		if want, isNumber := theirs.(float64); isNumber {
			l := &lexer{data: b}
			if got, err := l.float(); err != nil || got != want {
				t.Fatalf("%q is %v, not %v", b, got, want)
			}
		}
	})
}

// TestStream cuts a list of rows into reads of any size.
func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.SampledFrom([]string{`{"a":"\"x\\"}`, `1`, `"é\u00e9"`, `[]`, `null`, `NaN`, `-Infinity`, `{"b":[1,{"c":true}]}`, `-12.5e3`})).Draw(t, "rows")
		text := " [ " + strings.Join(rows, " ,\n") + "]  "
		r := &rowReader{in: &pieces{[]byte(text), rapid.IntRange(1, 9).Draw(t, "size")}}
		for i, want := range rows {
			got, err := r.next()
			if err != nil || string(got) != want {
				t.Fatalf("row %d is %q, not %q: %v", i, got, want, err)
			}
		}
		if row, err := r.next(); err == nil || err.Error() != "EOF" {
			t.Fatal(string(row), err)
		}
		cut := &rowReader{in: &pieces{[]byte(strings.TrimRight(text, " ]")), 3}}
		for range len(rows) + 1 {
			if _, err := cut.next(); err != nil {
				if err.Error() == "EOF" {
					t.Fatal("the end of a list that has none")
				}
				return
			}
		}
		t.Fatal("more rows than there are")
	})
}

// pieces is a stream that comes in small reads.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.size)], p.left)
	p.left = p.left[n:]
	if n == 0 {
		return 0, os.ErrClosed
	}
	return n, nil
}

func (p *pieces) Close() error { return nil }

func TestFloats(t *testing.T) {
	for _, f := range []float64{0, 1, -1, 0.1, 1e6, 1e21, 1e-7, 5e-324, math.MaxFloat64, math.Inf(1), math.Inf(-1)} {
		l := &lexer{data: appendFloat(nil, f)}
		if got, err := l.float(); err != nil || got != f {
			t.Error(f, got, err)
		}
	}
}
