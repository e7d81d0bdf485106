package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// eachKernel runs a test once for every implementation. The ones that this
// machine's processor supports must be there: nothing is skipped.
func eachKernel(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	before := Name()
	t.Cleanup(func() { mustUse(t, before) })
	for _, name := range expected() {
		mustUse(t, name)
		t.Run(name, test)
	}
}

func mustUse(t testing.TB, name string) {
	t.Helper()
	if err := Use(name); err != nil {
		t.Fatal(err)
	}
}

// filled returns n reproducible values, normally distributed.
func filled(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// lengths are those of the row functions' tests: empty, around the vector
// widths, primes, and longer than one call's block.
var lengths = []int{0, 1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 79, 96, 100, 127, 128, 129, 191, 257, 344, 600, 1021, 1024, vectorBlock + 3}

// near fails unless got is within tol of want, relative to scale.
func near(t *testing.T, what string, got float32, want, scale, tol float64) {
	t.Helper()
	if d := math.Abs(float64(got) - want); !(d <= tol*math.Max(scale, 1e-30)) {
		t.Fatalf("%s = %g, want %g (off by %.2g of %g)", what, got, want, d/scale, scale)
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g, want exactly %g", what, i, got[i], want[i])
		}
	}
}

func TestExpectedImplementationsAreAvailable(t *testing.T) {
	if !slices.Equal(Available(), expected()) {
		t.Errorf("Available() = %v, but this machine supports %v", Available(), expected())
	}
}

func TestUseRejectsUnknownName(t *testing.T) {
	before := Name()
	err := Use("sse9")
	if err == nil || !strings.Contains(err.Error(), "sse9") || !strings.Contains(err.Error(), "generic") {
		t.Errorf("Use(sse9) = %v, want an error that names it and what there is", err)
	}
	if Name() != before {
		t.Errorf("a failed Use changed the implementation from %s to %s", before, Name())
	}
}

// TestEnvironmentChoosesKernel runs this test binary again, with the variable set.
func TestEnvironmentChoosesKernel(t *testing.T) {
	const child = "KERNEL_TEST_PRINT_NAME"
	if os.Getenv(child) != "" {
		fmt.Printf("name=%s\n", Name())
		return
	}
	best := expected()[len(expected())-1]
	for env, want := range map[string]string{"generic": "generic", best: best, "": best, "sse9": best} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironmentChoosesKernel$")
		cmd.Env = append(os.Environ(), child+"=1", EnvKernel+"="+env)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "name="+want+"\n") {
			t.Errorf("%s=%q: got %q (%v), want %s", EnvKernel, env, out, err, want)
		}
		if complained := strings.Contains(stderr.String(), EnvKernel); complained != (env == "sse9") {
			t.Errorf("%s=%q: standard error %q", EnvKernel, env, stderr.String())
		}
	}
}

// TestAssemblyTwinsAgree checks the promise that the assembly implementations
// give the same bits, on products and every row function.
func TestAssemblyTwinsAgree(t *testing.T) {
	names := slices.DeleteFunc(expected(), func(n string) bool { return n == "generic" })
	if len(names) < 2 {
		t.Skipf("this machine has %v: nothing to compare", names)
	}
	before := Name()
	defer mustUse(t, before)
	var first [][]float32
	for _, name := range names {
		mustUse(t, name)
		got := everything()
		if first == nil {
			first = got
			continue
		}
		for i := range got {
			sameBits(t, fmt.Sprintf("%s against %s, result %d", name, names[0], i), got[i], first[i])
		}
	}
}

// everything calls each function on the same inputs and collects the results.
func everything() (out [][]float32) {
	r := source(5)
	keep := func(x ...[]float32) { out = append(out, x...) }
	for _, n := range []int{1, 7, 16, 23, 64, 100, 257, 1000} {
		x, y, w := filled(r, 3*n), filled(r, 3*n), filled(r, n)
		fresh := func() []float32 { return slices.Clone(y) }

		a, b := fresh(), fresh()
		Add(a, x)
		Axpy(b, 0.3, x)
		keep(a, b, []float32{Dot(x, y), Max(x), float32(SumSquares(x))})

		sm := fresh()
		CausalSoftmaxRows(sm, n, 3, n, 1+n/2, 0.7)
		ds := slices.Clone(x)
		CausalSoftmaxBackwardRows(ds, sm, n, 3, n, 1+n/2, 0.7)
		keep(sm, ds)

		d, inv, dw := make([]float32, 3*n), make([]float32, 3), make([]float32, n)
		RMSNormRows(d, x, w, 1e-5, inv, n)
		dx := fresh()
		RMSNormBackwardRows(dx, dw, y, x, w, inv, n)
		keep(d, inv, dw, dx)

		s, dg, du := fresh(), fresh(), fresh()
		SwiGLU(s, x, y)
		SwiGLUBackward(dg, du, x, y, s)
		keep(s, dg, du)

		at := make([]float32, 3)
		Attend(at, x[:3], y, n, x, 3, 1, 3, n, 0.5, make([]float32, n+15))
		keep(at)

		ce := fresh()
		keep([]float32{CrossEntropy(ce, ce, n/2, 0.25)}, ce)

		wt, m, v := fresh(), filled(r, 3*n), filled(r, 3*n)
		for i := range v {
			v[i] *= v[i]
		}
		AdamW(wt, x, m, v, AdamWStep{LR: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Correction1: 0.1, Correction2: 0.05, GradScale: 0.5})
		keep(wt, m, v)

		for _, k := range []int{1, 20, 600} {
			A, B, c := filled(r, n*k), filled(r, n*k), make([]float32, n*n)
			GemmNT(nil, n, n, k, A, k, B, k, c, n, false)
			keep(slices.Clone(c))
			GemmNN(nil, n, n, k, A, k, B, n, c, n, true)
			keep(slices.Clone(c))
			GemmTN(nil, n, n, k, A, n, B, n, c, n, true)
			keep(c)
		}
	}
	return out
}
