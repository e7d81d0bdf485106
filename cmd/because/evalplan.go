package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/because-lab/because/internal/stats"
	"github.com/because-lab/because/report"
)

// planEval prints what would be run, and how many samples it takes to tell two rates apart.
func (a *app) planEval(ctx context.Context, names []string, q asking) error {
	high, low, err := drop(q.o.drop)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		t := report.Table{Title: "What would be run", Columns: []report.Column{{Head: "task"}, {Head: "samples", Right: true}, {Head: "epochs", Right: true},
			{Head: "clusters", Right: true}, {Head: "power", Right: true}}, Notes: []string{fmt.Sprintf(
			"power: the chance to see %s against %s with so many clusters on each side, at p < 0.05, if samples of a cluster go together with a correlation of 0.1",
			percent(high), percent(low))}}
		for _, name := range names {
			row, err := q.planRow(ctx, name, high, low)
			if err != nil {
				return err
			}
			t.Rows = append(t.Rows, row)
		}
		if err := q.unused(); err != nil {
			return err
		}
		if err := t.Write(a.out, a.style()); err != nil {
			return err
		}
	}
	return a.printPower(high, low)
}

func (q *asking) planRow(ctx context.Context, name string, high, low float64) (report.Row, error) {
	t, err := q.task(ctx, name)
	if err != nil {
		return report.Row{}, err
	}
	n := t.Dataset.N
	if q.o.limit > 0 {
		n = min(n, q.o.limit)
	}
	clusters := map[string]bool{}
	for i := range n {
		s, err := t.Dataset.At(i)
		if err != nil {
			return report.Row{}, err
		}
		if s.Cluster == "" {
			s.Cluster = s.ID
		}
		clusters[s.Cluster] = true
	}
	size := float64(n*q.o.epochs) / float64(len(clusters))
	power, err := stats.RatePlan{P1: high, P2: low, Alpha: 0.05, ClusterSize: size, ICC: 0.1}.Power(n * q.o.epochs)
	if err != nil {
		return report.Row{}, err
	}
	return report.Row{Cells: []string{t.Name, strconv.Itoa(n), strconv.Itoa(q.o.epochs), strconv.Itoa(len(clusters)), percent(power)}}, nil
}

// printPower prints how many samples it takes.
func (a *app) printPower(high, low float64) error {
	t := report.Table{Title: fmt.Sprintf("Samples to see %s against %s, two-sided p < 0.05", percent(high), percent(low)),
		Columns: []report.Column{{Head: "design", Wrap: true}, {Head: "power 80 %", Right: true}, {Head: "clusters", Right: true}, {Head: "power 90 %", Right: true}, {Head: "clusters", Right: true}},
		Notes:   []string{"paired: the same samples answered by both models or arms; the correlation is that of their outcomes on a sample"}}
	for _, d := range []struct {
		name string
		plan stats.RatePlan
	}{
		{"independent samples, for each side", stats.RatePlan{}},
		{"clusters of 9, correlation 0.1 within, for each side", stats.RatePlan{ClusterSize: 9, ICC: 0.1}},
		{"the same samples on both sides, correlation 0.3", stats.RatePlan{Paired: true, Correlation: 0.3}},
		{"the same, in clusters of 9, correlation 0.1 within", stats.RatePlan{Paired: true, Correlation: 0.3, ClusterSize: 9, ICC: 0.1}},
	} {
		d.plan.P1, d.plan.P2, d.plan.Alpha = high, low, 0.05
		cells := []string{d.name}
		for _, power := range []float64{0.8, 0.9} {
			s, err := d.plan.Size(power)
			if err != nil {
				return usage("eval", "--drop", "two different rates, such as 0.22:0.15", "%w", err)
			}
			cells = append(cells, strconv.Itoa(s.N), strconv.Itoa(s.Clusters))
		}
		t.Rows = append(t.Rows, report.Row{Cells: cells})
	}
	return t.Write(a.out, a.style())
}

// drop reads two rates, "0.22:0.15".
func drop(text string) (high, low float64, err error) {
	first, second, ok := strings.Cut(text, ":")
	if ok {
		if high, err = strconv.ParseFloat(first, 64); err == nil {
			low, err = strconv.ParseFloat(second, 64)
		}
	}
	if !ok || err != nil || !(high >= 0 && high <= 1 && low >= 0 && low <= 1) || high == low {
		return 0, 0, usage("eval", "--drop", "two different rates, such as 0.22:0.15", "%q is not two rates", text)
	}
	return high, low, nil
}
