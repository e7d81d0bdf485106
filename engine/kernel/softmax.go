package kernel

import "fmt"

// Softmax computes dst = softmax(scale*src). dst may be src. An element that
// lies more than 87 below the largest one becomes exactly zero.
func Softmax(dst, src []float32, scale float32) {
	checkLen("Softmax", "src", len(src), len(dst))
	if n := len(dst); n > 0 {
		active.row.softmax(dst, src, 0, 1, n, n, scale)
	}
}

// SoftmaxRows applies [Softmax] in place to rows of s: row i begins at s[i*ld]
// and has cols columns.
func SoftmaxRows(s []float32, ld, rows, cols int, scale float32) {
	CausalSoftmaxRows(s, ld, rows, cols, cols, scale)
}

// CausalSoftmaxRows applies [Softmax] in place to the rows of an attention
// score matrix. Row i attends to its first min(cols, first+i) columns; the
// remaining columns up to cols become zero, whatever they held. first is 1 for
// a document's square matrix, and 1 plus the position of the first row where
// the rows are a later part of the document. Strides that are a multiple of 16
// are fastest: a partial vector at a row's end does not delay the next row then.
func CausalSoftmaxRows(s []float32, ld, rows, cols, first int, scale float32) {
	checkCausal("CausalSoftmaxRows", rows, cols, first)
	checkMatrix("CausalSoftmaxRows", "s", rows, cols, s, ld)
	if cols == 0 {
		return
	}
	step := rowsPerCall(cols)
	for i := 0; i < rows; i += step {
		active.row.softmax(s[i*ld:], s[i*ld:], ld, min(step, rows-i), cols, min(cols, first+i), scale)
	}
}

// SoftmaxBackward computes dx = scale * y * (dy - <y,dy>), the gradient of
// y = softmax(scale*x) with respect to x. dx may be dy.
func SoftmaxBackward(dx, y, dy []float32, scale float32) {
	checkLen("SoftmaxBackward", "y", len(y), len(dx))
	checkLen("SoftmaxBackward", "dy", len(dy), len(dx))
	if len(dx) > 0 {
		active.row.softmaxBackward(dx, y, dy, 0, 1, len(dx), len(dx), scale)
	}
}

// CausalSoftmaxBackwardRows applies [SoftmaxBackward] in place to the rows of
// ds, which holds the gradient of the probabilities p and receives that of the
// scores. Both have row stride ld; first and cols are those of
// [CausalSoftmaxRows]. Columns that a row does not attend to become zero.
func CausalSoftmaxBackwardRows(ds, p []float32, ld, rows, cols, first int, scale float32) {
	checkCausal("CausalSoftmaxBackwardRows", rows, cols, first)
	checkMatrix("CausalSoftmaxBackwardRows", "ds", rows, cols, ds, ld)
	checkMatrix("CausalSoftmaxBackwardRows", "p", rows, cols, p, ld)
	if cols == 0 {
		return
	}
	step := rowsPerCall(cols)
	for i := 0; i < rows; i += step {
		active.row.softmaxBackward(ds[i*ld:], p[i*ld:], ds[i*ld:], ld, min(step, rows-i), cols, min(cols, first+i), scale)
	}
}

func checkCausal(op string, rows, cols, first int) {
	if rows > 0 && cols > 0 && first < 1 {
		panic(fmt.Sprintf("kernel: %s: first is %d, want at least 1", op, first))
	}
}
