//go:build amd64 && !purego

package kernel

// bf16TileFunc computes blocks of a fixed number of rows of C (+)= A B for a panel of B.
type bf16TileFunc = func(blocks, k int, a *float32, rs int, b *uint16, c *float32, ldc int, acc bool)

var bf16TilesAVX512 = [13]bf16TileFunc{
	1:  bf16Tile1AVX512,
	2:  bf16Tile2AVX512,
	3:  bf16Tile3AVX512,
	4:  bf16Tile4AVX512,
	5:  bf16Tile5AVX512,
	6:  bf16Tile6AVX512,
	7:  bf16Tile7AVX512,
	8:  bf16Tile8AVX512,
	9:  bf16Tile9AVX512,
	10: bf16Tile10AVX512,
	11: bf16Tile11AVX512,
	12: bf16Tile12AVX512,
}

var bf16TilesAVX2 = [7]bf16TileFunc{
	1: bf16Tile1AVX2,
	2: bf16Tile2AVX2,
	3: bf16Tile3AVX2,
	4: bf16Tile4AVX2,
	5: bf16Tile5AVX2,
	6: bf16Tile6AVX2,
}

func tileBF16AVX512(m, k int, a []float32, rs int, b []uint16, c []float32, ldc int, acc bool) {
	bf16TileRows(bf16TilesAVX512[:], m, k, a, rs, b, c, ldc, acc)
}

func tileBF16AVX2(m, k int, a []float32, rs int, b []uint16, c []float32, ldc int, acc bool) {
	bf16TileRows(bf16TilesAVX2[:], m, k, a, rs, b, c, ldc, acc)
}

// bf16TileRows is [tileRows] for panels of bfloat16.
func bf16TileRows(tiles []bf16TileFunc, m, k int, a []float32, rs int, b []uint16, c []float32, ldc int, acc bool) {
	tallest := len(tiles) - 1
	blocks, rest := m/tallest, m%tallest
	if blocks > 0 && rest > 0 && rest <= tallest/3 {
		blocks--
		rest += tallest
	}
	i := 0
	for most := max(1, callSteps/k); blocks > 0; blocks -= min(blocks, most) {
		n := min(blocks, most)
		tiles[tallest](n, k, &a[i*rs], rs, &b[0], &c[i*ldc], ldc, acc)
		i += n * tallest
	}
	for i < m {
		h := rest
		if rest > tallest {
			h = (rest + 1) / 2
		}
		tiles[h](1, k, &a[i*rs], rs, &b[0], &c[i*ldc], ldc, acc)
		i, rest = i+h, rest-h
	}
}
