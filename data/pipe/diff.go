package pipe

import (
	"strings"
	"unicode"
)

// Change is a run of a text that was kept, taken out or put in.
type Change struct {
	Op   byte // ' ', '-' or '+'
	Text string
}

// mostEdits bounds the work of a comparison: texts that differ in more words count as replaced.
const mostEdits = 3000

// Diff compares two texts word by word. The texts of all changes but those put in, joined, are the first text; those of all but those
// taken out, the second.
//
// Source: E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986) 251-266.
func Diff(a, b string) []Change {
	x, y := tokens(a), tokens(b)
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	var out changes
	out.add(' ', x[:head]...)
	mid, with := x[head:len(x)-tail], y[head:len(y)-tail]
	if trace, ok := shortest(mid, with); ok {
		out.walk(trace, mid, with)
	} else {
		out.add('-', mid...)
		out.add('+', with...)
	}
	out.add(' ', x[len(x)-tail:]...)
	return out
}

// tokens splits a text into words with the white space after them.
func tokens(text string) []string {
	var out []string
	from, space := 0, false
	for i, r := range text {
		is := unicode.IsSpace(r)
		if space && !is {
			out = append(out, text[from:i])
			from = i
		}
		space = is
	}
	if from < len(text) {
		out = append(out, text[from:])
	}
	return out
}

// shortest finds the farthest points of each number of edits on the way from a to b.
func shortest(a, b []string) (trace [][]int32, ok bool) {
	n, m := len(a), len(b)
	most := min(n+m, mostEdits)
	v := make([]int32, 2*most+3)
	mid := most + 1
	for d := 0; d <= most; d++ {
		trace = append(trace, append([]int32(nil), v[mid-d-1:mid+d+2]...))
		for k := -d; k <= d; k += 2 {
			i := int(v[mid+k-1]) + 1
			if k == -d || k != d && v[mid+k-1] < v[mid+k+1] {
				i = int(v[mid+k+1])
			}
			for i < n && i-k < m && a[i] == b[i-k] {
				i++
			}
			v[mid+k] = int32(i)
			if i >= n && i-k >= m {
				return trace, true
			}
		}
	}
	return nil, false
}

// changes are built from their end or their beginning.
type changes []Change

func (c *changes) add(op byte, words ...string) {
	text := strings.Join(words, "")
	if text == "" {
		return
	}
	if n := len(*c); n > 0 && (*c)[n-1].Op == op {
		(*c)[n-1].Text += text
		return
	}
	*c = append(*c, Change{op, text})
}

// walk follows a trace back and adds its steps in order.
func (c *changes) walk(trace [][]int32, a, b []string) {
	type edit struct {
		op   byte
		word string
	}
	var steps []edit
	i, j := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		v := func(k int) int { return int(trace[d][k+d+1]) }
		k := i - j
		down := k == -d || k != d && v(k-1) < v(k+1)
		before := k - 1
		if down {
			before = k + 1
		}
		fromI := 0
		if d > 0 {
			fromI = v(before)
		}
		fromJ := fromI - before
		if d == 0 {
			fromJ = 0
		}
		for i > fromI && j > fromJ {
			i, j = i-1, j-1
			steps = append(steps, edit{' ', a[i]})
		}
		switch {
		case d == 0:
		case down:
			j--
			steps = append(steps, edit{'+', b[j]})
		default:
			i--
			steps = append(steps, edit{'-', a[i]})
		}
	}
	for s := len(steps) - 1; s >= 0; s-- {
		c.add(steps[s].op, steps[s].word)
	}
}
