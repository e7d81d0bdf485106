package stats

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Observation is one value of one sample: a score, 1 or 0 for an event, one of several epochs.
type Observation struct {
	Sample  string // the key by which arms are matched
	Cluster string // what the sample may go together with, such as its scenario; empty: the sample stands for itself
	Value   float64
}

// PairedMean compares two arms, or models, on the same samples. Its ClusterMean is that of treated minus
// control, per matched sample.
type PairedMean struct {
	ClusterMean
	Treated, Control         float64  // means over the matched samples
	Correlation              float64  // of the arms' values over matched samples; NaN where one has no spread
	OnlyTreated, OnlyControl []string // samples that one arm alone has, sorted; they enter no number here
	Binary                   *BinaryPairs
}

// BinaryPairs counts matched samples by which arm had the event. It is for information where samples come in
// clusters: McNemar's p takes samples as independent.
type BinaryPairs struct {
	Both, TreatedOnly, ControlOnly, Neither int
	P, MidP                                 float64 // see McNemar
}

// PairedClustered matches the observations of two arms by sample, averages the epochs of each sample, and
// estimates the mean difference by Clustered, at the level given. Every matched sample weighs the same, however
// many epochs it has. Samples that one arm alone has are named in the result, with a warning.
// Binary is set when each matched sample has one value in each arm and all are 0 or 1.
//
// A sample that failed in one arm has no observation there, and so is named among those of the other arm.
// An error names a value that is not a number, or a sample without a key or in two clusters.
func PairedClustered(treated, control []Observation, level float64) (PairedMean, error) {
	mustLevel(level)
	cluster := make(map[string]string)
	first, err := bySample("treated", treated, cluster)
	if err != nil {
		return PairedMean{}, err
	}
	second, err := bySample("control", control, cluster)
	if err != nil {
		return PairedMean{}, err
	}
	var p PairedMean
	var matched, clusters []string
	var a, b, differences []float64
	for _, sample := range slices.Sorted(maps.Keys(cluster)) {
		switch {
		case second[sample] == nil:
			p.OnlyTreated = append(p.OnlyTreated, sample)
			continue
		case first[sample] == nil:
			p.OnlyControl = append(p.OnlyControl, sample)
			continue
		}
		matched = append(matched, sample)
		clusters = append(clusters, cluster[sample])
		x, y := average(first[sample]), average(second[sample])
		a, b, differences = append(a, x), append(b, y), append(differences, x-y)
	}
	p.ClusterMean = Clustered(differences, clusters, level)
	p.Treated, p.Control, p.Correlation = mean(a), mean(b), correlation(a, b)
	if len(p.OnlyTreated)+len(p.OnlyControl) > 0 {
		p.ClusterMean = p.warn("%d samples of the treated arm and %d of the control have no partner and are left out",
			len(p.OnlyTreated), len(p.OnlyControl))
	}
	p.Binary = binaryPairs(matched, first, second)
	return p, nil
}

// bySample gives each sample's values, sorted, and notes its cluster.
func bySample(arm string, observations []Observation, cluster map[string]string) (map[string][]float64, error) {
	values := make(map[string][]float64)
	for i, o := range observations {
		if o.Sample == "" {
			return nil, fmt.Errorf("pair samples: observation %d of the %s arm has no sample", i+1, arm)
		}
		if math.IsNaN(o.Value) || math.IsInf(o.Value, 0) {
			return nil, fmt.Errorf("pair samples: the value of sample %q of the %s arm is not a number", o.Sample, arm)
		}
		// The prefixes keep a sample that stands for itself apart from a cluster of that name.
		name := "cluster " + o.Cluster
		if o.Cluster == "" {
			name = "sample " + o.Sample
		}
		if other, seen := cluster[o.Sample]; seen && other != name {
			return nil, fmt.Errorf("pair samples: sample %q of the %s arm is in two clusters: %s, %s", o.Sample, arm, other, name)
		}
		cluster[o.Sample] = name
		values[o.Sample] = append(values[o.Sample], o.Value)
	}
	for _, v := range values {
		slices.Sort(v)
	}
	return values, nil
}

// binaryPairs is nil unless there are matched samples with one value of 0 or 1 in each arm.
func binaryPairs(matched []string, first, second map[string][]float64) *BinaryPairs {
	var t BinaryPairs
	for _, sample := range matched {
		x, y := first[sample], second[sample]
		if len(x) != 1 || len(y) != 1 {
			return nil
		}
		switch [2]float64{x[0], y[0]} {
		case [2]float64{1, 1}:
			t.Both++
		case [2]float64{1, 0}:
			t.TreatedOnly++
		case [2]float64{0, 1}:
			t.ControlOnly++
		case [2]float64{0, 0}:
			t.Neither++
		default:
			return nil
		}
	}
	if len(matched) == 0 {
		return nil
	}
	t.P, t.MidP = McNemar(t.TreatedOnly, t.ControlOnly)
	return &t
}

// mean is NaN without values.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return average(values)
}

// correlation is Pearson's, NaN where there is no spread.
func correlation(a, b []float64) float64 {
	ma, mb := mean(a), mean(b)
	var ab, aa, bb float64
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	if aa == 0 || bb == 0 {
		return math.NaN()
	}
	return max(-1, min(1, ab/math.Sqrt(aa)/math.Sqrt(bb)))
}
