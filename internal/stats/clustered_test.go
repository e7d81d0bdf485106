package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawClusters gives values, with the outcomes 0 and 1 alone where asked for, in two clusters or more.
func drawClusters(t *rapid.T, outcomes bool) (values []float64, clusters []string) {
	for j := range rapid.IntRange(2, 12).Draw(t, "clusters") {
		for range rapid.IntRange(1, 6).Draw(t, "size") {
			v := share(t)
			if outcomes {
				v = math.Round(v)
			}
			values, clusters = append(values, v), append(clusters, fmt.Sprint("c", j))
		}
	}
	return values, clusters
}

// share draws from a grid, as scores are, on which 1 - v is exact.
func share(t *rapid.T) float64 { return float64(rapid.IntRange(0, 1024).Draw(t, "share")) / 1024 }

// alone puts each value in a cluster of its own.
func alone(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return names
}

func shuffled(t *rapid.T, values []float64, clusters []string) ([]float64, []string) {
	order := rapid.Permutation(indices(len(values))).Draw(t, "order")
	v, c := make([]float64, len(values)), make([]string, len(values))
	for i, from := range order {
		v[i], c[i] = values[from], clusters[from]
	}
	return v, c
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func closeTo(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*max(1, math.Abs(a))
}

// sameBits compares the fields of two results as printed, NaN and all.
func sameBits(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

func TestClusteredProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values, clusters := drawClusters(t, false)
		m := Clustered(values, clusters, 0.95)
		if v, c := shuffled(t, values, clusters); !sameBits(Clustered(v, c, 0.95), m) {
			t.Fatalf("another order gives %+v, not %+v", Clustered(v, c, 0.95), m)
		}
		if len(m.Warnings) == 0 && !(m.Lo < m.Mean && m.Mean < m.Hi && m.P >= 0 && m.P <= 1) {
			t.Fatalf("%+v", m)
		}
		if !(m.DF >= 1-1e-9 && m.DF <= float64(m.Clusters-1)+1e-9) {
			t.Fatalf("%v degrees of freedom from %d clusters", m.DF, m.Clusters)
		}
		one, own := MeanT(values, 0.95), Clustered(values, alone(len(values)), 0.95)
		same := closeTo(one.Mean, own.Mean) && closeTo(one.SE, own.SE) && closeTo(float64(one.DF), own.DF) && closeTo(one.P, own.P) &&
			closeTo(one.Lo, own.Lo) && closeTo(one.Hi, own.Hi)
		if !same {
			t.Fatalf("each value in its own cluster: %+v, want %+v", own, one)
		}
	})
}

// Copies of values add nothing: within clusters the interval stays that of the values, while taken as
// independent it narrows.
func TestClusteredCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := make([]float64, rapid.IntRange(3, 20).Draw(t, "values"))
		for i := range values {
			values[i] = 2*share(t) - 1
		}
		copies := rapid.IntRange(2, 5).Draw(t, "copies")
		var many []float64
		var clusters []string
		for i, v := range values {
			for range copies {
				many, clusters = append(many, v), append(clusters, fmt.Sprint(i))
			}
		}
		once, m, naive := MeanT(values, 0.95), Clustered(many, clusters, 0.95), MeanT(many, 0.95)
		if len(once.Warnings) > 0 {
			return
		}
		if !closeTo(m.Lo, once.Lo) || !closeTo(m.Hi, once.Hi) || !closeTo(m.P, once.P) {
			t.Fatalf("%d copies: %+v, want %+v", copies, m, once)
		}
		if !(m.Hi-m.Lo > naive.Hi-naive.Lo && m.Deff > 1) {
			t.Fatalf("%+v is no wider than %+v", m, naive)
		}
	})
}

func TestClusteredRateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values, clusters := drawClusters(t, rapid.Bool().Draw(t, "outcomes"))
		level := rapid.SampledFrom([]float64{0.8, 0.95, 0.99}).Draw(t, "level")
		r := ClusteredRate(values, clusters, level)
		if !(0 <= r.Lo && r.Lo <= r.Rate && r.Rate <= r.Hi && r.Hi <= 1 && r.Hi-r.Lo > 0) {
			t.Fatalf("%+v", r)
		}
		if v, c := shuffled(t, values, clusters); !sameBits(ClusteredRate(v, c, level), r) {
			t.Fatalf("another order gives %+v, not %+v", ClusteredRate(v, c, level), r)
		}
		mirrored := make([]float64, len(values))
		for i, v := range values {
			mirrored[i] = 1 - v
		}
		if o := ClusteredRate(mirrored, clusters, level); !closeTo(o.Lo, 1-r.Hi) || !closeTo(o.Hi, 1-r.Lo) {
			t.Fatalf("%+v does not mirror %+v", o, r)
		}
	})
}

func TestClusteredRateOutcomes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values, clusters := drawClusters(t, true)
		k := 0
		var many []float64
		var twice []string
		for i, v := range values {
			k += int(v)
			many, twice = append(many, v, v), append(twice, clusters[i], clusters[i])
		}
		lo, hi := Wilson(k, len(values), 0.95)
		own := ClusteredRate(values, alone(len(values)), 0.95)
		if !closeTo(own.Lo, lo) || !closeTo(own.Hi, hi) || !closeTo(own.Deff, 1) || len(own.Warnings) > 0 {
			t.Fatalf("each outcome in its own cluster: %+v, want [%v, %v]", own, lo, hi)
		}
		// Clusters never narrow an interval, and copies within them narrow it less than as many trials would.
		r := ClusteredRate(values, clusters, 0.95)
		if !(r.Hi-r.Lo >= hi-lo-1e-12 && r.Deff >= 1-1e-12 && r.EffectiveN <= float64(r.N)+1e-9) {
			t.Fatalf("%+v is narrower than [%v, %v]", r, lo, hi)
		}
		copies := ClusteredRate(many, twice, 0.95)
		if lo, hi := Wilson(2*k, len(many), 0.95); !(copies.Hi-copies.Lo > hi-lo) {
			t.Fatalf("copies: %+v is no wider than [%v, %v]", copies, lo, hi)
		}
	})
}

