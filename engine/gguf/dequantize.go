package gguf

import (
	"encoding/binary"
	"math"
)

// The functions of this file turn whole blocks into float32, with the operations and in the order of ggml's reference
// (gguf-py, quants.py), so that the results are equal bit for bit. A product that a sum follows is converted to float32
// explicitly, because Go may fuse the two otherwise.

// half reads an IEEE 754 binary16.
func half(b []byte) float32 { return fromHalf(binary.LittleEndian.Uint16(b)) }

// fromHalf converts an IEEE 754 binary16.
func fromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24
		return math.Float32frombits(math.Float32bits(float32(frac)/(1<<24)) | sign)
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

func decodeF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func decodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// decodeQ8_0: a scale, then 32 signed bytes.
func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[34:] {
		d, q, out := half(src), src[2:34], dst[:32]
		for i, v := range q {
			out[i] = d * float32(int8(v))
		}
	}
}

// decodeQ4_0: a scale, then 16 bytes whose low nibbles are elements 0 to 15 and whose high ones 16 to 31, offset by 8.
func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		d, q := half(src), src[2:18]
		lo, hi := dst[:16], dst[16:32]
		for i, v := range q {
			lo[i] = d * float32(int(v&15)-8)
			hi[i] = d * float32(int(v>>4)-8)
		}
	}
}

// decodeQ4_1: a scale and a minimum, then nibbles as in Q4_0.
func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[20:] {
		d, m, q := half(src), half(src[2:]), src[4:20]
		lo, hi := dst[:16], dst[16:32]
		for i, v := range q {
			lo[i] = float32(d*float32(v&15)) + m
			hi[i] = float32(d*float32(v>>4)) + m
		}
	}
}

// decodeQ5_0: a scale, the 32 fifth bits, then nibbles as in Q4_0, offset by 16.
func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[22:] {
		d, high, q := half(src), binary.LittleEndian.Uint32(src[2:]), src[6:22]
		lo, hi := dst[:16], dst[16:32]
		for i, v := range q {
			lo[i] = d * float32(int(uint32(v&15)|high>>i&1<<4)-16)
			hi[i] = d * float32(int(uint32(v>>4)|high>>(i+16)&1<<4)-16)
		}
	}
}

// decodeQ5_1: a scale and a minimum, the 32 fifth bits, then nibbles as in Q4_0.
func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[24:] {
		d, m, high, q := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:]), src[8:24]
		lo, hi := dst[:16], dst[16:32]
		for i, v := range q {
			lo[i] = float32(d*float32(uint32(v&15)|high>>i&1<<4)) + m
			hi[i] = float32(d*float32(uint32(v>>4)|high>>(i+16)&1<<4)) + m
		}
	}
}

// scaleMin unpacks the scale and the minimum of group j (of 8) from the twelve bytes of a K-quant: six bits each, the
// upper two bits of groups 4 to 7 in the top bits of groups 0 to 3.
func scaleMin(b []byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(b[j] & 63), float32(b[j+4] & 63)
	}
	return float32(b[j+4]&15 | b[j-4]>>6<<4), float32(b[j+4]>>4 | b[j]>>6<<4)
}

// decodeQ4_K: scales of the scales and of the minima, eight groups' scales and minima, then 256 nibbles: of each 32
// bytes the low ones are a group and the high ones the next.
func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[144:] {
		d, dmin, packed := half(src), half(src[2:]), src[4:16]
		for j := range 8 {
			s, m := scaleMin(packed, j)
			ds, dm := d*s, float32(dmin*m)
			q, out := src[16+j/2*32:][:32], dst[32*j:][:32]
			shift := uint(j % 2 * 4)
			for i, v := range q {
				out[i] = float32(ds*float32(v>>shift&15)) - dm
			}
		}
	}
}

// decodeQ5_K: as Q4_K, with 32 bytes before the nibbles whose bit j is the fifth bit of group j.
func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[176:] {
		d, dmin, packed, high := half(src), half(src[2:]), src[4:16], src[16:48]
		for j := range 8 {
			s, m := scaleMin(packed, j)
			ds, dm := d*s, float32(dmin*m)
			q, out := src[48+j/2*32:][:32], dst[32*j:][:32]
			shift := uint(j % 2 * 4)
			for i, v := range q {
				out[i] = float32(ds*float32(v>>shift&15|high[i]>>j&1<<4)) - dm
			}
		}
	}
}

// decodeQ6_K: 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, and a scale of these. Each half of the
// block has four rows of 32 elements: the low nibbles of 64 bytes are its first two rows, the high ones the other two;
// a row's upper bits stand in the half's 32 bytes of pairs.
func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[210:] {
		d := half(src[208:])
		for j := range 8 { // rows
			h, r := j/4, j%4
			ql, qh := src[64*h+r%2*32:][:32], src[128+32*h:][:32]
			out := dst[32*j:][:32]
			d0, d1 := d*float32(int8(src[192+2*j])), d*float32(int8(src[193+2*j]))
			low, up := uint(r/2*4), uint(2*r)
			for i := range out {
				ds := d0
				if i >= 16 {
					ds = d1
				}
				out[i] = ds * float32(int(ql[i]>>low&15|qh[i]>>up&3<<4)-32)
			}
		}
	}
}
