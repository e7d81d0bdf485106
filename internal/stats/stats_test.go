package stats

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The expected numbers of this file come from scipy 1.x and statsmodels 0.14 (proportion_confint,
// confint_proportions_2indep(method="newcomb"), ttest_1samp, ttost_paired, multipletests).

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.12g, want %.12g", what, got, want)
	}
}

func TestWilsonKnown(t *testing.T) {
	for _, c := range []struct {
		k, n          int
		level, lo, hi float64
	}{
		{0, 10, 0.95, 0.000000000000, 0.277532799863},
		{10, 10, 0.95, 0.722467200137, 1.000000000000},
		{1, 10, 0.95, 0.017876213095, 0.404150026795},
		{15, 148, 0.95, 0.062386399531, 0.160487241723},
		{81, 263, 0.95, 0.255288519878, 0.366209576983},
		{450, 900, 0.99, 0.457226886088, 0.542773113912},
		{7, 900, 0.95, 0.003772571891, 0.015967017001},
		{0, 0, 0.95, 0, 1},
	} {
		lo, hi := Wilson(c.k, c.n, c.level)
		near(t, "Wilson lo", lo, c.lo, 1e-11)
		near(t, "Wilson hi", hi, c.hi, 1e-11)
	}
}

func TestNewcombeKnown(t *testing.T) {
	for _, c := range []struct {
		k1, n1, k2, n2 int
		diff, lo, hi   float64
	}{
		{56, 70, 48, 80, 0.2, 0.052431472402, 0.333872654037},
		{9, 10, 3, 10, 0.6, 0.170522723935, 0.809017973535},
		{5, 56, 0, 29, 5. / 56, -0.038137147904, 0.192560013855},
		{0, 10, 0, 20, 0, -0.161125158053, 0.277532799863},
		{10, 10, 0, 20, 1, 0.679086037142, 1},
		{450, 900, 380, 900, 70. / 900, 0.031724866471, 0.123366062018},
		{0, 0, 3, 10, math.NaN(), -1, 1},
	} {
		diff, lo, hi := Newcombe(c.k1, c.n1, c.k2, c.n2, 0.95)
		near(t, "difference", diff, c.diff, 1e-12)
		near(t, "lo", lo, c.lo, 1e-11)
		near(t, "hi", hi, c.hi, 1e-11)
	}
}

func TestQuantiles(t *testing.T) {
	near(t, "z", NormalQuantile(0.975), 1.959963984540, 1e-11)
	for _, c := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.706204736175}, {0.975, 2, 4.302652729749}, {0.975, 4, 2.776445105198},
		{0.995, 9, 3.249835541592}, {0.9, 30, 1.310415025391},
	} {
		near(t, "t", TQuantile(c.p, c.df), c.want, 1e-8)
	}
}

func TestMeanTKnown(t *testing.T) {
	for _, c := range []struct {
		values            []float64
		mean, sd, lo, hi  float64
		p, tost05, tost50 float64
	}{
		{[]float64{-.25, -.31, -.19, -.28, -.22}, -0.25, 0.047434164903, -0.308897294844, -0.191102705156,
			0.00029665555061324, 0.99964719352873, 0.00014832777530662},
		{[]float64{.01, -.02, .03, .005}, 0.00625, 0.020564937799, -0.026473405158, 0.038973405158,
			0.58622511935502, 0.011899729029091, 9.9433790387938e-06},
		{[]float64{1.2, .4}, 0.8, 0.565685424949, -4.282481894470, 5.882481894470,
			0.29516723530087, 0.84404173924526, 0.70483276469913},
		{[]float64{.1, .2, .3, .4, .5, .6, .7, .8}, 0.45, 0.244948974278, 0.245217532772, 0.654782467228,
			0.0012583202339363, 0.99878521174262, 0.29089411729587},
	} {
		m := MeanT(c.values, 0.95)
		near(t, "mean", m.Mean, c.mean, 1e-12)
		near(t, "sd", m.SD, c.sd, 1e-11)
		near(t, "lo", m.Lo, c.lo, 1e-8)
		near(t, "hi", m.Hi, c.hi, 1e-8)
		near(t, "p", m.P, c.p, 1e-9)
		near(t, "TOST at .05", TOST(m, 0.05), c.tost05, 1e-9)
		near(t, "TOST at .5", TOST(m, 0.5), c.tost50, 1e-9)
		if m.N != len(c.values) || m.DF != len(c.values)-1 || len(m.Warnings) != 0 {
			t.Errorf("N %d, DF %d, warnings %q", m.N, m.DF, m.Warnings)
		}
	}
	m := MeanT([]float64{-.25, -.31, -.19, -.28, -.22}, 0.99)
	near(t, "99 % lo", m.Lo, -0.347667601143, 1e-8)
	near(t, "99 % hi", m.Hi, -0.152332398857, 1e-8)
}