func TestClusteredDegenerate(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name     string
		values   []float64
		clusters []string
		mean     float64
		warning  string
	}{
		{"none", nil, nil, nan, "no values"},
		{"one cluster", []float64{0, 1, 1}, []string{"a", "a", "a"}, 2. / 3, "one cluster of 3"},
		{"not a number", []float64{0, nan}, []string{"a", "b"}, nan, "value 2 of 2"},
		{"equal", []float64{0.3, 0.1 + 0.2, 0.3}, []string{"a", "b", "b"}, 0.3, "all 3 values equal 0.3"},
		{"equal clusters", []float64{0, 1, 1, 0}, []string{"a", "a", "b", "b"}, 0.5, "all 2 clusters have the mean 0.5"},
	} {
		m := Clustered(c.values, c.clusters, 0.95)
		near(t, c.name+": mean", m.Mean, c.mean, 1e-15)
		if !math.IsNaN(m.Lo) || !math.IsNaN(m.Hi) || !math.IsNaN(m.P) {
			t.Errorf("%s: %+v", c.name, m)
		}
		if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], c.warning) {
			t.Errorf("%s: warnings %q, want %q", c.name, m.Warnings, c.warning)
		}
		other := Clustered([]float64{1, 2, 3}, alone(3), 0.95)
		if d := WelchClustered(m, other); !math.IsNaN(d.P) || len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], "first group: ") {
			t.Errorf("%s: difference %+v", c.name, d)
		}
	}
}

func TestClusteredRateDegenerate(t *testing.T) {
	for _, c := range []struct {
		name     string
		values   []float64
		clusters []string
		warning  string
	}{
		{"none", nil, nil, "no values"},
		{"one cluster", []float64{0, 1}, []string{"a", "a"}, "one cluster of 2"},
		{"one value", []float64{1}, []string{"a"}, "one cluster of 1"},
		{"no share", []float64{0, 1.5}, []string{"a", "b"}, "value 2 of 2 is 1.5"},
		{"infinite", []float64{math.Inf(1), 1}, []string{"a", "b"}, "value 1 of 2 is not a number"},
	} {
		r := ClusteredRate(c.values, c.clusters, 0.95)
		if !math.IsNaN(r.Lo) || !math.IsNaN(r.Hi) || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], c.warning) {
			t.Errorf("%s: %+v, want %q", c.name, r, c.warning)
		}
		d := NewcombeClustered(ClusteredRate([]float64{0, 1}, alone(2), 0.95), r)
		if !math.IsNaN(d.Lo) || !math.IsNaN(d.P) || len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], "second group: ") {
			t.Errorf("%s: difference %+v", c.name, d)
		}
	}
	// Without an event, five clusters of four are five trials.
	r := ClusteredRate(make([]float64, 20), slices.Repeat([]string{"a", "b", "c", "d", "e"}, 4), 0.95)
	_, hi := Wilson(0, 5, 0.95)
	near(t, "hi", r.Hi, hi, 1e-12)
	near(t, "effective n", r.EffectiveN, 5, 1e-12)
	if r.Lo != 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "each of the 5 clusters counts as one trial") {
		t.Errorf("%+v", r)
	}
	if d := NewcombeClustered(r, r); d.P != 1 || !(d.Lo < 0 && d.Hi > 0) {
		t.Errorf("difference of nothing: %+v", d)
	}
}

func TestDifferenceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v1, c1 := drawClusters(t, true)
		v2, c2 := drawClusters(t, true)
		a, b := ClusteredRate(v1, c1, 0.95), ClusteredRate(v2, c2, 0.95)
		d, r := NewcombeClustered(a, b), NewcombeClustered(b, a)
		if !(-1 <= d.Lo && d.Lo <= d.Diff && d.Diff <= d.Hi && d.Hi <= 1 && d.Lo < d.Hi && d.P >= 0 && d.P <= 1) {
			t.Fatalf("%+v", d)
		}
		if !closeTo(d.Lo, -r.Hi) || !closeTo(d.Hi, -r.Lo) || !closeTo(d.P, r.P) {
			t.Fatalf("%+v does not mirror %+v", r, d)
		}
		w, x := WelchClustered(Clustered(v1, c1, 0.95), Clustered(v2, c2, 0.95)), WelchClustered(Clustered(v2, c2, 0.95), Clustered(v1, c1, 0.95))
		if !closeTo(w.Diff, -x.Diff) || !closeTo(w.Lo, -x.Hi) || !closeTo(w.P, x.P) {
			t.Fatalf("%+v does not mirror %+v", x, w)
		}
		// With outcomes in their own clusters it is Newcombe's interval.
		k1, k2 := int(math.Round(a.Rate*float64(a.N))), int(math.Round(b.Rate*float64(b.N)))
		own := NewcombeClustered(ClusteredRate(v1, alone(len(v1)), 0.95), ClusteredRate(v2, alone(len(v2)), 0.95))
		if _, lo, hi := Newcombe(k1, len(v1), k2, len(v2), 0.95); !closeTo(own.Lo, lo) || !closeTo(own.Hi, hi) {
			t.Fatalf("own clusters: %+v, want [%v, %v]", own, lo, hi)
		}
	})
}
