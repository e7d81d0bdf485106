package kernel

import "fmt"

// PageTokens is the number of positions that a page of keys and values holds.
const PageTokens = 64

// PagedKeys says where in each page one key/value head is.
type PagedKeys struct {
	Size   int // of the head
	Keys   int // offset of the keys, transposed: [Size,PageTokens]
	Values int // offset of the values: [PageTokens,Size]
}

// AttendPaged computes attention over keys and values that lie in pages of
// [PageTokens] positions: out = softmax(scale * q K^T) V for rows of q with
// stride ldq, into rows of out with stride ldo. Row i attends to positions
// 0..seen+i of a sequence if causal is set (the rows are consecutive tokens) and
// to positions 0..seen otherwise (the rows are heads of one token), seen
// counting from 1. Positions of the last page that are not filled may hold
// anything. scores is scratch space that grows and may be nil; it is returned.
//
// The result of a row depends on its query and what it attends to alone, not on
// the other rows: sums over positions run within each page, and then over the pages.
func AttendPaged(out []float32, ldo int, q []float32, ldq, rows int, at PagedKeys, pages [][]float32, seen int, causal bool, scale float32, scores []float32) []float32 {
	const op = "AttendPaged"
	checkMatrix(op, "out", rows, at.Size, out, ldo)
	checkMatrix(op, "q", rows, at.Size, q, ldq)
	most := seen
	if causal {
		most += rows - 1
	}
	if seen < 1 || most > len(pages)*PageTokens {
		panic(fmt.Sprintf("kernel: %s: %d positions in %d pages of %d", op, most, len(pages), PageTokens))
	}
	for lo := 0; lo < rows; lo += rowBlock {
		n, first := min(rowBlock, rows-lo), seen
		if causal {
			first += lo
		}
		scores = attendBlock(out[lo*ldo:], ldo, q[lo*ldq:], ldq, n, at, pages, first, causal, scale, scores)
	}
	return scores
}

// attendBlock handles a few rows: their scores fit the second-level cache for
// a few thousand positions.
func attendBlock(out []float32, ldo int, q []float32, ldq, rows int, at PagedKeys, pages [][]float32, first int, causal bool, scale float32, scores []float32) []float32 {
	g, total := &active.gemm, first
	if causal {
		total += rows - 1
	}
	used := (total + PageTokens - 1) / PageTokens
	ld := used*PageTokens + 16 // not a power of two, so that rows do not share cache sets
	if cap(scores) < rows*ld {
		scores = alignedSlice(rows * ld)
	}
	scores = scores[:rows*ld]
	for p, page := range pages[:used] {
		keys := page[at.Keys:][:at.Size*PageTokens]
		for j := 0; j < PageTokens && p*PageTokens+j < total; j += g.nr {
			for k0 := 0; k0 < at.Size; k0 += kcRows {
				g.tile(rows, g.nr, min(kcRows, at.Size-k0), q[k0:], ldq, 1, keys[k0*PageTokens+j:], PageTokens, scores[p*PageTokens+j:], ld, k0 > 0)
			}
		}
	}
	if causal {
		CausalSoftmaxRows(scores, ld, rows, total, first, scale)
	} else {
		SoftmaxRows(scores, ld, rows, total, scale)
	}
	for p, page := range pages[:used] {
		values, n := page[at.Values:][:at.Size*PageTokens], min(PageTokens, total-p*PageTokens)
		for j := 0; j < at.Size; j += g.nr {
			g.tile(rows, min(g.nr, at.Size-j), n, scores[p*PageTokens:], ld, 1, values[j:], at.Size, out[j:], ldo, p > 0)
		}
	}
	return scores
}
