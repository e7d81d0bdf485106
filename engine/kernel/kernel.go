// Package kernel provides the float32 arithmetic of the engine: matrix
// products, the row functions of a Llama-architecture decoder with their
// derivatives, and the AdamW update.
//
// Every function has up to three implementations: AVX-512 and AVX2 assembly
// (generated, see _asm) and portable Go. The richest one that the processor
// and the operating system support is chosen at start-up; the environment
// variable BECAUSE_KERNEL (generic, avx2 or avx512) overrides the choice.
//
// Results are reproducible. The order of additions behind an output element
// depends on the shapes alone: never on a [Pool], on timing, on alignment, or
// on how many rows a call handles. In particular a row of a matrix product has
// the same bits whether it is computed alone or with others. The AVX2 and
// AVX-512 implementations use the same order and the same roundings and agree
// bit for bit; portable Go agrees with them to rounding.
//
// Matrices are row-major slices with a row stride in elements, so that a view
// into a wider buffer (one head of a fused QKV buffer, say) is a slice and a
// stride. Lengths are checked and a violation panics, as an index out of range
// does. Unless a function says otherwise its arguments must not overlap.
package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// implementation is one complete set of kernels. Its functions get checked,
// non-empty arguments of bounded size.
type implementation struct {
	name string
	gemm gemmKernels
	vec  vectorKernels
	row  rowKernels
}

// implementations lists what this build contains and this machine can run,
// slowest first.
var implementations = append([]*implementation{&generic}, native()...)

// active is the implementation in use.
var active = implementations[len(implementations)-1]

// EnvKernel names the environment variable that overrides the choice of implementation.
const EnvKernel = "BECAUSE_KERNEL"

func init() {
	if name := os.Getenv(EnvKernel); name != "" {
		if err := Use(name); err != nil {
			fmt.Fprintf(os.Stderr, "because: %s: %v; using %s\n", EnvKernel, err, active.name)
		}
	}
}

// Name returns the implementation in use: "avx512", "avx2" or "generic".
func Name() string { return active.name }

// Available lists the implementations that this machine can run, slowest first.
func Available() []string {
	names := make([]string, len(implementations))
	for i, im := range implementations {
		names[i] = im.name
	}
	return names
}

// Use selects an implementation by name. It is for tests and benchmarks: it
// must not be called while other functions of the package run.
func Use(name string) error {
	i := slices.IndexFunc(implementations, func(im *implementation) bool { return im.name == name })
	if i < 0 {
		return fmt.Errorf("kernel: implementation %q is not available here (have: %s)", name, strings.Join(Available(), ", "))
	}
	active = implementations[i]
	return nil
}
