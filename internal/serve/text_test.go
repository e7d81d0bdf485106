package serve

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestLossy compares with bytes.decode("utf-8", "replace") of Python.
func TestLossy(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"plain é €":            "plain é €",
		"\x80":                 "\ufffd",
		"\xe2\x82":             "\ufffd",
		"\xe2\x82A":            "\ufffdA",
		"\xe2A\x82":            "\ufffdA\ufffd",
		"\xf0\x9f\x98":         "\ufffd",
		"\xf0\x9f\x98\xf0":     "\ufffd\ufffd",
		"\xc0\x80":             "\ufffd\ufffd",
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd",
		"\xf4\x90\x80\x80":     "\ufffd\ufffd\ufffd\ufffd",
		"\xe0\x9f\x80":         "\ufffd\ufffd\ufffd",
		"a\xff\xfeb\ufffdc":    "a\ufffd\ufffdb\ufffdc",
		"\xf1\x80\x80\xe2\x82": "\ufffd\ufffd",
	} {
		if got := lossy([]byte(in)); got != want {
			t.Errorf("lossy(%q) = %q, want %q", in, got, want)
		}
	}
}

// split divides b at drawn places.
func split(t *rapid.T, b []byte) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		n := rapid.IntRange(1, len(b)).Draw(t, "n")
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// TestAssembler: however bytes are divided, the text is the same, and no piece ends within a character.
func TestAssembler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"a", "é", "€", "😀", "\x80", "\xe2", "\xe2\x82", "\xf0\x9f", "\xff", "\xed\xa0\x80"})).Draw(t, "bytes")
		whole := []byte(strings.Join(pieces, ""))
		var a assembler
		var got strings.Builder
		for _, p := range split(t, whole) {
			got.WriteString(a.push(p))
		}
		got.WriteString(a.end())
		if want := lossy(whole); got.String() != want {
			t.Fatalf("%q assembled to %q, want %q", whole, got.String(), want)
		}
	})
}

// TestStopper: however a text is divided, it is cut before the first stop string to be complete, and nothing
// is held back that cannot begin one.
func TestStopper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.SampledFrom([]rune("abé")), 1, 4, -1)
		stops := rapid.SliceOfN(word, 0, 3).Draw(t, "stops")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abcé")), 0, 30, -1).Draw(t, "text")
		s := stopper{}
		for _, stop := range stops {
			s.stops = append(s.stops, []byte(stop))
		}
		want, cut := cutAt(text, stops)
		var got []byte
		hit := false
		for _, p := range split(t, []byte(text)) {
			var out []byte
			out, hit = s.push(p)
			got = append(got, out...)
			if hit {
				break
			}
			if held := string(s.held); held != "" && !beginsAny(held, stops) {
				t.Fatalf("held %q, which begins none of %q", held, stops)
			}
		}
		if !hit {
			got = append(got, s.end()...)
		}
		if hit != cut || string(got) != want {
			t.Fatalf("%q with stops %q gave %q, %v; want %q, %v", text, stops, got, hit, want, cut)
		}
	})
}

// cutAt is the definition: the shortest prefix of the text that ends in a stop string, without the longest such.
func cutAt(text string, stops []string) (string, bool) {
	for end := range len(text) + 1 {
		longest := 0
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) {
				longest = max(longest, len(stop))
			}
		}
		if longest > 0 {
			return text[:end-longest], true
		}
	}
	return text, false
}

func beginsAny(s string, stops []string) bool {
	for _, stop := range stops {
		if strings.HasPrefix(stop, s) {
			return true
		}
	}
	return false
}

func TestMarshalStaysOnOneLine(t *testing.T) {
	got, err := marshal(map[string]string{"a": "<x>\n\r\u0085\u2028&"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"<x>\n\r\u0085\u2028&"}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if bytes.ContainsAny(got, "\n\r\u0085\u2028") {
		t.Errorf("%q has a line break", got)
	}
}
