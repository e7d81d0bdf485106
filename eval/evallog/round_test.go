package evallog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noRaw leaves out what only reading sets.
var noRaw = cmp.Options{
	cmp.AllowUnexported(ID{}), cmpopts.EquateEmpty(), cmpopts.EquateNaNs(),
	cmpopts.IgnoreFields(Header{}, "Raw"), cmpopts.IgnoreFields(Sample{}, "Raw"), cmpopts.IgnoreFields(Summary{}, "Raw"),
	cmpopts.IgnoreFields(Event{}, "Raw", "Kind"), cmpopts.IgnoreFields(Part{}, "Raw"),
	cmpopts.IgnoreFields(ModelEvent{}, "ToolChoice"), cmpopts.IgnoreFields(ToolEvent{}, "Type"),
}

func TestRoundTrip(t *testing.T) {
	for name, options := range map[string][]Option{"deflate": nil, "zstd": {WithZstd()}} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			samples := []*Sample{
				testSample(IntID(1), 1), testSample(IntID(1), 2), testSample(StringID("b/../ü x\n"), 1), failed(StringID("7"), 1),
			}
			write(t, path, options, samples...)
			r := openLog(t, path)
			want := Header{Version: 2, Status: Success, Eval: testStart().Eval, Plan: testStart().Plan, Results: testFinish().Results, Stats: testFinish().Stats}
			if d := cmp.Diff(&want, r.Header(), noRaw); d != "" {
				t.Error("header", d)
			}
			var summaries []Summary
			for i, s := range samples {
				got, err := r.Sample(s.ID, s.Epoch)
				ok(t, err)
				if d := cmp.Diff(s.filled("eval"), got, noRaw); d != "" {
					t.Errorf("sample %d: %s", i, d)
				}
				summaries = append(summaries, Summarize(s.filled("eval")))
			}
			got, err := r.Summaries(0, 10)
			ok(t, err)
			if d := cmp.Diff(summaries, got, noRaw); d != "" {
				t.Error("summaries", d)
			}
			reductions, err := r.Reductions()
			ok(t, err)
			if d := cmp.Diff(testFinish().Reductions, reductions, noRaw); d != "" {
				t.Error("reductions", d)
			}
			i := 0
			for s, err := range r.Samples() {
				ok(t, err)
				if s.ID != samples[i].ID || s.Epoch != samples[i].Epoch {
					t.Errorf("sample %d is %s", i, s.ID)
				}
				i++
			}
			if i != len(samples) {
				t.Errorf("%d samples of %d", i, len(samples))
			}
		})
	}
}
