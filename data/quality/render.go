package quality

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Print prints the card for people.
func (c Card) Print(w io.Writer) error {
	var b strings.Builder
	c.printMade(&b)
	fmt.Fprintf(&b, "%d records, %d words, about %d tokens\n", c.Records, c.Words, c.Tokens)
	printCounts(&b, "kinds", c.Kinds)
	printCounts(&b, "principles", c.Principles)
	b.WriteString("\nlength in words    n       least  median   most\n")
	for _, l := range c.Lengths {
		fmt.Fprintf(&b, "  %-14s %6d %8d %7d %6d  %s\n", l.Of, l.N, l.Least, l.Median, l.Most, bars(l.Bins))
	}
	v := c.Variety
	fmt.Fprintf(&b, "\nvariety of what is learnt: distinct-1 %.3f, distinct-2 %.3f, distinct-3 %.3f (of %d words); compression ratio %.2f\n",
		v.Distinct1, v.Distinct2, v.Distinct3, v.SampleWords, v.Compression)
	fmt.Fprintf(&b, "nearly the same as an earlier record (Jaccard > %g): %d of %d (%s)\n", c.Near.Above, c.Near.Records, c.Records, percent(c.Near.Share))
	for _, p := range c.Near.Pairs {
		fmt.Fprintf(&b, "  rows %d and %d: %.2f\n", p.Earlier, p.Row, p.Jaccard)
	}
	b.WriteString("\nopenings\n")
	for _, o := range c.Openings {
		fmt.Fprintf(&b, "  first %d words of %s: %d different in %d%s\n", o.Words, plural(o.Of), o.Kinds, o.N, seenText(o.Most))
	}
	if len(c.Names) > 0 {
		var list []string
		for _, n := range c.Names {
			mark := ""
			if n.Banned {
				mark = " (overused)"
			}
			list = append(list, fmt.Sprintf("%s %d%s", n.Name, n.Records, mark))
		}
		fmt.Fprintf(&b, "\nnames, by records: %s\n", strings.Join(list, ", "))
	}
	b.WriteString("\nhabits\n")
	for _, h := range c.Style {
		fmt.Fprintf(&b, "  %6s  %d of %d  %s\n", percent(h.Share), h.N, h.Of, h.About)
	}
	for _, j := range c.Judged {
		j.print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printMade says how the records were made.
func (c Card) printMade(b *strings.Builder) {
	if c.Recipe == "" {
		return
	}
	fmt.Fprintf(b, "recipe %s %s, seed %d", c.Recipe, c.Version, c.Seed)
	if c.Constitution != "" {
		fmt.Fprintf(b, ", constitution %s", c.Constitution)
	}
	b.WriteString("\n")
	if c.Wanted > 0 {
		fmt.Fprintf(b, "%d records wanted, %d made, %d more left out\n", c.Wanted, c.Records, c.Surplus)
	}
	b.WriteString("\nstage             in     out  requests  tokens in/out\n")
	for _, s := range c.Stages {
		fmt.Fprintf(b, "  %-12s %6d  %6d", s.Stage, s.In, s.Out)
		if s.Requests > 0 {
			fmt.Fprintf(b, "  %8d  %d/%d  %s", s.Requests, s.Usage.Input, s.Usage.Output, s.Model)
		}
		b.WriteString("\n")
		for _, r := range sorted(s.Dropped) {
			fmt.Fprintf(b, "      dropped %d: %s\n", s.Dropped[r], r)
		}
		for _, r := range sorted(s.Again) {
			fmt.Fprintf(b, "      asked again %d: %s\n", s.Again[r], r)
		}
	}
	b.WriteString("\n")
}

func printCounts(b *strings.Builder, what string, counts map[string]int) {
	if len(counts) == 0 {
		return
	}
	var list []string
	for _, name := range sorted(counts) {
		list = append(list, fmt.Sprintf("%s %d", name, counts[name]))
	}
	left := ""
	if len(list) > 40 {
		left = fmt.Sprintf(" and %d more", len(list)-40)
		list = list[:40]
	}
	fmt.Fprintf(b, "%s: %s%s\n", what, strings.Join(list, ", "), left)
}

// sorted gives the names of counts, the greatest first.
func sorted(counts map[string]int) []string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	return names
}

// bars draws a histogram in one line, a bin for each character.
func bars(bins []Bin) string {
	const levels = "▁▂▃▄▅▆▇█"
	runes := []rune(levels)
	most := 0
	for _, b := range bins {
		most = max(most, b.N)
	}
	var out strings.Builder
	for _, bound := range append(slices.Clone(bounds), -1) {
		i := slices.IndexFunc(bins, func(b Bin) bool { return b.To == bound })
		if i < 0 {
			out.WriteRune(' ')
			continue
		}
		out.WriteRune(runes[(bins[i].N*(len(runes)-1)+most-1)/most])
	}
	return strings.TrimRight(out.String(), " ")
}

func seenText(list []Seen) string {
	var b strings.Builder
	for _, s := range list[:min(3, len(list))] {
		fmt.Fprintf(&b, "; %d x %q (%s)", s.N, short(s.Text, 60), percent(s.Share))
	}
	return b.String()
}

func plural(of string) string { return of + "s" }

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// short cuts a text to a number of bytes, between letters.
func short(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
