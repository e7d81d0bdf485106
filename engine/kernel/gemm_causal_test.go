package kernel

import (
	"fmt"
	"slices"
	"testing"
)

// TestGemmCausal compares the causal products with the full ones on weights
// that are zero above the diagonal.
func TestGemmCausal(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range []struct{ rows, cols, size, first int }{
			{0, 0, 4, 1}, {1, 1, 16, 1}, {5, 5, 0, 1}, {12, 12, 16, 1}, {13, 13, 8, 1}, {60, 60, 16, 1}, {61, 61, 32, 1},
			{24, 100, 16, 77}, {24, 100, 16, 90}, {40, 20, 16, 1}, {7, 50, 33, 3}, {64, 64, 16, 80}, {30, 700, 16, 671}, {600, 600, 20, 1},
		} {
			if s.rows == 0 && s.size == 0 {
				continue
			}
			at := fmt.Sprintf("%+v", s)
			r := source(9)
			q, k, v := filled(r, s.rows*s.size), filled(r, s.cols*s.size), filled(r, s.cols*s.size)
			p := filled(r, s.rows*s.cols)

			want, got := make([]float32, s.rows*s.cols), make([]float32, s.rows*s.cols)
			GemmNT(nil, s.rows, s.cols, s.size, q, s.size, k, s.size, want, s.cols, false)
			GemmNTCausal(s.rows, s.cols, s.size, s.first, q, s.size, k, s.size, got, s.cols)
			for i := range s.rows {
				n := min(s.cols, s.first+i)
				sameBits(t, "NT "+at, got[i*s.cols:i*s.cols+n], want[i*s.cols:i*s.cols+n])
				clear(p[i*s.cols+n : (i+1)*s.cols])
			}
			for _, acc := range []bool{false, true} {
				want := filled(r, s.rows*s.size)
				got := slices.Clone(want)
				GemmNN(nil, s.rows, s.size, s.cols, p, s.cols, v, s.size, want, s.size, acc)
				GemmNNCausal(s.rows, s.size, s.cols, s.first, p, s.cols, v, s.size, got, s.size, acc)
				sameBits(t, "NN "+at, got, want)

				want = filled(r, s.cols*s.size)
				got = slices.Clone(want)
				GemmTN(nil, s.cols, s.size, s.rows, p, s.cols, q, s.size, want, s.size, acc)
				GemmTNCausal(s.cols, s.size, s.rows, s.first, p, s.cols, q, s.size, got, s.size, acc)
				sameBits(t, "TN "+at, got, want)
			}
		}
	})
}
