package kernel

import (
	"fmt"
	"math"
)

// CrossEntropy returns log p(target) under softmax(logits) and, unless dlogits
// is nil, stores the gradient of -weight * log p(target) with respect to the
// logits: weight * (p - onehot(target)). dlogits may be logits.
func CrossEntropy(dlogits, logits []float32, target int, weight float32) (logprob float32) {
	if dlogits != nil {
		checkLen("CrossEntropy", "dlogits", len(dlogits), len(logits))
	}
	targets, weights, logprobs := [1]int32{int32(target)}, [1]float32{weight}, [1]float32{}
	CrossEntropyRows(dlogits, logits, len(logits), len(logits), targets[:], weights[:], logprobs[:])
	return logprobs[0]
}

// CrossEntropyRows applies [CrossEntropy] to len(targets) rows of logits with
// row stride ld and width columns, storing each row's log-probability. weights
// may be nil if dlogits is. dlogits has the stride of logits and may be logits;
// nil means log-probabilities only.
func CrossEntropyRows(dlogits, logits []float32, ld, width int, targets []int32, weights, logprobs []float32) {
	rows := len(targets)
	checkMatrix("CrossEntropyRows", "logits", rows, width, logits, ld)
	checkLen("CrossEntropyRows", "logprobs", len(logprobs), rows)
	if dlogits != nil {
		checkMatrix("CrossEntropyRows", "dlogits", rows, width, dlogits, ld)
		checkLen("CrossEntropyRows", "weights", len(weights), rows)
	}
	for i, t := range targets {
		if t < 0 || int(t) >= width {
			panic(fmt.Sprintf("kernel: CrossEntropyRows: target %d of row %d is outside the %d logits", t, i, width))
		}
	}
	step := min(rowsPerCall(width), rows)
	buf := getScratch(2 * step)
	for i := 0; i < rows; i += step {
		n := min(step, rows-i)
		shifts, sums := buf.data[:n], buf.data[step:step+n]
		hits, part := logprobs[i:i+n], targets[i:i+n]
		for r, t := range part { // before the gradient is written over the logits
			hits[r] = logits[(i+r)*ld+int(t)]
		}
		if dlogits == nil {
			active.row.logSumExp(logits[i*ld:], ld, width, shifts, sums)
		} else {
			active.row.crossEntropy(dlogits[i*ld:], logits[i*ld:], ld, width, weights[i:i+n], shifts, sums)
		}
		for r, t := range part {
			hits[r] = float32(float64(hits[r]) - float64(shifts[r]) - math.Log(float64(sums[r])))
			if dlogits != nil {
				dlogits[(i+r)*ld+int(t)] -= weights[i+r]
			}
		}
	}
	buf.put()
}
