package kernel

// Attend computes the attention of one token's query heads over n cached keys
// and values: for each head, out = softmax(scale * q K^T) V. q and out hold the
// given number of heads of size elements each, all sharing the keys and values
// (grouped-query attention; one head otherwise). keys is transposed, [size,n]
// with row stride ldk, so that scores are computed for 16 keys at a time;
// values is [n,size] with row stride ldv. scores is scratch space for at least
// n rounded up to a multiple of 16.
//
// Its result depends on its own arguments only. It adds in another order than
// the matrix products and equals them to rounding.
func Attend(out, q, keys []float32, ldk int, values []float32, ldv int, heads, size, n int, scale float32, scores []float32) {
	checkRows("Attend", "out", out, heads, size)
	checkRows("Attend", "q", q, heads, size)
	checkMatrix("Attend", "keys", size, n, keys, ldk)
	checkMatrix("Attend", "values", n, size, values, ldv)
	if heads == 0 || size == 0 {
		return
	}
	if n == 0 {
		clear(out[:heads*size])
		return
	}
	checkRows("Attend", "scores", scores, 1, (n+15)/16*16)
	step := rowsPerCall(size * n)
	for h := 0; h < heads; h += step {
		at := h * size
		active.row.attend(out[at:], q[at:], keys, ldk, values, ldv, min(step, heads-h), size, n, scale, scores)
	}
}
