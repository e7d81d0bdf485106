package kernel

import "math"

// tileBF16Generic widens the panel, which the tile then reads for every pair of rows.
func tileBF16Generic(m, k int, a []float32, rs int, b []uint16, c []float32, ldc int, acc bool) {
	buf := getScratch(k * nrGeneric)
	widenPanel(buf.data, b, nrGeneric)
	tileGeneric(m, nrGeneric, k, a, rs, 1, buf.data, nrGeneric, c, ldc, acc)
	buf.put()
}

// widenPanel converts a panel of bfloat16 with rows of nr columns to float32.
func widenPanel(dst []float32, panel []uint16, nr int) {
	half := nr / 2
	for at := 0; at+nr <= len(dst); at += nr {
		in, lo, hi := panel[at:at+nr], dst[at:at+half], dst[at+half:at+nr]
		for j := range lo {
			lo[j] = math.Float32frombits(uint32(in[2*j]) << 16)
			hi[j] = math.Float32frombits(uint32(in[2*j+1]) << 16)
		}
	}
}
