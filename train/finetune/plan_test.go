package finetune

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/because-lab/because/engine/llama"
)

// TestPlan checks for any lengths and options that each epoch has every piece once, that no batch is over its size or
// could have taken the next piece, and that any step can be found alone.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Batch: rapid.IntRange(1, 4).Draw(t, "batch"), SeqLen: rapid.IntRange(2, 12).Draw(t, "length"), Accumulate: rapid.IntRange(1, 3).Draw(t, "accumulate"),
			Rows: rapid.SampledFrom([]int{0, 0, 1, 3, 7}).Draw(t, "rows in a step"), Epochs: rapid.IntRange(1, 3).Draw(t, "epochs"), Ordered: rapid.Bool().Draw(t, "ordered"), Seed: rapid.Uint64().Draw(t, "seed"), Long: LongSplit,
		}
		var rows Sequences
		for range rapid.IntRange(1, 20).Draw(t, "rows") {
			rows = append(rows, Sequence{Tokens: make([]int32, rapid.IntRange(2, 40).Draw(t, "tokens"))})
		}
		set, err := prepare(rows, 10, &o)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlanner(set, &o)
		seen := map[piece]int{}
		var all [][][]piece
		for step := range p.steps {
			batches := p.step(step)
			all = append(all, batches)
			switch rows := len(slices.Concat(batches...)); {
			case len(batches) == 0, o.Rows == 0 && len(batches) > o.Accumulate:
				t.Fatalf("step %d has %d batches", step, len(batches))
			case o.Rows > 0 && (rows > o.Rows || rows < o.Rows && (step+1)%(p.steps/o.Epochs) != 0):
				t.Fatalf("step %d has %d rows, not %d", step, rows, o.Rows)
			}
			for _, b := range batches {
				n := 0
				for _, x := range b {
					n += int(x.to - x.from)
					seen[x]++
				}
				if n == 0 || n > o.Batch*o.SeqLen {
					t.Fatalf("a batch of %d tokens", n)
				}
			}
		}
		for _, x := range set.pieces {
			if seen[x] != o.Epochs {
				t.Fatalf("%v occurs %d times in %d epochs", x, seen[x], o.Epochs)
			}
		}
		step := rapid.IntRange(0, p.steps-1).Draw(t, "step")
		if got := newPlanner(set, &o).step(step); !slices.EqualFunc(got, all[step], slices.Equal) {
			t.Fatalf("step %d alone is %v, in turn %v", step, got, all[step])
		}
	})
}

// TestShuffle wants other orders in other epochs and for other seeds, and the data's order when asked.
func TestShuffle(t *testing.T) {
	orders := map[string]bool{}
	for _, o := range []Options{{Seed: 1}, {Seed: 2}, {Ordered: true}} {
		o.Batch, o.SeqLen, o.Accumulate, o.Epochs, o.Long = 1, 20, 1, 2, LongError
		set, err := prepare(tinyRows(30), 23, &o)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlanner(set, &o)
		for epoch := range 2 {
			p.load(epoch, 0)
			order := ""
			for _, x := range slices.Concat(slices.Concat(p.updates...)...) {
				order += string(rune('A' + x.row))
			}
			orders[order] = true
			if o.Ordered && !slices.IsSorted([]rune(order)) {
				t.Errorf("order %s", order)
			}
		}
	}
	if len(orders) != 5 {
		t.Errorf("%d orders, want two of each seed and the data's", len(orders))
	}
}

// TestLongRows cuts and splits, and counts what is left without loss.
func TestLongRows(t *testing.T) {
	rows := Sequences{
		{Tokens: []int32{1, 2, 3, 4, 5, 6, 7}},
		{Tokens: []int32{1, 2, 3, 4, 5}, Weights: []float32{1, 0, 0, 0, 1}}, // the last token begins a piece: nothing predicts it
		{Tokens: []int32{1, 2, 3, 4, 5, 6}, Weights: []float32{0, 0, 0, 0, 0, 1}},
	}
	for long, want := range map[Long]struct {
		pieces  []piece
		dropped int
	}{
		LongCut:   {[]piece{{0, 0, 4, 3}}, 2},
		LongSplit: {[]piece{{0, 0, 4, 3}, {0, 4, 7, 2}, {2, 4, 6, 1}}, 1},
	} {
		set, err := prepare(rows, 10, &Options{SeqLen: 4, Long: long})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(set.pieces, want.pieces) || set.dropped != want.dropped {
			t.Errorf("%s: pieces %v, %d dropped; want %v", long, set.pieces, set.dropped, want)
		}
	}
	set, err := prepare(rows, 10, &Options{SeqLen: 4, Long: LongSplit})
	if err != nil {
		t.Fatal(err)
	}
	var b llama.Batch
	if err := set.pack(&b, set.pieces[1:], 4); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Tokens, []int32{5, 6, 7, 5, 6}) || !slices.Equal(b.Targets, []int32{6, 7, 0, 6, 0}) ||
		!slices.Equal(b.Weights, []float32{0.25, 0.25, 0, 0.25, 0}) || !slices.Equal(b.Starts, []int32{0, 3, 5}) {
		t.Errorf("batch %+v", b)
	}
}
