package eval

import (
	"path/filepath"
	"testing"

	"github.com/because-lab/because"
)

// BenchmarkRun is the cost of one sample with its log, the model's own apart.
func BenchmarkRun(b *testing.B) {
	o := Options{Models: map[string]because.Chat{Target: echo()}, Log: filepath.Join(b.TempDir(), "toy.eval")}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := Run(b.Context(), toy(b.N), o); err != nil {
		b.Fatal(err)
	}
}
