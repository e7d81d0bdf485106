package kernel

import "fmt"

// RoPE rotates one head of one token by its position (Su et al., "RoFormer",
// 2021) in the rotate-half layout of Hugging Face's Llama: element i pairs
// with element i+len(cos). len(x) = 2*len(cos); cos and sin hold the angles'
// values for the token's position.
func RoPE(x, cos, sin []float32) { ropeOne("RoPE", x, cos, sin, 1) }

// RoPEBackward applies the inverse rotation of [RoPE] to a gradient in place.
func RoPEBackward(dx, cos, sin []float32) { ropeOne("RoPEBackward", dx, cos, sin, -1) }

func ropeOne(op string, x, cos, sin []float32, sign float32) {
	checkLen(op, "sin", len(sin), len(cos))
	checkLen(op, "x", len(x), 2*len(cos))
	if len(cos) == 0 {
		return
	}
	var zero [1]int32
	active.row.rope(x, len(x), 1, cos, sin, len(cos), zero[:], sign)
}

// RoPERows rotates len(pos) rows of x in place. Row i begins at x[i*ld] and
// holds the given number of consecutive heads of 2*half elements, all rotated
// by position pos[i]; cos and sin are tables [positions,half].
func RoPERows(x []float32, ld, heads int, cos, sin []float32, half int, pos []int32) {
	ropeRows("RoPERows", x, ld, heads, cos, sin, half, pos, 1)
}

// RoPEBackwardRows applies the inverse of [RoPERows] to a gradient in place.
func RoPEBackwardRows(dx []float32, ld, heads int, cos, sin []float32, half int, pos []int32) {
	ropeRows("RoPEBackwardRows", dx, ld, heads, cos, sin, half, pos, -1)
}

func ropeRows(op string, x []float32, ld, heads int, cos, sin []float32, half int, pos []int32, sign float32) {
	checkMatrix(op, "x", len(pos), 2*half*heads, x, ld)
	checkLen(op, "sin", len(sin), len(cos))
	if half == 0 || heads == 0 {
		return
	}
	for i, p := range pos {
		if p < 0 || (int(p)+1)*half > len(cos) {
			panic(fmt.Sprintf("kernel: %s: position %d of row %d is outside the table of %d", op, p, i, len(cos)/half))
		}
	}
	step := rowsPerCall(2 * half * heads)
	for i := 0; i < len(pos); i += step {
		n := min(step, len(pos)-i)
		active.row.rope(x[i*ld:], ld, heads, cos, sin, half, pos[i:i+n], sign)
	}
}
