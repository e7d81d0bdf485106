package input

import (
	"fmt"
	"slices"
	"strings"
)

// DidYouMean is a hint at the names that could have been meant: the nearest one, else all of them.
func DidYouMean(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	best, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	for _, k := range known { // a word begun or carried too far
		if short, long := min(len(name), len(k)), max(len(name), len(k)); best == "" && short > 2 && long > short && k[:short] == name[:short] {
			best = k
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	known = slices.Clone(known)
	slices.Sort(known)
	const most = 40
	if len(known) > most {
		return ""
	}
	return "known: " + strings.Join(known, ", ")
}

// distance is the least number of letters to insert, delete, replace or swap with their neighbour that turns a into b
// (Damerau and Levenshtein, optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(t); j++ {
			same := 1
			if s[i-1] == t[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(t)]
}
