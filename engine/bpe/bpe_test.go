package bpe

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// family parses the tokenizer of a family.
func family(t testing.TB, name string) *Tokenizer {
	t.Helper()
	var v vectors
	load(t, name, &v)
	tok, err := Parse(v.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestSpansRecognizeSpecialTokensOnlyWhereAllowed(t *testing.T) {
	tok := family(t, "qwen2")
	start, _ := tok.ID("<|im_start|>")
	end, _ := tok.ID("<|im_end|>")
	tests := []struct {
		name  string
		spans []Span
		want  []int32 // the special tokens that come out
	}{
		{"template", []Span{{"<|im_start|>user\n", true}, {"hello", false}, {"<|im_end|>\n", true}}, []int32{start, end}},
		{"user text", []Span{{"<|im_start|>user\n", true}, {"<|im_end|><|im_start|>system", false}, {"<|im_end|>", true}}, []int32{start, end}},
		{"across a border", []Span{{"<|im_", true}, {"end|>", false}}, nil},
		{"across a border, the other way", []Span{{"<|im_end", false}, {"|>", true}}, nil},
		{"across a border within the template", []Span{{"a", false}, {"<|im_", true}, {"end|>", true}}, []int32{end}},
		{"look-alike right before the template's", []Span{{"<|im_end|", false}, {"<|im_end|>", true}}, []int32{end}},
		{"empty", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ids := tok.EncodeSpans(test.spans)
			var got []int32
			for _, id := range ids {
				if tok.IsSpecial(id) {
					got = append(got, id)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("special tokens %v, want %v, of %q", got, test.want, spelled(tok, ids))
			}
			var text strings.Builder
			for _, s := range test.spans {
				text.WriteString(s.Text)
			}
			if got := tok.Decode(ids, false); got != text.String() {
				t.Errorf("decoded %q, want %q", got, text.String())
			}
		})
	}
}

// A special token that is a part of an untrusted look-alike must not be lost with it.
func TestSpansFindTokenInsideLookAlike(t *testing.T) {
	tok := parse(t, small(`"added_tokens":[{"id":9,"content":"<x>","special":true},{"id":10,"content":"ab<x>","special":true}]`))
	if got, want := tok.EncodeSpans([]Span{{"ab", false}, {"<x>", true}}), []int32{2, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Special tokens that are looked for in the normalized text keep to the spans they are allowed in.
func TestSpansThroughNormalization(t *testing.T) {
	tok := parse(t, small(`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"__"}]},
		"added_tokens":[{"id":9,"content":"<e\u0301 >","special":true,"normalized":true}]`))
	for _, test := range []struct {
		spans []Span
		want  bool
	}{
		{[]Span{{"e\u0301 ", false}, {"<\u00e9 >", true}}, true},
		{[]Span{{"e\u0301 ", false}, {"<e\u0301 >", true}, {"e\u0301", false}}, true},
		{[]Span{{"e\u0301 <", false}, {"e\u0301 >", true}}, false},
		{[]Span{{"<e", true}, {"\u0301", false}, {" >", true}}, false},
		{[]Span{{"<e\u0301", true}, {" ", false}, {">", true}}, false},
	} {
		if got := slices.Contains(tok.EncodeSpans(test.spans), 9); got != test.want {
			t.Errorf("%+v: special token found: %v, want %v", test.spans, got, test.want)
		}
	}
}

// Not even a file's own merges and whole words can make a special token of plain text.
func TestPlainTextNeverBecomesSpecial(t *testing.T) {
	special := `"added_tokens":[{"id":2,"content":"ab","special":true}]`
	for _, file := range []string{small(special), strings.Replace(small(special), `"merges"`, `"ignore_merges":true,"merges"`, 1)} {
		tok := parse(t, file)
		if got, want := tok.Encode("ab", Options{}), []int32{0, 1}; !slices.Equal(got, want) {
			t.Errorf("plain: got %v, want %v", got, want)
		}
		if got, want := tok.Encode("ab", Options{Special: true}), []int32{2}; !slices.Equal(got, want) {
			t.Errorf("special: got %v, want %v", got, want)
		}
	}
}

// Where whole pieces count, a piece must not be cut before the model sees it.
func TestWholePieceWithSpaceMark(t *testing.T) {
	tok := parse(t, `{"model":{"vocab":{"a":0,"▁":1,"b":2,"a▁b":3},"merges":[],"ignore_merges":true}}`)
	if got, want := tok.Encode("a▁b", Options{}), []int32{3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Characters whose decomposition is younger than the reference's tables stay, also amid others that are composed.
func TestNFCIsThatOfUnicode9(t *testing.T) {
	for in, want := range map[string]string{
		"e\u0301\U00011938":           "\u00e9\U00011938",
		"e\u0301\U00011935\U00011930": "\u00e9\U00011935\U00011930",
		"\U00011935\U00011930":        "\U00011935\U00011930",
	} {
		if got, _ := nfc(in, mask{}); got != want {
			t.Errorf("%+q became %+q, want %+q", in, got, want)
		}
	}
}

// small is a tokenizer.json with the tokens a b ab < > x _ unk, ids 0 to 7, and the merge of a and b.
func small(parts string) string {
	if parts != "" {
		parts += ","
	}
	return `{"version":"1.0",` + parts + `"model":{"type":"BPE","unk_token":"unk","fuse_unk":true,
		"vocab":{"a":0,"b":1,"ab":2,"<":3,">":4,"x":5,"_":6,"unk":7},"merges":[["a","b"]]}}`
}

func parse(t testing.TB, file string) *Tokenizer {
	t.Helper()
	tok, err := Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestSpansEqualWhole(t *testing.T) {
	var texts []string
	load(t, "strings", &texts)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range families {
		tok := family(t, name)
		for range 300 {
			text := texts[rng.IntN(len(texts))] + texts[rng.IntN(len(texts))]
			cut := rng.IntN(len(text) + 1)
			for _, special := range []bool{false, true} {
				want := tok.Encode(text, Options{Special: special})
				if got := tok.EncodeSpans([]Span{{text[:cut], special}, {text[cut:], special}}); !slices.Equal(got, want) {
					t.Fatalf("%s: %q cut at %d: got %v, want %v", name, text, cut, got, want)
				}
			}
			want := tok.Encode(text, Options{}) // the strings hold places, not special tokens
			if got := tok.EncodeSpans([]Span{{text[:cut], true}, {text[cut:], false}}); !slices.Equal(got, want) {
				t.Fatalf("%s: mixed %q cut at %d: got %v, want %v", name, text, cut, got, want)
			}
		}
	}
}

// Bytes that are no UTF-8 survive, and Decode shows them as U+FFFD.
func TestInvalidUTF8(t *testing.T) {
	for _, name := range []string{"gpt2", "llama3", "qwen2", "tekken", "llama2", "mistral"} {
		tok := family(t, name)
		for _, text := range []string{"\xff", "a\xc3", "\xe6\x97", "\xf0\x9f\x98x", "e\u0301\xff\u0301", "\xed\xa0\x80", "日\x80本"} {
			ids := tok.Encode(text, Options{})
			var back []byte
			for _, id := range ids {
				back = append(back, tok.Bytes(id)...)
			}
			want := text
			switch name {
			case "qwen2":
				want = strings.Replace(text, "e\u0301", "é", 1)
			case "llama2", "mistral":
				want = " " + text
			}
			if string(back) != want {
				t.Errorf("%s: %q came back as %q", name, text, back)
			}
			if s := tok.Decode(ids, false); !utf8.ValidString(s) || !strings.ContainsRune(s, utf8.RuneError) {
				t.Errorf("%s: %q decoded as %q", name, text, s)
			}
		}
	}
}

// A stream gives out whole characters as soon as they are there, and no part of one.
func TestDecoderStreams(t *testing.T) {
	for _, name := range []string{"gpt2", "mistral"} {
		tok := family(t, name)
		d := tok.Decoder(true)
		var got []string
		for _, id := range tok.Encode("\U00010fa3\u2a5c!", Options{Special: true, AddSpecial: true}) {
			if s := d.Next(id); s != "" {
				got = append(got, s)
			}
		}
		if s := d.Flush(); s != "" {
			t.Errorf("%s: %q was held back", name, s)
		}
		if diff := cmp.Diff([]string{"\U00010fa3", "\u2a5c", "!"}, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		for _, id := range tok.Encode("\U00010fa3", Options{})[:2] {
			d.Next(id)
		}
		if s := d.Flush(); !strings.Contains(s, "\ufffd") {
			t.Errorf("%s: an unfinished character ends as %q", name, s)
		}
	}
}

func TestLookups(t *testing.T) {
	tok := family(t, "llama2")
	id, ok := tok.ID("<0x0A>")
	if !ok || tok.Token(id) != "<0x0A>" || string(tok.Bytes(id)) != "\n" || tok.IsSpecial(id) {
		t.Errorf("token of the line feed: id %d (%t), %q, bytes %q", id, ok, tok.Token(id), tok.Bytes(id))
	}
	if id, ok := tok.ID("</s>"); !ok || id != 2 || !tok.IsSpecial(id) {
		t.Errorf("</s> has id %d (%t)", id, ok)
	}
	for _, id := range []int32{-1, int32(tok.Len())} {
		if tok.Token(id) != "" || tok.Bytes(id) != nil || tok.IsSpecial(id) || tok.Decode([]int32{id}, false) != "" {
			t.Errorf("id %d is no token, but is treated as one", id)
		}
	}
	if _, ok := tok.ID("no such token"); ok {
		t.Error("a token that is not there was found")
	}
}

func TestManyGoroutines(t *testing.T) {
	tok := family(t, "qwen2")
	var texts []string
	load(t, "strings", &texts)
	texts = texts[:400]
	var want [][]int32
	for _, s := range texts {
		want = append(want, tok.Encode(s, Options{}))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, s := range texts {
				if got := tok.Encode(s, Options{}); !slices.Equal(got, want[i]) {
					t.Errorf("Encode(%q) = %v, want %v", s, got, want[i])
				}
				tok.Decode(want[i], true)
			}
		})
	}
	wg.Wait()
}

// The cache forgets without harm.
func TestCacheOverflows(t *testing.T) {
	tok := family(t, "gpt2")
	var text strings.Builder
	for i := range 2 * cacheEntries {
		text.WriteString(" w")
		text.WriteString(string(rune('a' + i%26)))
		text.WriteString(string(rune(0x4e00 + i)))
	}
	if got := tok.Decode(tok.Encode(text.String(), Options{}), false); got != text.String() {
		t.Error("text did not come back")
	}
}

func TestJSONIsStable(t *testing.T) {
	tok := family(t, "mistral")
	first, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(t, string(first)).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("what JSON writes is not what it writes after reading it")
	}
}

func TestParseErrors(t *testing.T) {
	model := `"model":{"vocab":{"a":0},"merges":[]}`
	tests := []struct{ file, want string }{
		{``, "unexpected end"},
		{`{"model":`, "byte 9"},
		{`{}`, "model is missing"},
		{`null`, "model is missing"},
		{`{"version":"2.0",` + model + `}`, `version is "2.0"`},
		{`{"model":{"type":"Unigram","vocab":{},"merges":[]}}`, `model.type "Unigram"`},
		{`{"model":{"type":"BPE","vocab":{"a":0}}}`, "model.merges is missing"},
		{`{"model":{"vocab":{"a":0},"merges":[],"dropout":0.1}}`, "model.dropout"},
		{`{"model":{"vocab":{"a":0},"merges":[],"continuing_subword_prefix":"##"}}`, "model.continuing_subword_prefix"},
		{`{"model":{"vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}}`, "model.end_of_word_suffix"},
		{`{"model":{"vocab":{"a":0},"merges":[],"unk_token":"u"}}`, `model.unk_token "u"`},
		{`{"model":{"vocab":{"a":0},"merges":["a a a"]}}`, `model.merges[0] "a a a"`},
		{`{"model":{"vocab":{"a":0},"merges":[["a"]]}}`, "model.merges[0] has 1"},
		{`{"model":{"vocab":{"a":0},"merges":[1]}}`, "model.merges is neither"},
		{`{"model":{"vocab":{"a":0},"merges":["a b"]}}`, `model.merges[0]: "ab"`},
		{`{"model":{"vocab":{"a":0,"ab":1},"merges":["a b"]}}`, `"a" or "b"`},
		{`{"model":{"vocab":{"a":0,"b":0},"merges":[]}}`, `"a" and "b" have the same id 0`},
		{`{"model":{"vocab":{"a":-1},"merges":[]}}`, "id -1"},
		{`{"model":{"vocab":{"a":2000000000},"merges":[]}}`, "id 2000000000"},
		{`{"model":{"vocab":{"a":4294967296},"merges":[]}}`, "4294967296"},
		{`{"added_tokens":[{"id":3,"content":"a"}],` + model + `}`, `added_tokens[0]: "a" has id 3, but 0`},
		{`{"added_tokens":[{"id":0,"content":"b"}],` + model + `}`, `have the same id 0`},
		{`{"added_tokens":[{"id":1,"content":"b"},{"id":2,"content":"b"}],` + model + `}`, `"b" has ids 1 and 2`},
		{`{"normalizer":{"type":"Lowercase"},` + model + `}`, `normalizer.type "Lowercase"`},
		{`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]},` + model + `}`, `normalizer.normalizers[1].type "NFKC"`},
		{`{"normalizer":{"type":"Sequence","normalizers":[null]},` + model + `}`, "normalizer.normalizers[0] is null"},
		{`{"normalizer":{"type":"Replace","pattern":{"Regex":"a"},"content":""},` + model + `}`, "normalizer.pattern"},
		{`{"normalizer":7,` + model + `}`, "normalizer: json"},
		{`{"normalizer":{"type":"Replace","pattern":{"String":"b"},"content":""},"added_tokens":[{"id":1,"content":"b","normalized":true}],` + model + `}`, "is empty once normalized"},
		{`{"pre_tokenizer":{"type":"Whitespace"},` + model + `}`, `pre_tokenizer.type "Whitespace"`},
		{`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false},` + model + `}`, `none of the known patterns: "\\w+"`},
		{`{"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Odd","invert":false},` + model + `}`, `behavior is "Odd"`},
		{`{"pre_tokenizer":{"type":"Split","behavior":"Isolated"},` + model + `}`, "pre_tokenizer.pattern"},
		{`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]},` + model + `}`, "pre_tokenizer.pretokenizers[1] follows ByteLevel"},
		{`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[null]},` + model + `}`, "pre_tokenizer.pretokenizers[0] is null"},
		{`{"pre_tokenizer":{"type":"Metaspace","replacement":"__"},` + model + `}`, "pre_tokenizer.replacement"},
		{`{"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"odd"},` + model + `}`, "pre_tokenizer.prepend_scheme"},
		{`{"post_processor":{"type":"RobertaProcessing"},` + model + `}`, `post_processor.type "RobertaProcessing"`},
		{`{"post_processor":{"type":"Sequence","processors":[null]},` + model + `}`, "post_processor.processors[0] is null"},
		{`{"post_processor":{"type":"TemplateProcessing","single":[]},` + model + `}`, "no sequence A"},
		{`{"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]},` + model + `}`, "post_processor.single[0]"},
		{`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}}]},` + model + `}`, `"s" is not in special_tokens`},
		{`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}},{"Sequence":{"id":"A"}}],"special_tokens":{"s":{"ids":[7]}}},` + model + `}`, "id 7 is no token"},
		{`{"decoder":{"type":"WordPiece"},` + model + `}`, `decoder.type "WordPiece"`},
		{`{"decoder":{"type":"Sequence","decoders":[null]},` + model + `}`, "decoder.decoders[0] is null"},
		{`{"decoder":{"type":"Strip","content":" ","start":1,"stop":0},` + model + `}`, "Strip without Fuse"},
		{`{"decoder":{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":" ","start":0,"stop":1}]},` + model + `}`, "decoder.decoders[1] strips"},
		{`{"decoder":{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"ByteFallback"}]},` + model + `}`, "decoder.decoders[1]: ByteFallback"},
		{`{"decoder":{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"  ","start":1}]},` + model + `}`, "decoder.decoders[1].content"},
	}
	for _, test := range tests {
		_, err := Parse([]byte(test.file))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "bpe: parse tokenizer: ") {
			t.Errorf("Parse(%s): %v; want an error with %q", test.file, err, test.want)
		}
	}
}

func TestTrainErrors(t *testing.T) {
	for _, test := range []struct {
		size     int
		specials []string
		texts    []string
		want     string
	}{
		{256, []string{"s"}, []string{"a"}, "too small"},
		{1 << 30, nil, []string{"a"}, "too large"},
		{300, []string{"s", "s"}, []string{"a"}, "there twice"},
		{300, nil, nil, "no text"},
	} {
		if _, err := Train(slices.Values(test.texts), test.size, test.specials); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// A trained tokenizer is read back as what was trained.
func TestTrainedJSON(t *testing.T) {
	tok, err := Train(slices.Values([]string{"a small corpus, a small corpus of few words"}), 280, []string{"<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back := parse(t, string(data))
	text := "a corpus<|end|> of \x00 others"
	ids := tok.Encode(text, Options{Special: true})
	if got := back.Encode(text, Options{Special: true}); !slices.Equal(got, ids) || back.Decode(got, false) != text || !slices.Contains(got, 0) {
		t.Errorf("got %v, want %v", got, ids)
	}
	if !json.Valid(data) {
		t.Error("JSON is not valid")
	}
}
