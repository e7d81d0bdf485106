package gguf

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

const regenerate = "regenerate it with: python tools/parity/gguf_checkpoints.py vectors"

// TestTypes compares every element type with gguf-py, bit for bit.
func TestTypes(t *testing.T) {
	f, err := Open("testdata/types.gguf")
	if err != nil {
		t.Fatalf("%v; %s", err, regenerate)
	}
	defer f.Close()
	seen := map[Type]bool{}
	for _, x := range f.Tensors() {
		want, ok := f.Find(x.Name + "/f32")
		if !ok {
			continue
		}
		if !x.Type.Supported() {
			err := f.Read(x.Name, 0, make([]float32, x.Len()))
			if err == nil || !strings.Contains(err.Error(), `"IQ4_NL" is of type IQ4_NL, which is not supported`) {
				t.Errorf("%s: %v", x.Name, err)
			}
			continue
		}
		seen[x.Type] = true
		a, b := readAll(t, f, x), readAll(t, f, want)
		for i := range b {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				t.Errorf("%s: element %d is %v, want %v", x.Name, i, a[i], b[i])
				break
			}
		}
		testParts(t, f, x, a)
	}
	for typ, info := range types {
		if info.decode != nil && !seen[typ] {
			t.Errorf("no vector for %v; %s", typ, regenerate)
		}
	}
}

func readAll(t *testing.T, f *File, x TensorInfo) []float32 {
	t.Helper()
	out := make([]float32, x.Len())
	if err := f.Read(x.Name, 0, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// testParts reads ranges that begin and end anywhere.
func testParts(t *testing.T, f *File, x TensorInfo, all []float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(x.Type)))
	for range 50 {
		at := r.IntN(len(all) + 1)
		n := r.IntN(len(all) - at + 1)
		got := make([]float32, n)
		if err := f.Read(x.Name, at, got); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(all[at+i]) {
				t.Fatalf("%s: element %d of %d from %d is %v, want %v", x.Name, i, n, at, got[i], all[at+i])
			}
		}
	}
	for _, bad := range [][2]int{{-1, 1}, {0, len(all) + 1}, {len(all), 1}, {math.MaxInt, 1}} {
		if f.Read(x.Name, bad[0], make([]float32, bad[1])) == nil {
			t.Errorf("%s: reading %d elements from %d succeeded", x.Name, bad[1], bad[0])
		}
	}
}

func TestHalf(t *testing.T) {
	for _, tc := range []struct {
		bits uint16
		want float32
	}{
		{0x3c00, 1}, {0xc000, -2}, {0x7bff, 65504}, {0x0001, 0x1p-24}, {0x03ff, 1023 * 0x1p-24}, {0x0400, 0x1p-14},
		{0x8000, float32(math.Copysign(0, -1))}, {0x7c00, float32(math.Inf(1))}, {0xfc00, float32(math.Inf(-1))}, {0x3555, 0.333251953125},
	} {
		if got := fromHalf(tc.bits); math.Float32bits(got) != math.Float32bits(tc.want) {
			t.Errorf("half %#04x is %v, want %v", tc.bits, got, tc.want)
		}
	}
	if got := fromHalf(0x7e00); got == got {
		t.Errorf("half 0x7e00 is %v, want NaN", got)
	}
}

func TestDecodeChecksSizes(t *testing.T) {
	for _, tc := range []struct {
		typ      Type
		dst, src int
	}{{Q8_0, 31, 34}, {Q8_0, 32, 33}, {F16, 2, 3}, {20, 32, 18}, {99, 1, 8}} {
		if Decode(tc.typ, make([]float32, tc.dst), make([]byte, tc.src)) == nil {
			t.Errorf("%d elements of %v from %d bytes were decoded", tc.dst, tc.typ, tc.src)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, typ := range []Type{F16, BF16, Q4_1, Q8_0, Q4_K, Q6_K} {
		b.Run(typ.String(), func(b *testing.B) {
			dst := make([]float32, 1<<14)
			src := make([]byte, len(dst)/types[typ].block*types[typ].bytes)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				types[typ].decode(dst, src)
			}
		})
	}
}
