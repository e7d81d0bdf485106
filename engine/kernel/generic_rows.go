package kernel

import "math"

func rmsNormGeneric(dst, x, w, inv []float32, width int, eps float32) {
	for i := range inv {
		xr, dr := x[i*width:(i+1)*width], dst[i*width:(i+1)*width]
		s := 1 / float32(math.Sqrt(float64(dotGeneric(xr, xr)/float32(width)+eps)))
		for j, v := range xr {
			dr[j] = v * s * w[j]
		}
		inv[i] = s
	}
}

func rmsNormBackwardGeneric(dx, dw, dy, x, w, inv []float32, width int) {
	for i, s := range inv {
		dxr, dyr, xr := dx[i*width:(i+1)*width], dy[i*width:(i+1)*width], x[i*width:(i+1)*width]
		var sum float32
		for j, d := range dyr {
			sum += d * w[j] * xr[j]
		}
		c := sum * s * s * s / float32(width)
		for j, d := range dyr {
			dxr[j] += s*(d*w[j]) - c*xr[j]
			dw[j] += d * (xr[j] * s)
		}
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + exp32(-x)) }

func swiGLUGeneric(dst []float32, ldd int, gate, up []float32, ldg, rows, width int) {
	for i := range rows {
		d, g, u := dst[i*ldd:][:width], gate[i*ldg:][:width], up[i*ldg:][:width]
		for j := range d {
			d[j] = g[j] * sigmoid(g[j]) * u[j]
		}
	}
}

func swiGLUBackwardGeneric(dgate, dup []float32, ldd int, dy []float32, ldy int, gate, up []float32, ldg, rows, width int) {
	for i := range rows {
		dg, du, d := dgate[i*ldd:][:width], dup[i*ldd:][:width], dy[i*ldy:][:width]
		g, u := gate[i*ldg:][:width], up[i*ldg:][:width]
		for j := range d {
			s := sigmoid(g[j])
			silu := g[j] * s
			dg[j], du[j] = d[j]*u[j]*(s+silu*(1-s)), d[j]*silu
		}
	}
}

func ropeGeneric(x []float32, ld, heads int, cos, sin []float32, half int, pos []int32, sign float32) {
	for i, p := range pos {
		c, s := cos[int(p)*half:][:half], sin[int(p)*half:][:half]
		for h := range heads {
			lo := x[i*ld+h*2*half:][:half]
			hi := x[i*ld+h*2*half+half:][:half]
			for j := range lo {
				a, b, t := lo[j], hi[j], s[j]*sign
				lo[j], hi[j] = a*c[j]-b*t, b*c[j]+a*t
			}
		}
	}
}

func softmaxGeneric(dst, src []float32, ld, rows, cols, first int, scale float32) {
	for i := range rows {
		n := min(cols, first+i)
		d, s := dst[i*ld:][:cols], src[i*ld:][:cols]
		clear(d[n:])
		shift := s[0] * scale
		for _, v := range s[:n] {
			shift = max(shift, v*scale)
		}
		var sum float32
		for j, v := range s[:n] {
			e := expFlush(v*scale - shift)
			d[j] = e
			sum += e
		}
		scaleGeneric(d[:n], 1/sum)
	}
}

func softmaxBackwardGeneric(dx, y, dy []float32, ld, rows, cols, first int, scale float32) {
	for i := range rows {
		n := min(cols, first+i)
		clear(dx[i*ld+n : i*ld+cols])
		d, yr, g := dx[i*ld:][:n], y[i*ld:][:n], dy[i*ld:][:n]
		dot := dotGeneric(yr, g)
		for j, v := range yr {
			d[j] = scale * v * (g[j] - dot)
		}
	}
}

func crossEntropyGeneric(dlogits, logits []float32, ld, width int, weights, shifts, sums []float32) {
	for i := range sums {
		d, s := dlogits[i*ld:][:width], logits[i*ld:][:width]
		shifts[i], sums[i] = maxGeneric(s), 0
		for j, v := range s {
			d[j] = expFlush(v - shifts[i])
			sums[i] += d[j]
		}
		scaleGeneric(d, weights[i]/sums[i])
	}
}

func logSumExpGeneric(logits []float32, ld, width int, shifts, sums []float32) {
	for i := range sums {
		s := logits[i*ld:][:width]
		shifts[i], sums[i] = maxGeneric(s), 0
		for _, v := range s {
			sums[i] += expFlush(v - shifts[i])
		}
	}
}

func attendGeneric(out, q, keys []float32, ldk int, values []float32, ldv, heads, size, n int, scale float32, scores []float32) {
	s := scores[:n]
	for h := range heads {
		clear(s)
		for d, x := range q[h*size:][:size] {
			axpyGeneric(s, x, keys[d*ldk:][:n])
		}
		softmaxGeneric(s, s, 0, 1, n, n, scale)
		o := out[h*size:][:size]
		clear(o)
		for j, p := range s {
			axpyGeneric(o, p, values[j*ldv:][:size])
		}
	}
}
