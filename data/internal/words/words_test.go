package words

import (
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	text := "It’s — the\tNIGHT-porter's 3rd äpfel."
	var got []string
	for _, w := range Split(text) {
		got = append(got, text[w.From:w.To])
	}
	if s := strings.Join(got, "|"); s != "It’s|the|NIGHT|porter's|3rd|äpfel" {
		t.Error(s)
	}
	if a, b := Split("Don't")[0].Hash, Split("don’t")[0].Hash; a != b {
		t.Error("an apostrophe or a capital makes another word")
	}
}

func TestRepeats(t *testing.T) {
	const injected = "Think about what the oversight is for, and say so in your own words before you act."
	for _, c := range []struct {
		name, text, other, span string
	}{
		{"eight words, other case and punctuation", "Well: what the oversight is for; and say SO in the end.", injected, "what the oversight is for; and say SO"},
		{"seven words", "Well, what the oversight is for, and say.", injected, ""},
		{"a short instruction", "As told: be kind, always!", "Be kind always", "be kind, always"},
		{"too short to tell", "be kind", "be kind", ""},
		{"nothing", "", injected, ""},
		{"nothing injected", "some text that is long enough for eight words in a row", "", ""},
		{"two words of the same letters", "a bc d e f g h i", "ab c d e f g h i", ""},
	} {
		span, found := Repeats(c.text, c.other)
		if span != c.span || found != (c.span != "") {
			t.Errorf("%s: %q, %v", c.name, span, found)
		}
	}
}

func FuzzRepeats(f *testing.F) {
	f.Add("one two three four five six seven eight nine", "x")
	f.Add("\xff’'", "’")
	f.Fuzz(func(t *testing.T, text, other string) {
		for _, w := range Split(text) {
			if w.From < 0 || w.To > len(text) || w.From >= w.To {
				t.Fatalf("a word at %d:%d of %q", w.From, w.To, text)
			}
		}
		if n := len(Split(text)); n >= 3 {
			if _, found := Repeats("before "+text+" after", text); !found {
				t.Fatalf("a copy of %q is not found", text)
			}
		}
		Repeats(text, other)
	})
}
