package modeltest_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/modeltest"
)

func run(t *testing.T, flaw string, lacks ...modeltest.Feature) {
	modeltest.Run(t, func(t *testing.T, s *modeltest.Script) because.Chat {
		return newPlain(modeltest.Serve(t, s, wire), flaw)
	}, lacks...)
}

func TestPlainProviderPasses(t *testing.T) { run(t, "", modeltest.Personas) }

// flawVariable tells this test's program to run the suite on a provider with a flaw.
const flawVariable = "MODELTEST_FLAW"

// TestFlawed runs only in the processes that TestFlawsAreFound starts.
func TestFlawed(t *testing.T) {
	flaw := os.Getenv(flawVariable)
	if flaw == "" {
		t.Skip("no flaw is asked for")
	}
	run(t, flaw, modeltest.Personas)
}

// Each flaw must make some subtest of the right name fail: a suite that passes everything proves nothing.
func TestFlawsAreFound(t *testing.T) {
	for flaw, subtest := range map[string]string{
		"tells the key":                "faults/401",
		"passes on endless pages":      "faults/endless_page",
		"calls everything overloaded":  "faults/404",
		"ignores dates":                "faults/429_with_a_date",
		"takes anything for an answer": "faults/garbage:_null",
		"sends twice":                  "faults/500",
		"follows redirects":            "redirect",
		"ignores personas":             "refusals/personas",
		"drops stop strings":           "requests/stop_strings",
		"trims":                        "answers/unicode",
		"forgets the prefill":          "answers/prefill",
	} {
		t.Run(flaw, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFlawed$")
			cmd.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := cmd.CombinedOutput()
			if err == nil || !regexp.MustCompile(`--- FAIL: TestFlawed/`+regexp.QuoteMeta(subtest)+` `).Match(out) {
				t.Errorf("%s does not fail (%v):\n%s", subtest, err, out)
			}
		})
	}
}
