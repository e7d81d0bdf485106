package kernel

import "math"

func addGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

func axpyGeneric(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += a * x[i]
	}
}

func scaleGeneric(dst []float32, a float32) {
	for i := range dst {
		dst[i] *= a
	}
}

// dotGeneric keeps four partial sums: additions of one chain wait for each other.
func dotGeneric(x, y []float32) float32 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func sumSquaresGeneric(x []float32) float64 {
	var s0, s1 float64
	for len(x) >= 2 {
		s0 += float64(x[0]) * float64(x[0])
		s1 += float64(x[1]) * float64(x[1])
		x = x[2:]
	}
	if len(x) > 0 {
		s0 += float64(x[0]) * float64(x[0])
	}
	return s0 + s1
}

func sumGeneric(x []float32) (sum float32) {
	for _, v := range x {
		sum += v
	}
	return sum
}

func maxGeneric(x []float32) float32 {
	best := float32(math.Inf(-1))
	for _, v := range x {
		if v > best {
			best = v
		}
	}
	return best
}

// Constants of exp: exp(x) = 2^n * exp(r) with n = round(x/ln 2) and
// |r| <= ln(2)/2, where a minimax polynomial approximates exp(r) with a
// relative error of 4e-9. The assembly uses the same constants.
const (
	expLow  = -87.3 // below, the result would leave the normal numbers
	expHigh = 88.0
	log2E   = 1.44269504088896341
	ln2Hi   = 0.693145751953125 // few enough bits for n*ln2Hi to be exact
	ln2Lo   = 1.42860682030941723212e-6
	round   = 0x1.8p23 // adding it leaves the rounded integer in the low bits
	expC2   = 0.4999999403953552
	expC3   = 0.1666652113199234
	expC4   = 0.04166838899254799
	expC5   = 0.00836874544620514
	expC6   = 0.0013814539415761828
)

// exp32 returns exp(x) for expLow <= x <= expHigh, clamping x to that range.
func exp32(x float32) float32 {
	if x < expLow {
		x = expLow
	}
	if x > expHigh {
		x = expHigh
	}
	t := x*log2E + round
	n := t - round
	r := x - n*ln2Hi - n*ln2Lo
	p := float32(expC6)
	p = p*r + expC5
	p = p*r + expC4
	p = p*r + expC3
	p = p*r + expC2
	p = p*r + 1
	p = p*r + 1
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23)
}

// expFlush is exp32 with results too small for a normal number made zero.
func expFlush(x float32) float32 {
	if x < expLow {
		return 0
	}
	return exp32(x)
}

func adamwGeneric(w, g, m, v []float32, c *adamwConstants) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		d := g[i] * c[adamGradScale]
		m[i] = normal(c[adamBeta1]*m[i] + c[adamOneMinusBeta1]*d)
		v[i] = normal(c[adamBeta2]*v[i] + c[adamOneMinusBeta2]*(d*d))
		den := float32(math.Sqrt(float64(v[i])))*c[adamRootCorrection] + c[adamEps]
		w[i] = w[i]*c[adamKeep] - c[adamStep]*m[i]/den
	}
}

// normal returns x, or zero for a subnormal number: most processors are slow at these.
func normal(x float32) float32 {
	if x < 0x1p-126 && x > -0x1p-126 {
		return 0
	}
	return x
}
