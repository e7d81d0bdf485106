package bpe

import (
	"slices"
	"strings"
	"testing"
)

// megabyte is the strings of the vectors again and again, a line each.
func megabyte(b *testing.B) string {
	var texts []string
	load(b, "strings", &texts)
	text := strings.Join(texts, "\n")
	return strings.Repeat(text, (1<<20)/len(text)+1)[:1<<20]
}

func BenchmarkEncode(b *testing.B) {
	text := megabyte(b)
	for _, name := range []string{"llama3", "qwen2", "llama2"} {
		b.Run(name, func(b *testing.B) {
			var v vectors
			load(b, name, &v)
			tok, err := Parse(v.Tokenizer)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text, Options{})
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	var v vectors
	load(b, "llama3", &v)
	tok, err := Parse(v.Tokenizer)
	if err != nil {
		b.Fatal(err)
	}
	text := megabyte(b)
	ids := tok.Encode(text, Options{})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Decode(ids, false)
	}
}

func BenchmarkTrain(b *testing.B) {
	text := megabyte(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Train(slices.Values([]string{text}), 2000, nil); err != nil {
			b.Fatal(err)
		}
	}
}
