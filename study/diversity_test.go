package study

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

func records(texts ...string) []because.Record {
	var out []because.Record
	for _, text := range texts {
		out = append(out, because.Record{Text: text})
	}
	return out
}

func TestDiversity(t *testing.T) {
	d, err := measure(context.Background(), records(
		"a b c d e f g h", // 5 of 5 n-grams new
		"a b c d e f g h", // the same
		"a b c X e f Y h", // two words differ
		"a b c d e f g",   // shorter: not compared, 4 n-grams of which none is new
		"h g f e d c b a", // all differ but none: 5 new ones
		"a b",             // too short for an n-gram
	))
	if err != nil {
		t.Fatal(err)
	}
	// New in the third: abcX bcXe cXef XefY efYh.
	if d.Ngrams != 24 || d.DistinctNgrams != 15 || d.NearDuplicates != 2 || d.Example != "a b c d e f g h" {
		t.Errorf("%+v", d)
	}
}

// TestNearDuplicates compares with the definition taken literally.
func TestNearDuplicates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		var words [][]string
		want := 0
		for range rapid.IntRange(0, 12).Draw(t, "records") {
			n := rapid.IntRange(0, 9).Draw(t, "words")
			var text []string
			for range n {
				text = append(text, fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "word")))
			}
			like := false
			for _, other := range words {
				differences := 0
				for i := range min(len(other), len(text)) {
					if other[i] != text[i] {
						differences++
					}
				}
				like = like || len(other) == len(text) && differences <= 3
			}
			if like {
				want++
			}
			words = append(words, text)
			texts = append(texts, strings.Join(text, " "))
		}
		d, err := measure(context.Background(), records(texts...))
		if err != nil {
			t.Fatal(err)
		}
		if d.NearDuplicates != want {
			t.Fatalf("%d near-duplicates, want %d, in %q", d.NearDuplicates, want, texts)
		}
	})
}
