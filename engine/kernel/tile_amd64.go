//go:build amd64 && !purego

package kernel

// tileFunc computes blocks of a fixed number of rows of C[.,n] (+)= A B.
type tileFunc = func(blocks, n, k int, a *float32, rs, cs int, b *float32, ldb int, c *float32, ldc int, acc bool)

var tilesAVX512 = [4][13]tileFunc{
	{ // 16 columns, full
		1:  tile1x16AVX512,
		2:  tile2x16AVX512,
		3:  tile3x16AVX512,
		4:  tile4x16AVX512,
		5:  tile5x16AVX512,
		6:  tile6x16AVX512,
		7:  tile7x16AVX512,
		8:  tile8x16AVX512,
		9:  tile9x16AVX512,
		10: tile10x16AVX512,
		11: tile11x16AVX512,
		12: tile12x16AVX512,
	},
	{ // 16 columns, masked
		1:  tile1x16mAVX512,
		2:  tile2x16mAVX512,
		3:  tile3x16mAVX512,
		4:  tile4x16mAVX512,
		5:  tile5x16mAVX512,
		6:  tile6x16mAVX512,
		7:  tile7x16mAVX512,
		8:  tile8x16mAVX512,
		9:  tile9x16mAVX512,
		10: tile10x16mAVX512,
		11: tile11x16mAVX512,
		12: tile12x16mAVX512,
	},
	{ // 32 columns, full
		1:  tile1x32AVX512,
		2:  tile2x32AVX512,
		3:  tile3x32AVX512,
		4:  tile4x32AVX512,
		5:  tile5x32AVX512,
		6:  tile6x32AVX512,
		7:  tile7x32AVX512,
		8:  tile8x32AVX512,
		9:  tile9x32AVX512,
		10: tile10x32AVX512,
		11: tile11x32AVX512,
		12: tile12x32AVX512,
	},
	{ // 32 columns, masked
		1:  tile1x32mAVX512,
		2:  tile2x32mAVX512,
		3:  tile3x32mAVX512,
		4:  tile4x32mAVX512,
		5:  tile5x32mAVX512,
		6:  tile6x32mAVX512,
		7:  tile7x32mAVX512,
		8:  tile8x32mAVX512,
		9:  tile9x32mAVX512,
		10: tile10x32mAVX512,
		11: tile11x32mAVX512,
		12: tile12x32mAVX512,
	},
}

var tilesAVX2 = [2][7]tileFunc{
	{ // 16 columns, full
		1: tile1x16AVX2,
		2: tile2x16AVX2,
		3: tile3x16AVX2,
		4: tile4x16AVX2,
		5: tile5x16AVX2,
		6: tile6x16AVX2,
	},
	{ // 16 columns, masked
		1: tile1x16mAVX2,
		2: tile2x16mAVX2,
		3: tile3x16mAVX2,
		4: tile4x16mAVX2,
		5: tile5x16mAVX2,
		6: tile6x16mAVX2,
	},
}

func tileAVX512(m, n, k int, a []float32, rs, cs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	kind := 0
	if n > 16 {
		kind = 2
	}
	if n != 16 && n != 32 {
		kind++
	}
	tileRows(tilesAVX512[kind][:], m, n, k, a, rs, cs, b, ldb, c, ldc, acc)
}

func tileAVX2(m, n, k int, a []float32, rs, cs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	kind := 0
	if n != 16 {
		kind = 1
	}
	tileRows(tilesAVX2[kind][:], m, n, k, a, rs, cs, b, ldb, c, ldc, acc)
}

// callSteps bounds the blocks times k of one call to about ten microseconds:
// assembly cannot be preempted.
const callSteps = 1 << 12

// tileRows covers m rows with the tallest tile and, for the rest, one or two
// shorter ones: a short tile has too few chains of additions to be fast, so
// two of middle height replace a tall and a very short one.
func tileRows(tiles []tileFunc, m, n, k int, a []float32, rs, cs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	tallest := len(tiles) - 1
	blocks, rest := m/tallest, m%tallest
	if blocks > 0 && rest > 0 && rest <= tallest/3 {
		blocks--
		rest += tallest
	}
	i := 0
	for most := max(1, callSteps/k); blocks > 0; blocks -= min(blocks, most) {
		n0 := min(blocks, most)
		tiles[tallest](n0, n, k, &a[i*rs], rs, cs, &b[0], ldb, &c[i*ldc], ldc, acc)
		i += n0 * tallest
	}
	for i < m {
		h := rest
		if rest > tallest {
			h = (rest + 1) / 2
		}
		tiles[h](1, n, k, &a[i*rs], rs, cs, &b[0], ldb, &c[i*ldc], ldc, acc)
		i, rest = i+h, rest-h
	}
}

func packPanelAVX512(rows, k int, b []float32, ldb int, dst []float32) {
	packTAVX512(rows, k, &b[0], ldb, &dst[0])
}

func packPanelAVX2(rows, k int, b []float32, ldb int, dst []float32) {
	packTAVX2(rows, k, &b[0], ldb, &dst[0])
}
