package organism

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The hash of the sources covers this package and every one that it runs, and no more.
func TestPackagesAreThoseThatRun(t *testing.T) {
	const module = "github.com/because-lab/because/"
	list, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, path := range strings.Fields(string(list)) {
		if folder, ok := strings.CutPrefix(path, module); ok {
			want = append(want, folder)
		}
	}
	slices.Sort(want)
	if d := cmp.Diff(want, packages); d != "" {
		t.Errorf("packages (-imported +hashed):\n%s", d)
	}
}
