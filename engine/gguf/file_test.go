package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestMetadata(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		b := newBuilder()
		b.version = version
		f := b.set("s", "héllo").set("empty", "").set("b", true).set("i", 7).set("neg", int8(-3)).set("big", uint64(math.MaxUint64)).
			set("f", float32(1e-5)).set("d", 0.1).set("ss", []string{"a", "", "ccc"}).set("is", []int32{-1, 5}).set("fs", []float32{0.5, -2}).
			raw("bytes", kindArray, []byte{0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 200, 7}).must(t)
		get := func(v any, err error) any {
			if err != nil {
				t.Error(err)
			}
			return v
		}
		text := func(key string) any { v, err := f.String(key); return get(v, err) }
		number := func(key string) any { v, err := f.Int(key); return get(v, err) }
		float := func(key string) any { v, err := f.Float(key); return get(v, err) }
		ints := func(key string) any { v, err := f.Ints(key); return get(v, err) }
		yes, err := f.Bool("b")
		stringsOf, err2 := f.Strings("ss")
		floats, err3 := f.Floats("fs")
		got := []any{text("s"), text("empty"), number("i"), number("neg"), float("f"), float("d"), ints("is"), ints("bytes"),
			get(yes, err), get(stringsOf, err2), get(floats, err3)}
		want := []any{"héllo", "", 7, -3, 1e-5, 0.1, []int{-1, 5}, []int{200, 7}, true, []string{"a", "", "ccc"}, []float32{0.5, -2}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: got %v, want %v", version, got, want)
		}
		if len(f.Keys()) != 12 || f.Keys()[0] != "s" || !f.Has("ss") || f.Has("t") {
			t.Errorf("keys are %v", f.Keys())
		}
		testWrongGets(t, f)
	}
}

func testWrongGets(t *testing.T, f *File) {
	t.Helper()
	_, missing := f.Int("none")
	_, text := f.Int("s")
	_, big := f.Int("big")
	_, noFloat := f.Float("i")
	_, noBool := f.Bool("i")
	_, noString := f.String("ss")
	_, noStrings := f.Strings("is")
	_, noInts := f.Ints("ss")
	_, noFloats := f.Floats("is")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{missing, `"none" is missing`}, {text, `"s" is of type string, want an integer`}, {big, "fits int"}, {noFloat, `"i" is of type uint32, want a floating`},
		{noBool, "want a bool"}, {noString, "array of 3 string, want a string"}, {noStrings, "array of 2 int32, want an array of strings"},
		{noInts, "want an array of integers"}, {noFloats, "want an array of float32"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("error %v, want %q", tc.err, tc.want)
		}
	}
}

