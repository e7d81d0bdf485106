package optim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomSlice(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestAdamW compares with the update written out in float64.
func TestAdamW(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, rate, b1, b2, eps, decay = 1003, 3e-3, 0.8, 0.99, 1e-6, 0.1
	params := randomSlice(r, n)
	opt, err := New(params, Options{Beta1: b1, Beta2: b2, Eps: eps, WeightDecay: decay})
	if err != nil {
		t.Fatal(err)
	}
	w, m, v := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, x := range params {
		w[i] = float64(x)
	}
	for step := 1; step <= 5; step++ {
		g := randomSlice(r, n)
		norm, scale := ClipScale(g, 2)
		exact := 0.0
		for _, x := range g {
			exact += float64(x) * float64(x)
		}
		if math.Abs(norm-math.Sqrt(exact)) > 1e-9*norm || math.Abs(scale*norm-2) > 1e-12 {
			t.Fatalf("norm %v, scale %v; want norm %v and scale to 2", norm, scale, math.Sqrt(exact))
		}
		opt.Step(g, rate, scale)
		for i, x := range g {
			d := float64(x) * scale
			m[i] = b1*m[i] + (1-b1)*d
			v[i] = b2*v[i] + (1-b2)*d*d
			mHat, vHat := m[i]/(1-math.Pow(b1, float64(step))), v[i]/(1-math.Pow(b2, float64(step)))
			w[i] -= rate*decay*w[i] + rate*mHat/(math.Sqrt(vHat)+eps)
		}
	}
	for i := range w {
		if math.Abs(float64(params[i])-w[i]) > 2e-6*(1+math.Abs(w[i])) {
			t.Fatalf("parameter %d is %v, want %v", i, params[i], w[i])
		}
	}
}

func TestClipScaleLeavesSmallGradients(t *testing.T) {
	g := []float32{3, 4}
	for _, limit := range []float64{0, 5, 6} {
		if norm, scale := ClipScale(g, limit); norm != 5 || scale != 1 {
			t.Errorf("limit %v: norm %v, scale %v; want 5 and 1", limit, norm, scale)
		}
	}
}

// TestRestore interrupts a run and continues it with a new optimiser.
func TestRestore(t *testing.T) {
	grads := func(step int) []float32 { return randomSlice(rand.New(rand.NewPCG(5, uint64(step))), 100) }
	start := randomSlice(rand.New(rand.NewPCG(3, 4)), 100)
	whole := slices.Clone(start)
	a, err := New(whole, Options{WeightDecay: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Clone(start)
	b, err := New(first, Options{WeightDecay: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	for step := range 6 {
		a.Step(grads(step), 1e-2, 1)
		if step < 3 {
			b.Step(grads(step), 1e-2, 1)
		}
	}
	second := slices.Clone(first)
	c, err := New(second, Options{WeightDecay: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Restore(b.State()); err != nil {
		t.Fatal(err)
	}
	for step := 3; step < 6; step++ {
		c.Step(grads(step), 1e-2, 1)
	}
	if !slices.Equal(whole, second) {
		t.Error("a continued run ends with other bits than an uninterrupted one")
	}
	if err := c.Restore(State{M: make([]float32, 3), V: make([]float32, 3)}); err == nil {
		t.Error("a state of another size was accepted")
	}
}

func TestSchedule(t *testing.T) {
	for _, tc := range []struct {
		s    Schedule
		want map[int]float64
	}{
		{Schedule{Peak: 1, Floor: 0.1, Warmup: 4, Steps: 15}, map[int]float64{0: 0.25, 3: 1, 4: 1, 9: 0.55, 14: 0.1, 99: 0.1}},
		{Schedule{Peak: 2, Steps: 5, Shape: Linear}, map[int]float64{0: 2, 1: 1.5, 2: 1, 4: 0}},
		{Schedule{Peak: 2, Warmup: 2, Steps: 5, Shape: Constant}, map[int]float64{0: 1, 1: 2, 4: 2}},
		{Schedule{Peak: 1, Floor: 0.5, Warmup: 3, Steps: 3}, map[int]float64{0: 1.0 / 3, 2: 1}},
		{Schedule{Peak: 1, Steps: 1}, map[int]float64{0: 1}},
	} {
		if err := tc.s.Validate(); err != nil {
			t.Error(err)
		}
		for step, want := range tc.want {
			if got := tc.s.Rate(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%+v: rate of step %d is %v, want %v", tc.s, step, got, want)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for _, s := range []Schedule{
		{Steps: 5}, {Peak: math.NaN(), Steps: 5}, {Peak: 1}, {Peak: 1, Steps: 5, Warmup: 6}, {Peak: 1, Steps: 5, Floor: 2}, {Peak: 1, Steps: 5, Shape: "step"},
	} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	for _, o := range []Options{{Beta1: 1}, {Beta2: -0.1}, {Eps: 2}, {WeightDecay: -1}, {WeightDecay: math.NaN()}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
