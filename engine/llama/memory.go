package llama

import "unsafe"

// alignedFloats returns n zeros that start on a cache line, so that rows whose
// width is a multiple of 16 never straddle one.
func alignedFloats(n int) []float32 {
	const line = tensorAlign
	b := make([]float32, n+line)
	off := 0
	if r := uintptr(unsafe.Pointer(&b[0])) / 4 % line; r != 0 {
		off = line - int(r)
	}
	return b[off : off+n : off+n]
}

// grow returns b with n elements, reallocated only when its capacity is too
// small. The content is unspecified.
func grow(b []float32, n int) []float32 {
	if cap(b) < n {
		return alignedFloats(n)
	}
	return b[:n]
}

// growInts is grow for indices.
func growInts(b []int32, n int) []int32 {
	if cap(b) < n {
		return make([]int32, n)
	}
	return b[:n]
}

// buffer is memory that is reused.
type buffer struct{ data []float32 }

// take returns n elements of unspecified content, valid until the next call.
func (b *buffer) take(n int) []float32 {
	b.data = grow(b.data, n)
	return b.data
}
