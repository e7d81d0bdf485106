package kernel

import "fmt"

// rowKernels are the row functions. Their arguments are checked and non-empty;
// slices begin at the first row and reach at least to the end of the last one.
type rowKernels struct {
	// rmsNorm: rows = len(inv); x, dst [rows,width].
	rmsNorm         func(dst, x, w, inv []float32, width int, eps float32)
	rmsNormBackward func(dx, dw, dy, x, w, inv []float32, width int)
	// swiGLU: dst [rows,width] with stride ldd; gate and up with stride ldg.
	swiGLU         func(dst []float32, ldd int, gate, up []float32, ldg, rows, width int)
	swiGLUBackward func(dgate, dup []float32, ldd int, dy []float32, ldy int, gate, up []float32, ldg, rows, width int)
	// rope: rotates heads of 2*half elements; sign is 1 or, for the inverse, -1.
	rope func(x []float32, ld, heads int, cos, sin []float32, half int, pos []int32, sign float32)
	// softmax: row i has min(cols, first+i) valid columns; the others become zero.
	softmax         func(dst, src []float32, ld, rows, cols, first int, scale float32)
	softmaxBackward func(dx, y, dy []float32, ld, rows, cols, first int, scale float32)
	// crossEntropy: rows = len(sums); dlogits = weight*softmax, without the one-hot part.
	crossEntropy func(dlogits, logits []float32, ld, width int, weights, shifts, sums []float32)
	logSumExp    func(logits []float32, ld, width int, shifts, sums []float32)
	// attend: scores has room for n rounded up to a multiple of 16.
	attend func(out, q, keys []float32, ldk int, values []float32, ldv, heads, size, n int, scale float32, scores []float32)
}

// callElements bounds the elements that one call of a row kernel handles.
const callElements = 1 << 13

// rowsPerCall returns how many rows of the given width one call handles.
func rowsPerCall(width int) int { return max(1, callElements/max(1, width)) }

// RMSNorm computes dst = w * x / rms(x) for one row and returns inv = 1/rms,
// where rms = sqrt(mean(x²) + eps) (Zhang and Sennrich, 2019). dst may be x.
func RMSNorm(dst, x, w []float32, eps float32) (inv float32) {
	var one [1]float32
	RMSNormRows(dst, x, w, eps, one[:], len(x))
	return one[0]
}

// RMSNormRows applies [RMSNorm] to the len(inv) rows of x[rows,width] and
// stores each row's 1/rms in inv. w is [width]; dst may be x.
func RMSNormRows(dst, x, w []float32, eps float32, inv []float32, width int) {
	rows := len(inv)
	checkRows("RMSNormRows", "dst", dst, rows, width)
	checkRows("RMSNormRows", "x", x, rows, width)
	checkLen("RMSNormRows", "w", len(w), width)
	if width == 0 {
		clear(inv)
		return
	}
	step := rowsPerCall(width)
	for i := 0; i < rows; i += step {
		n := min(step, rows-i)
		active.row.rmsNorm(dst[i*width:], x[i*width:], w, inv[i:i+n], width, eps)
	}
}

// RMSNormBackward adds to dx and dw the gradient of [RMSNorm] for one row:
//
//	dw += dy*x*inv;  dx += inv*(w*dy) - x * inv³/width * sum(w*dy*x)
//
// x, w and inv are the forward pass's input, weight and result.
func RMSNormBackward(dx, dw, dy, x, w []float32, inv float32) {
	one := [1]float32{inv}
	RMSNormBackwardRows(dx, dw, dy, x, w, one[:], len(x))
}

// RMSNormBackwardRows applies [RMSNormBackward] to len(inv) rows in order.
// dx, dy and x are [rows,width]; dw and w are [width]. Callers who divide the
// rows among tasks give every fixed block of rows a dw of its own and add
// these in order.
func RMSNormBackwardRows(dx, dw, dy, x, w, inv []float32, width int) {
	rows := len(inv)
	checkRows("RMSNormBackwardRows", "dx", dx, rows, width)
	checkRows("RMSNormBackwardRows", "dy", dy, rows, width)
	checkRows("RMSNormBackwardRows", "x", x, rows, width)
	checkLen("RMSNormBackwardRows", "dw", len(dw), width)
	checkLen("RMSNormBackwardRows", "w", len(w), width)
	if width == 0 {
		return
	}
	step := rowsPerCall(width)
	for i := 0; i < rows; i += step {
		n := min(step, rows-i)
		active.row.rmsNormBackward(dx[i*width:], dw, dy[i*width:], x[i*width:], w, inv[i:i+n], width)
	}
}

// checkRows panics unless data holds rows x width elements.
func checkRows(op, name string, data []float32, rows, width int) {
	if width < 0 || len(data) < rows*width {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, needs %d rows of %d", op, name, len(data), rows, width))
	}
}
