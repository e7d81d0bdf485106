package tokenizer

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func newTest(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := New([]string{"a", "bear", "because", ".", "naïve", "<x"}, []string{"<pad>", "<eos>", "<sys>", "<sys>2"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestEncodeDecode(t *testing.T) {
	tok := newTest(t)
	for _, tc := range []struct {
		text string
		ids  []int32
		back string
	}{
		{"", nil, ""},
		{" \t\n", nil, ""},
		{"a bear .", []int32{4, 5, 7}, "a bear ."},
		{"  a\u00a0bear\u2003. ", []int32{4, 5, 7}, "a bear ."},
		{"<sys> naïve <eos>", []int32{2, 8, 1}, "<sys> naïve <eos>"},
		{"a<eos>bear", []int32{4, 1, 5}, "a <eos> bear"},
		{"<sys>2<sys>a", []int32{3, 2, 4}, "<sys>2 <sys> a"},
		{"<x <x<eos>", []int32{9, 9, 1}, "<x <x <eos>"},
	} {
		ids, err := tok.Encode(tc.text)
		if err != nil || !reflect.DeepEqual(ids, tc.ids) {
			t.Errorf("Encode(%q) = %v, %v; want %v", tc.text, ids, err, tc.ids)
		}
		back, err := tok.Decode(ids)
		if err != nil || back != tc.back {
			t.Errorf("Decode(%v) = %q, %v; want %q", ids, back, err, tc.back)
		}
	}
	if text, err := tok.DecodeText([]int32{2, 4, 5, 1}); err != nil || text != "a bear" {
		t.Errorf("DecodeText = %q, %v", text, err)
	}
}

func TestUnknownWord(t *testing.T) {
	tok := newTest(t)
	_, err := tok.Encode("a <eos> because bears")
	var unknown *UnknownWordError
	if !errors.As(err, &unknown) || unknown.Word != "bears" || unknown.Offset != 16 {
		t.Errorf("error %v, want one that names \"bears\" at byte 16", err)
	}
	if _, err := tok.Decode([]int32{4, 10}); err == nil || err.Error() != "tokenizer: decode: token 10 at position 1 is outside the vocabulary of 10" {
		t.Errorf("Decode outside the vocabulary: %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	for _, tc := range []struct {
		words, specials []string
		want            string
	}{
		{[]string{"a", "a"}, nil, `tokenizer: "a" is both token 0 and token 1`},
		{[]string{"a b"}, nil, `tokenizer: the word "a b" contains white space`},
		{[]string{""}, nil, `tokenizer: a word is empty`},
		{[]string{"x<s>"}, []string{"<s>"}, `tokenizer: the word "x<s>" contains the special token "<s>" and could never be encoded`},
		{[]string{"\xff"}, nil, `tokenizer: the word "\xff" is not valid UTF-8`},
	} {
		if _, err := New(tc.words, tc.specials); err == nil || err.Error() != tc.want {
			t.Errorf("New(%q, %q): error %v, want %s", tc.words, tc.specials, err, tc.want)
		}
	}
}

func TestJSON(t *testing.T) {
	tok := newTest(t)
	data, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tok, back) {
		t.Errorf("read back %+v, want %+v", back, tok)
	}
	again, err := back.JSON()
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("second encoding differs: %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	good, err := newTest(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ old, new, want string }{
		{`"WordLevel"`, `"BPE"`, `model.type is "BPE"`},
		{`"normalizer": null`, `"normalizer":{"type":"NFC"}`, "normalizer is set"},
		{`"WhitespaceSplit"`, `"ByteLevel"`, "pre_tokenizer is not"},
		{`"bear": 5`, `"bear":6`, `share the id 6`},
		{`"bear": 5`, `"bear":99999999999`, `"bear" has id 99999999999`},
		{`"bear": 5`, `"bear":-1`, `"bear" has id -1`},
		{`"<eos>": 1`, `"<eos>":4`, `has id 1, but 4 in the vocabulary`},
		{`"lstrip": false`, `"lstrip":true`, "is not a plain special token"},
		{`"bear": 5`, `"bear":"x"`, "vocab"},
		{`<|no unknown words|>`, `bear`, "unk_token"},
	} {
		bad := strings.Replace(string(good), tc.old, tc.new, 1)
		if bad == string(good) {
			t.Fatalf("%s does not occur", tc.old)
		}
		if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s for %s: error %v, want %q in it", tc.new, tc.old, err, tc.want)
		}
	}
}

// FuzzParse checks that whatever is accepted survives a round trip.
func FuzzParse(f *testing.F) {
	good, err := newTest(f).JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"model":{"type":"WordLevel","vocab":{"a":4000000000}},"pre_tokenizer":{"type":"WhitespaceSplit"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		for id := range int32(tok.Len()) {
			ids, err := tok.Encode(tok.Word(id))
			if err != nil || len(ids) != 1 || ids[0] != id {
				t.Fatalf("word %q encodes to %v, %v; want %d", tok.Word(id), ids, err, id)
			}
		}
		again, err := tok.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(again); err != nil || !reflect.DeepEqual(back, tok) {
			t.Fatalf("round trip: %v", err)
		}
	})
}