func TestMeanTDegenerate(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name    string
		values  []float64
		mean    float64
		warning string
	}{
		{"none", nil, nan, "no values"},
		{"one", []float64{-0.2}, -0.2, "one value"},
		{"equal", []float64{0.1, 0.1, 0.1}, 0.1, "all 3 values equal 0.1"},
		{"equal but for rounding", []float64{0.3, 0.1 + 0.2, 0.3}, 0.3, "all 3 values equal 0.3"},
		{"zeros", []float64{0, 0, 0, 0}, 0, "all 4 values equal 0"},
		{"not a number", []float64{0.1, nan}, nan, "value 2 of 2"},
		{"infinite", []float64{math.Inf(-1), 0.1}, nan, "value 1 of 2"},
	} {
		m := MeanT(c.values, 0.95)
		near(t, c.name+": mean", m.Mean, c.mean, 1e-15)
		for what, v := range map[string]float64{"lo": m.Lo, "hi": m.Hi, "p": m.P, "TOST": TOST(m, 0.1)} {
			if !math.IsNaN(v) {
				t.Errorf("%s: %s = %v, want NaN", c.name, what, v)
			}
		}
		if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], c.warning) {
			t.Errorf("%s: warnings %q, want %q", c.name, m.Warnings, c.warning)
		}
	}
}

func TestPaired(t *testing.T) {
	m, err := Paired([]float64{.2, .1, .3}, []float64{.5, .5, .5}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", m.Mean, -0.3, 1e-12)
	near(t, "sd", m.SD, 0.1, 1e-12)
	if _, err := Paired([]float64{1}, nil, 0.95); err == nil || !strings.Contains(err.Error(), "1 treated values and 0") {
		t.Errorf("error %v", err)
	}
}

func TestHolmKnown(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct{ ps, want []float64 }{
		{[]float64{.01, .04, .03, .005}, []float64{.03, .06, .06, .02}},
		{[]float64{.01, .02, .02, .5, .9, .0001}, []float64{.05, .08, .08, 1, 1, .0006}},
		{[]float64{nan, .04, nan, .01}, []float64{nan, .04, nan, .02}},
		{[]float64{nan}, []float64{nan}},
		{nil, nil},
	} {
		for i, got := range Holm(c.ps) {
			near(t, "adjusted p", got, c.want[i], 1e-12)
		}
	}
}

func TestWilsonProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		lo, hi := Wilson(k, n, 0.95)
		p := float64(k) / float64(n)
		if !(0 <= lo && lo <= p && p <= hi && hi <= 1 && lo < hi) {
			t.Fatalf("%d of %d: [%v, %v]", k, n, lo, hi)
		}
		mlo, mhi := Wilson(n-k, n, 0.95) // counting the other event mirrors the interval
		if math.Abs(mlo-(1-hi)) > 1e-12 || math.Abs(mhi-(1-lo)) > 1e-12 {
			t.Fatalf("%d of %d: [%v, %v] against [%v, %v]", k, n, lo, hi, mlo, mhi)
		}
		wlo, whi := Wilson(k, n, 0.99)
		if wlo > lo || whi < hi {
			t.Fatalf("99 %% is narrower than 95 %%")
		}
	})
}

func TestNewcombeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n1, n2 := rapid.IntRange(1, 2000).Draw(t, "n1"), rapid.IntRange(1, 2000).Draw(t, "n2")
		k1, k2 := rapid.IntRange(0, n1).Draw(t, "k1"), rapid.IntRange(0, n2).Draw(t, "k2")
		d, lo, hi := Newcombe(k1, n1, k2, n2, 0.95)
		r, rlo, rhi := Newcombe(k2, n2, k1, n1, 0.95)
		if !(-1 <= lo && lo <= d && d <= hi && hi <= 1) {
			t.Fatalf("%v [%v, %v]", d, lo, hi)
		}
		if math.Abs(r+d) > 1e-12 || math.Abs(rlo+hi) > 1e-12 || math.Abs(rhi+lo) > 1e-12 {
			t.Fatalf("swapping the groups does not mirror: %v [%v, %v], %v [%v, %v]", d, lo, hi, r, rlo, rhi)
		}
	})
}

func TestMeanTProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1, 1), 2, 12).Draw(t, "values")
		m := MeanT(values, 0.95)
		if len(m.Warnings) > 0 {
			return
		}
		// The interval and the test agree, and TOST agrees with the interval.
		if excludes := m.Lo > 0 || m.Hi < 0; excludes != (m.P < 0.05) && math.Abs(m.P-0.05) > 1e-9 {
			t.Fatalf("[%v, %v] with p %v", m.Lo, m.Hi, m.P)
		}
		margin := rapid.Float64Range(0.01, 2).Draw(t, "margin")
		p := TOST(m, margin)
		if inside := m.Lo > -margin && m.Hi < margin; inside != (p < 0.025) && math.Abs(p-0.025) > 1e-9 {
			t.Fatalf("[%v, %v] inside ±%v: %v, TOST %v", m.Lo, m.Hi, margin, inside, p)
		}
		mirrored := make([]float64, len(values))
		for i, v := range values {
			mirrored[i] = -v
		}
		o := MeanT(mirrored, 0.95)
		if math.Abs(o.Mean+m.Mean) > 1e-12 || math.Abs(o.P-m.P) > 1e-9 || math.Abs(o.Lo+m.Hi) > 1e-9*(1+math.Abs(m.Hi)) {
			t.Fatalf("%+v does not mirror %+v", o, m)
		}
	})
}

func TestHolmProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 12).Draw(t, "ps")
		adjusted := Holm(ps)
		for i := range ps {
			if adjusted[i] < ps[i] || adjusted[i] > min(1, float64(len(ps))*ps[i]) {
				t.Fatalf("%v adjusted to %v among %d", ps[i], adjusted[i], len(ps))
			}
			for j := range ps {
				if ps[i] < ps[j] && adjusted[i] > adjusted[j] {
					t.Fatalf("order of %v and %v is lost", ps[i], ps[j])
				}
			}
		}
		// Another test that is not run changes nothing.
		again := Holm(append(slices.Clone(ps), math.NaN()))
		if !slices.Equal(adjusted, again[:len(ps)]) {
			t.Fatalf("%v with an untested one: %v", adjusted, again)
		}
	})
}

func TestImpossibleArgumentsPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"k > n":          func() { Wilson(3, 2, 0.95) },
		"negative k":     func() { Wilson(-1, 2, 0.95) },
		"level 1":        func() { Wilson(1, 2, 1) },
		"p > 1":          func() { Holm([]float64{1.5}) },
		"margin 0":       func() { Equivalence(Estimate{}, 0) },
		"sesoi NaN":      func() { Superiority(Estimate{}, Lower, math.NaN()) },
		"no direction":   func() { Superiority(Estimate{Seeds: 3}, "", 0.1) },
		"level of MeanT": func() { MeanT([]float64{1, 2}, 95) },
		"no cluster":     func() { Clustered([]float64{1, 2}, []string{"a"}, 0.95) },
		"no cluster of":  func() { ClusteredRate([]float64{1, 0}, nil, 0.95) },
		"two levels": func() {
			WelchClustered(Clustered([]float64{1, 2}, alone(2), 0.9), Clustered([]float64{1, 2}, alone(2), 0.95))
		},
		"pass@0":         func() { PassAt(3, 1, 0) },
		"c > n":          func() { PassAt(3, 4, 1) },
		"negative pairs": func() { McNemar(-1, 2) },
		"lengths differ": func() { Agree([]string{"a"}, nil, 0.95) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
