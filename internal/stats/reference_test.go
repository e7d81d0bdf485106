package stats

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tools/parity/stats.py writes this file with numpy, scipy and statsmodels.
const referencePath = "testdata/reference.json"

type reference struct {
	Means []struct {
		Name                          string
		Level                         float64
		Values                        []float64
		Clusters                      []string
		Mean, SE, DF, Lo, Hi, P, Deff float64
	}
	Rates []struct {
		Name                                  string
		Level                                 float64
		Values                                []float64
		Clusters                              []string
		Rate, SE, DF, Deff, Effective, Lo, Hi float64
	}
	Welch []struct {
		A, B                    int
		Diff, SE, DF, Lo, Hi, P float64
	}
	Newcombe []struct {
		A, B            int
		Diff, Lo, Hi, P float64
	}
	Paired []struct {
		Treated, Control                     []Observation
		Mean, SE, DF, Lo, Hi, P, Correlation float64
		OnlyTreated                          []string `json:"only_treated"`
		OnlyControl                          []string `json:"only_control"`
		McNemar                              *struct {
			Table [4]int
			P     float64
		}
	}
	McNemar []struct {
		First, Second int
		Exact, Mid    float64
	}
	Plans []struct {
		P1, P2, Alpha, Goal, Size, ICC float64
		Correlation                    *float64
		N, Clusters                    int
		At                             map[string]float64
	}
	Passes []struct {
		N, C, K int
		P       float64
	}
	Agreement []struct {
		First, Second, Labels []string
		Counts                [][]int
		Rate, Lo, Hi, Kappa   float64
		KappaSE               float64 `json:"kappa_se"`
		KappaLo               float64 `json:"kappa_lo"`
		KappaHi               float64 `json:"kappa_hi"`
	}
}

func loadReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatalf("%v (python tools/parity/stats.py writes it)", err)
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	for section, n := range map[string]int{
		"means": len(r.Means), "rates": len(r.Rates), "welch": len(r.Welch), "newcombe": len(r.Newcombe), "paired": len(r.Paired),
		"mcnemar": len(r.McNemar), "plans": len(r.Plans), "passes": len(r.Passes), "agreement": len(r.Agreement),
	} {
		if n == 0 {
			t.Fatalf("%s has no section %q", referencePath, section)
		}
	}
	return r
}

// agree compares within a relative error of 1e-9, and 1e-14 absolute for what is 0 but for rounding.
func agree(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)+1e-14) {
		t.Errorf("%s = %.15g, want %.15g", what, got, want)
	}
}

func TestReferenceMeans(t *testing.T) {
	r := loadReference(t)
	var means []ClusterMean
	for _, c := range r.Means {
		m := Clustered(c.Values, c.Clusters, c.Level)
		means = append(means, m)
		agree(t, c.Name+": mean", m.Mean, c.Mean)
		agree(t, c.Name+": SE", m.SE, c.SE)
		agree(t, c.Name+": df", m.DF, c.DF)
		agree(t, c.Name+": lo", m.Lo, c.Lo)
		agree(t, c.Name+": hi", m.Hi, c.Hi)
		agree(t, c.Name+": p", m.P, c.P)
		agree(t, c.Name+": deff", m.Deff, c.Deff)
		if len(m.Warnings) > 0 {
			t.Errorf("%s: warnings %q", c.Name, m.Warnings)
		}
	}
	for _, c := range r.Welch {
		d := WelchClustered(means[c.A], means[c.B])
		agree(t, "Welch difference", d.Diff, c.Diff)
		agree(t, "Welch SE", d.SE, c.SE)
		agree(t, "Welch df", d.DF, c.DF)
		agree(t, "Welch lo", d.Lo, c.Lo)
		agree(t, "Welch hi", d.Hi, c.Hi)
		agree(t, "Welch p", d.P, c.P)
	}
}

