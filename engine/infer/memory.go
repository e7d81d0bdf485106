package infer

import "unsafe"

// alignedFloats returns n zeros that start on a cache line.
func alignedFloats(n int) []float32 {
	const line = 16
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
