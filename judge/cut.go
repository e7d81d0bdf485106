package judge

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// LeftOut counts what a judge was not shown because the material was too long.
type LeftOut struct {
	Messages int `json:"messages"` // of which text was left out, wholly or in part
	Bytes    int `json:"bytes"`
}

const leastBlock = 400 // bytes of a block that stay when blocks are cut

// cut brings blocks down to a number of bytes. Texts of messages go first, from the middle outwards; the first and the last
// message, all facts and every tool call with its arguments stay. If that is not enough, the longest blocks lose their middles.
// What was left out is stated in its place. It fails where even that doesn't fit.
func cut(all []block, most int) ([]block, LeftOut, error) {
	if sizeOf(all) <= most || len(all) == 0 {
		return all, LeftOut{}, nil
	}
	c := &cutting{touched: map[int]bool{}}
	shown := c.drop(all, most)
	if sizeOf(shown) > most {
		limit := longest(shown, most)
		if limit < leastBlock {
			return nil, LeftOut{}, fmt.Errorf("the tool calls and the first and last message have %d bytes; %d are allowed", sizeOf(shown), most)
		}
		shown = c.shorten(shown, limit)
	}
	return shown, LeftOut{len(c.touched), c.bytes}, nil
}

// cutting counts what is left out.
type cutting struct {
	touched map[int]bool // messages
	bytes   int
}

// noteRoom is more than a note about what was left out takes.
const noteRoom = 120

// drop leaves out texts of messages, the middle ones first, until the rest fits or none may go.
func (c *cutting) drop(all []block, most int) []block {
	first, last := all[0].message, all[len(all)-1].message
	gone := make([]bool, len(all))
	excess := sizeOf(all) + noteRoom - most
	for _, i := range middleFirst(len(all)) {
		x := all[i]
		if excess <= 0 {
			break
		}
		if x.kept || x.text == "" || x.message == first || x.message == last {
			continue
		}
		gone[i] = true
		excess -= x.size()
		if (i == 0 || !gone[i-1]) && (i+1 == len(all) || !gone[i+1]) {
			excess += noteRoom // a note of its own
		}
	}
	return c.withNotes(all, gone)
}

// middleFirst lists the numbers below n from the middle outwards.
func middleFirst(n int) []int {
	var order []int
	for i, j := 0, n-1; i <= j; i, j = i+1, j-1 {
		if i != j {
			order = append(order, j)
		}
		order = append(order, i)
	}
	slices.Reverse(order)
	return order
}

// withNotes replaces each run of blocks that are gone by a note that counts them.
func (c *cutting) withNotes(all []block, gone []bool) []block {
	var shown []block
	for i := 0; i < len(all); {
		if !gone[i] {
			shown = append(shown, all[i])
			i++
			continue
		}
		from, bytes := i, 0
		for ; i < len(all) && gone[i]; i++ {
			bytes += len(all[i].text)
			c.touched[all[i].message] = true
		}
		c.bytes += bytes
		where := fmt.Sprintf("[%d]", all[from].message)
		if end := all[i-1].message; end != all[from].message {
			where += fmt.Sprintf(" to [%d]", end)
		}
		shown = append(shown, block{note: fmt.Sprintf("%s left out here: %s, %d bytes", where, count(i-from, "text"), bytes)})
	}
	return shown
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// longest finds, by bisection, the greatest length for which the blocks fit when longer texts are cut to it; less than
// leastBlock where none does.
func longest(shown []block, most int) int {
	low, high := leastBlock-1, max(most, leastBlock-1)
	for low < high {
		middle := (low + high + 1) / 2
		trial := &cutting{touched: map[int]bool{}}
		if sizeOf(trial.shorten(shown, middle)) <= most {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// shorten cuts the middle out of every text that is well longer than limit.
func (c *cutting) shorten(shown []block, limit int) []block {
	var short []block
	for _, x := range shown {
		if len(x.text) <= limit+noteRoom {
			short = append(short, x)
			continue
		}
		head, tail := x, x
		head.text = before(x.text, limit/2)
		tail.text = after(x.text, len(x.text)-limit/2)
		tail.title += ", continued"
		lost := len(x.text) - len(head.text) - len(tail.text)
		c.bytes += lost
		c.touched[x.message] = true
		short = append(short, head, block{note: fmt.Sprintf("[%d] left out here: %d bytes of this text", x.message, lost)}, tail)
	}
	return short
}

// before gives at most n bytes of a text's start, in whole characters.
func before(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// after gives a text from byte n on, or a little later, in whole characters.
func after(s string, n int) string {
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n++
	}
	return s[n:]
}