func TestReferenceRates(t *testing.T) {
	r := loadReference(t)
	var rates []ClusterRate
	for _, c := range r.Rates {
		m := ClusteredRate(c.Values, c.Clusters, c.Level)
		rates = append(rates, m)
		agree(t, c.Name+": rate", m.Rate, c.Rate)
		agree(t, c.Name+": SE", m.SE, c.SE)
		agree(t, c.Name+": df", m.DF, c.DF)
		agree(t, c.Name+": deff", m.Deff, c.Deff)
		agree(t, c.Name+": effective n", m.EffectiveN, c.Effective)
		agree(t, c.Name+": lo", m.Lo, c.Lo)
		agree(t, c.Name+": hi", m.Hi, c.Hi)
	}
	for _, c := range r.Newcombe {
		d := NewcombeClustered(rates[c.A], rates[c.B])
		agree(t, "difference", d.Diff, c.Diff)
		agree(t, "difference lo", d.Lo, c.Lo)
		agree(t, "difference hi", d.Hi, c.Hi)
		agree(t, "difference p", d.P, c.P)
	}
}

func TestReferencePaired(t *testing.T) {
	r := loadReference(t)
	for _, c := range r.Paired {
		p, err := PairedClustered(c.Treated, c.Control, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, "mean", p.Mean, c.Mean)
		agree(t, "SE", p.SE, c.SE)
		agree(t, "df", p.DF, c.DF)
		agree(t, "lo", p.Lo, c.Lo)
		agree(t, "hi", p.Hi, c.Hi)
		agree(t, "p", p.P, c.P)
		agree(t, "correlation", p.Correlation, c.Correlation)
		if diff := cmp.Diff([][]string{c.OnlyTreated, c.OnlyControl}, [][]string{p.OnlyTreated, p.OnlyControl}); diff != "" {
			t.Errorf("unpaired samples: %s", diff)
		}
		if (p.Binary == nil) != (c.McNemar == nil) {
			t.Fatalf("binary pairs %v, want %v", p.Binary, c.McNemar)
		}
		if c.McNemar != nil {
			if got := [4]int{p.Binary.Both, p.Binary.TreatedOnly, p.Binary.ControlOnly, p.Binary.Neither}; got != c.McNemar.Table {
				t.Errorf("table %v, want %v", got, c.McNemar.Table)
			}
			agree(t, "McNemar", p.Binary.P, c.McNemar.P)
		}
	}
	for _, c := range r.McNemar {
		exact, mid := McNemar(c.First, c.Second)
		agree(t, "exact McNemar", exact, c.Exact)
		agree(t, "mid-p McNemar", mid, c.Mid)
	}
}

func TestReferencePlans(t *testing.T) {
	for _, c := range loadReference(t).Plans {
		plan := RatePlan{P1: c.P1, P2: c.P2, Alpha: c.Alpha, ClusterSize: c.Size, ICC: c.ICC}
		if c.Correlation != nil {
			plan.Paired, plan.Correlation = true, *c.Correlation
		}
		for n, want := range c.At {
			n, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.Power(n)
			if err != nil {
				t.Fatal(err)
			}
			agree(t, "power", got, want)
		}
		s, err := plan.Size(c.Goal)
		if err != nil {
			t.Fatal(err)
		}
		if s.N != c.N || s.Clusters != c.Clusters {
			t.Errorf("%+v: %d samples in %d clusters, want %d in %d", plan, s.N, s.Clusters, c.N, c.Clusters)
		}
	}
}

func TestReferencePassAt(t *testing.T) {
	for _, c := range loadReference(t).Passes {
		agree(t, "pass@k", PassAt(c.N, c.C, c.K), c.P)
	}
}

func TestReferenceAgreement(t *testing.T) {
	for _, c := range loadReference(t).Agreement {
		a := Agree(c.First, c.Second, 0.95)
		if diff := cmp.Diff(c.Labels, a.Labels); diff != "" {
			t.Errorf("labels: %s", diff)
		}
		if diff := cmp.Diff(c.Counts, a.Counts); diff != "" {
			t.Errorf("counts: %s", diff)
		}
		agree(t, "rate", a.Rate, c.Rate)
		agree(t, "lo", a.Lo, c.Lo)
		agree(t, "hi", a.Hi, c.Hi)
		agree(t, "kappa", a.Kappa, c.Kappa)
		agree(t, "kappa SE", a.KappaSE, c.KappaSE)
		agree(t, "kappa lo", a.KappaLo, c.KappaLo)
		agree(t, "kappa hi", a.KappaHi, c.KappaHi)
	}
}
