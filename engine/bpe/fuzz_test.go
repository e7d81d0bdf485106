package bpe

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	for _, parts := range []string{
		"",
		`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]}`,
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]},"decoder":{"type":"ByteLevel"}`,
		`"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"MergedWithNext","invert":true}`,
		`"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"},"decoder":{"type":"Metaspace","replacement":"_"}`,
		`"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`,
		`"added_tokens":[{"id":8,"content":"<x>","lstrip":true,"rstrip":true,"special":true},{"id":9,"content":"a b","single_word":true,"normalized":true}]`,
		`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0]}}}`,
	} {
		f.Add(small(parts), "ab <x> _ab\xff")
	}
	f.Fuzz(func(t *testing.T, file, text string) {
		tok, err := Parse([]byte(file))
		if err != nil {
			return
		}
		ids := tok.Encode(text, Options{Special: true, AddSpecial: true})
		if stream(tok, ids, true) == "" && tok.Decode(ids, true) != "" {
			t.Errorf("a stream of %v is empty", ids)
		}
		data, err := tok.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(data)
		if err != nil {
			t.Fatalf("what JSON writes is not read: %v\n%s", err, data)
		}
		if got := back.Encode(text, Options{Special: true, AddSpecial: true}); !slices.Equal(got, ids) {
			t.Errorf("read back, %q is %v, was %v", text, got, ids)
		}
	})
}

func FuzzEncode(f *testing.F) {
	var all []*Tokenizer
	for _, name := range []string{"gpt2", "llama3", "tekken", "qwen2", "llama2", "mistral"} {
		all = append(all, family(f, name))
	}
	for _, s := range []string{"", "it's  two\n\n words 1234", "\xff\xc3é", "<|endoftext|><s>", "  ▁▁a", "e\u0301\u1100\u1161", "ABCdef\u0301'LL"} {
		f.Add(s, uint(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, text string, cut uint) {
		for i, tok := range all {
			ids := tok.Encode(text, Options{})
			for _, id := range ids {
				if tok.IsSpecial(id) && tok.Token(id) != "<unk>" {
					t.Fatalf("plain %q has the special token %q", text, tok.Token(id))
				}
			}
			var back []byte
			for _, id := range ids {
				back = append(back, tok.Bytes(id)...)
			}
			want := text
			switch {
			case i == 3:
				want, _ = nfc(text, mask{})
			case i >= 4:
				want = strings.ReplaceAll(text, spaceMark, " ")
				if back = []byte(strings.TrimPrefix(string(back), " ")); i == 5 {
					want = strings.TrimPrefix(want, " ") // it adds none where one is
				}
			}
			if string(back) != want {
				t.Errorf("tokenizer %d: %q came back as %q", i, text, back)
			}
			if s := tok.Decode(ids, false); i < 4 && utf8.ValidString(text) && s != want || !utf8.ValidString(s) {
				t.Errorf("tokenizer %d: %q decoded as %q", i, text, s)
			}
			at := int(cut % uint(len(text)+1))
			if got := tok.EncodeSpans([]Span{{text[:at], false}, {text[at:], false}}); !slices.Equal(got, ids) {
				t.Errorf("tokenizer %d: %q cut at %d: %v, want %v", i, text, at, got, ids)
			}
		}
	})
}