func TestTensors(t *testing.T) {
	f := newBuilder().f32("a", []float32{1, 2, 3, 4, 5, 6}, 2, 3).f32("scalar", []float32{9}).must(t)
	a, ok := f.Find("a")
	if !ok || !reflect.DeepEqual(a.Shape, []int{2, 3}) || a.Type != F32 || len(f.Tensors()) != 2 {
		t.Errorf("the tensor is %+v", a)
	}
	got := make([]float32, 2)
	if err := f.Read("a", 3, got); err != nil || got[0] != 4 || got[1] != 5 {
		t.Errorf("read %v, %v", got, err)
	}
	if err := f.Read("scalar", 0, got[:1]); err != nil || got[0] != 9 {
		t.Errorf("read %v, %v", got, err)
	}
	if err := f.Read("none", 0, got); err == nil || !strings.Contains(err.Error(), `no tensor "none"`) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Read("a", 0, got); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("read after Close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestBadFiles gives headers that lie.
func TestBadFiles(t *testing.T) {
	le := binary.LittleEndian
	counts := func(tensors, keys uint64) []byte {
		return append(le.AppendUint64(le.AppendUint64(le.AppendUint32(le.AppendUint32(nil, magic), 3), tensors), keys), make([]byte, 64)...)
	}
	array := func(elem kind, n uint64) []byte { return le.AppendUint64(le.AppendUint32(nil, uint32(elem)), n) }
	version := func(v uint32) []byte { b := newBuilder(); b.version = v; return b.bytes() }
	data := func(b *builder, n int) []byte { b.data = make([]byte, n); return b.bytes() }
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a GGUF file"},
		{"other", []byte("PK\x03\x04 and more"), "not a GGUF file"},
		{"version 1", version(1), "version 1, supported are 2 and 3"},
		{"version 9", version(9), "version 9"},
		{"big-endian", version(3 << 24), "big-endian"},
		{"cut", newBuilder().bytes()[:20], "truncated?"},
		{"many tensors", counts(1<<62, 0), "4611686018427387904 tensors cannot be in the 64 bytes"},
		{"many keys", counts(0, 1<<40), "metadata entries cannot be"},
		{"long key", newBuilder().raw("k", kindUint8, []byte{1}).bytes()[:24+5], "truncated?"},
		{"huge string", newBuilder().raw("k", kindString, le.AppendUint64(nil, 1<<63)).bytes(), `"k": byte`},
		{"huge array", newBuilder().raw("k", kindArray, array(kindUint64, 1<<61)).bytes(), "2305843009213693952 elements cannot be"},
		{"huge strings", newBuilder().raw("k", kindArray, append(array(kindString, 60), make([]byte, 99)...)).bytes(), "60 strings cannot be"},
		{"array of arrays", newBuilder().raw("k", kindArray, array(kindArray, 1)).bytes(), "arrays of array are not supported"},
		{"array of what", newBuilder().raw("k", kindArray, array(77, 1)).bytes(), "arrays of type 77"},
		{"value of what", newBuilder().raw("k", 13, nil).bytes(), "number 13, which is unknown"},
		{"twice", newBuilder().set("k", 1).set("k", 2).bytes(), `"k" occurs twice`},
		{"alignment", newBuilder().set("general.alignment", 48).bytes(), "general.alignment is 48, want a power of two"},
		{"alignment type", newBuilder().set("general.alignment", "x").bytes(), "want an integer"},
		{"dimensions", data(newBuilder().entry("t", F32, 0, 1, 1, 1, 1, 1), 4), "5 dimensions"},
		{"zero", data(newBuilder().entry("t", F32, 0, 0), 4), "dimension of 0"},
		{"overflow", data(newBuilder().entry("t", F32, 0, 1<<32, 1<<32), 4), "impossible"},
		{"overflow in bytes", data(newBuilder().entry("t", F32, 0, 1<<62), 4), "impossible"},
		{"type", data(newBuilder().entry("t", 99, 0, 1), 4), `"t": its element type is number 99`},
		{"removed type", data(newBuilder().entry("t", 4, 0, 1), 4), "number 4, which is unknown"},
		{"row", data(newBuilder().entry("t", Q4_0, 0, 48), 64), "rows of 48 elements are no whole blocks of Q4_0"},
		{"past the end", data(newBuilder().entry("t", F32, 0, 9), 32), "end past the file"},
		{"offset past the end", data(newBuilder().entry("t", F32, 1<<40, 1), 32), "end past the file"},
		{"huge offset", data(newBuilder().entry("t", F32, 1<<63, 1), 32), "impossible"},
		{"misaligned", data(newBuilder().entry("t", F32, 16, 1), 32), "offset 16 is not a multiple of the alignment 32"},
		{"overlap", data(newBuilder().entry("t", F32, 0, 9).entry("u", F32, 32, 1), 64), `"t" and "u" overlap`},
		{"same place", data(newBuilder().entry("t", F32, 0, 1).entry("u", F32, 0, 1), 64), "overlap"},
		{"tensor twice", data(newBuilder().entry("t", F32, 0, 1).entry("t", F32, 32, 1), 64), `"t" occurs twice`},
	} {
		_, err := openBytes(t, tc.data)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "m.gguf") {
			t.Errorf("%s: error %v, want %q and the file in it", tc.name, err, tc.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// TestEveryTruncation cuts a good file at each byte: an error or, behind the header of a file without its padding, no crash.
func TestEveryTruncation(t *testing.T) {
	whole := newBuilder().set("a", "text").set("b", []string{"x", "yy"}).f32("t", []float32{1, 2, 3}, 3).bytes()
	path := t.TempDir() + "/m.gguf"
	for n := range len(whole) {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

// TestTruncationWhileOpen cuts a file after its header was read: an error where the program could die.
func TestTruncationWhileOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be cut here")
	}
	f := newBuilder().f32("t", make([]float32, 1<<16), 1<<16).must(t)
	if err := os.Truncate(f.Path(), 100); err != nil {
		t.Fatal(err)
	}
	if err := f.Read("t", 0, make([]float32, 1<<16)); err == nil {
		t.Error("reading what is gone succeeded")
	}
}

// TestCloseDuringReads closes a file while goroutines read it: each read is whole or an error.
func TestCloseDuringReads(t *testing.T) {
	want := make([]float32, 1<<12)
	for i := range want {
		want[i] = float32(i)
	}
	f := newBuilder().f32("t", want, len(want)).must(t)
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			got := make([]float32, len(want))
			for n := 0; f.Read("t", 0, got) == nil; n++ {
				if !reflect.DeepEqual(got, want) {
					t.Error("a read got something else")
					return
				}
				if n == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// TestReadAtFallback reads without a map, as on systems that have none.
func TestReadAtFallback(t *testing.T) {
	f := newBuilder().set("k", []string{"v"}).f32("t", []float32{1, 2, 3}, 3).must(t)
	file, err := os.Open(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	g := &File{m: &Mapping{path: f.Path(), size: f.m.Size(), file: file}}
	if err := g.parse(newReader(g.m, g.m.Size())); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 2)
	if err := g.Read("t", 1, got); err != nil || got[0] != 2 || got[1] != 3 {
		t.Errorf("read %v, %v", got, err)
	}
	if s, err := g.Strings("k"); err != nil || len(s) != 1 || s[0] != "v" {
		t.Errorf("strings %v, %v", s, err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Read("t", 1, got); err == nil {
		t.Error("read after Close succeeded")
	}
}

// FuzzOpen checks that an accepted header describes ranges within the file, and that nothing crashes on it.
func FuzzOpen(f *testing.F) {
	good := newBuilder().set("general.architecture", "llama").set("ss", []string{"a", "b"}).set("i", []int32{1}).f32("token_embd.weight", []float32{1, 2, 3, 4}, 2, 2)
	f.Add(good.bytes())
	f.Add(good.bytes()[:60])
	f.Add(modelBuilder("llama", 8).bytes())
	f.Add(newBuilder().set("general.alignment", 64).entry("t", Q6_K, 0, 256).bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{m: &Mapping{path: "fuzz", size: int64(len(data)), data: bytes.Clone(data)}}
		if err := file.parse(newReader(file.m, file.m.Size())); err != nil {
			return
		}
		end := int64(0)
		for _, x := range file.tensors {
			if x.start < 0 || x.bytes < 1 || x.start+x.bytes > int64(len(data)) || x.Len() > 300*len(data) {
				t.Fatalf("%+v was accepted in %d bytes", x, len(data))
			}
			if x.Type.Supported() {
				if err := file.Read(x.Name, 0, make([]float32, x.Len())); err != nil {
					t.Fatal(err)
				}
			}
			end = max(end, x.start+x.bytes)
		}
		for _, key := range file.keys {
			file.Strings(key)
			file.Ints(key)
			file.Floats(key)
			file.String(key)
			file.number(key)
		}
		file.Tokenizer()
		if s, err := file.Source(); err == nil {
			for _, name := range s.Names() {
				shape, _ := s.Shape(name)
				n := 1
				for _, d := range shape {
					n *= d
				}
				if err := s.Read(name, 0, make([]float32, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
