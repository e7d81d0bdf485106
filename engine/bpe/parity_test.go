package bpe

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// families are the files of testdata with 10,000 strings each.
var families = []string{"gpt2", "llama3", "qwen2", "smollm2", "llama2", "mistral", "tekken"}

// vectors are what the reference implementation does; tools/parity/make_tokenizers.py describes and writes them.
type vectors struct {
	Tokenizer json.RawMessage `json:"tokenizer"`
	Specials  []string        `json:"specials"`
	First     [][]int32       `json:"first"`
	BOS       [][]int32       `json:"bos"`
	Special   string          `json:"special"`
	Plain     string          `json:"plain"`
	Decoded   string          `json:"decoded"`
	Skipped   string          `json:"skipped"`
	Garbage   string          `json:"garbage"`
	Pieces    string          `json:"pieces"`
}

func load(t testing.TB, name string, value any) {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, value); err != nil {
		t.Fatalf("%s: %v; write it anew with tools/parity/make_tokenizers.py", name, err)
	}
}

// place i of the strings stands for the special token i modulo their number.
const firstPlace, lastPlace = '\uf8f0', '\uf8f9'

func isPlace(r rune) bool { return firstPlace <= r && r <= lastPlace }

func fill(s string, specials []string) string {
	var b strings.Builder
	for _, r := range s {
		if isPlace(r) {
			b.WriteString(specials[int(r-firstPlace)%len(specials)])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func digest(data []byte) [4]byte {
	sum := sha256.Sum256(data)
	return [4]byte(sum[:4])
}

func idsDigest(ids []int32) [4]byte {
	var b []byte
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return digest(b)
}

// digests reads hashes and gives them out one by one.
func digests(t testing.TB, text string) func() [4]byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return func() [4]byte {
		if len(data) < 4 {
			t.Fatal("too few vectors")
		}
		d := [4]byte(data)
		data = data[4:]
		return d
	}
}

func TestFamilies(t *testing.T) {
	var texts []string
	load(t, "strings", &texts)
	if len(texts) != 10000 {
		t.Fatalf("%d strings, want 10000", len(texts))
	}
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v vectors
			load(t, name, &v)
			v.check(t, texts)
		})
	}
}

func TestVariants(t *testing.T) {
	var texts []string
	load(t, "strings", &texts)
	var all map[string]vectors
	load(t, "variants", &all)
	for name, v := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v.check(t, texts[:1000])
		})
	}
}

// check compares everything that the vectors hold, with the tokenizer of the file and with the one that is read back
// from what JSON writes.
func (v *vectors) check(t *testing.T, texts []string) {
	tok, err := Parse(v.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	written, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(canonical(t, v.Tokenizer), canonical(t, written)); diff != "" {
		t.Errorf("JSON writes something else than it read (-read +written):\n%s", diff)
	}
	v.checkTexts(t, tok, texts)
	v.checkGarbage(t, tok)
	v.checkPieces(t, tok, texts)
}

// checkPieces compares what the pre-tokenizer makes of the strings, which ids show only where a merge would go across.
func (v *vectors) checkPieces(t *testing.T, tok *Tokenizer, texts []string) {
	if !tok.pre.byteLevel {
		return
	}
	want := digests(t, v.Pieces)
	for _, text := range texts {
		text, _ := normalized(tok, text)
		var pieces []string
		tok.pre.run(0, text, true, func(piece string) {
			if piece != "" {
				pieces = append(pieces, spell(piece))
			}
		})
		if digest([]byte(strings.Join(pieces, " "))) != want() {
			t.Fatalf("%q is cut into %q, which is not what the reference does", text, pieces)
		}
	}
}

func normalized(tok *Tokenizer, text string) (string, mask) {
	var m mask
	for _, normalize := range tok.normalizers {
		text, m = normalize(text, m)
	}
	return text, m
}

func (v *vectors) checkTexts(t *testing.T, tok *Tokenizer, texts []string) {
	special, plain := digests(t, v.Special), digests(t, v.Plain)
	decoded, skipped := digests(t, v.Decoded), digests(t, v.Skipped)
	bad := 0
	fail := func(format string, args ...any) {
		if bad++; bad <= 10 {
			t.Errorf(format, args...)
		}
	}
	for i, text := range texts {
		placed := strings.ContainsFunc(text, isPlace)
		text = fill(text, v.Specials)
		ids := tok.Encode(text, Options{Special: true})
		if i < len(v.First) {
			if !slices.Equal(ids, v.First[i]) {
				fail("Encode(%q) = %v, want %v", text, ids, v.First[i])
			}
			if bos := tok.Encode(text, Options{Special: true, AddSpecial: true}); !slices.Equal(bos, v.BOS[i]) {
				fail("Encode(%q) with AddSpecial = %v, want %v", text, bos, v.BOS[i])
			}
		}
		if idsDigest(ids) != special() {
			fail("Encode(%q) = %v, which is not the reference's", text, spelled(tok, ids))
		}
		if s := tok.Decode(ids, false); digest([]byte(s)) != decoded() {
			fail("Decode(Encode(%q)) = %q, which is not the reference's", text, s)
		}
		if stream(tok, ids, false) != tok.Decode(ids, false) {
			fail("Decoder and Decode differ on %q", text)
		}
		if !placed {
			continue
		}
		if ids := tok.Encode(text, Options{}); idsDigest(ids) != plain() {
			fail("Encode(%q) without special tokens = %v, which is not the reference's", text, spelled(tok, ids))
		}
		// The reference looks up what to skip by the decoder's spelling, and so lets special tokens pass that are
		// spelled otherwise once normalized; here they are skipped.
		if s := tok.Decode(ids, true); digest([]byte(s)) != skipped() && len(tok.spelled) == 0 {
			fail("Decode(Encode(%q)) without special tokens = %q, which is not the reference's", text, s)
		}
	}
	if bad > 10 {
		t.Errorf("and %d more", bad-10)
	}
}

// checkGarbage decodes the random ids that the script draws.
func (v *vectors) checkGarbage(t *testing.T, tok *Tokenizer) {
	want := digests(t, v.Garbage)
	x := uint64(1)
	for range 300 {
		ids := make([]int32, 8)
		for i := range ids {
			x = x*6364136223846793005 + 1442695040888963407
			ids[i] = int32((x >> 33) % uint64(tok.Len()+1))
		}
		if s := tok.Decode(ids, false); digest([]byte(s)) != want() {
			t.Fatalf("Decode(%v) = %q of %q, which is not the reference's", ids, s, spelled(tok, ids))
		}
	}
}

func spelled(tok *Tokenizer, ids []int32) []string {
	var out []string
	for _, id := range ids {
		out = append(out, tok.Token(id))
	}
	return out
}

// stream decodes one token at a time.
func stream(tok *Tokenizer, ids []int32, skipSpecial bool) string {
	d := tok.Decoder(skipSpecial)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(d.Next(id))
	}
	b.WriteString(d.Flush())
	return b.String()
}

var checkpoint = flag.String("checkpoint", "", "file with a real tokenizer and vectors; scripts of tools/parity pass it")

// TestCheckpoint compares a real model's tokenizer: the one that a GGUF file describes, the tokenizer.json, and the latter
// as JSON writes it again. It prints how much was equal.
func TestCheckpoint(t *testing.T) {
	if *checkpoint == "" {
		t.Skip("no checkpoint given")
	}
	data, err := os.ReadFile(*checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		GGUF    *GGUF    `json:"gguf"` // may be missing
		Vectors vectors  `json:"vectors"`
		Texts   []string `json:"texts"` // what the vectors are about, if not the frozen strings
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if f.Texts == nil {
		load(t, "strings", &f.Texts)
	}
	if f.GGUF != nil {
		tok, err := FromGGUF(*f.GGUF)
		if err != nil {
			t.Fatal(err)
		}
		f.Vectors.checkTexts(t, tok, f.Texts)
	}
	f.Vectors.checkReal(t, f.Texts)
}

func (v *vectors) checkReal(t *testing.T, texts []string) {
	start := time.Now()
	tok, err := Parse(v.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d tokens parsed in %v", tok.Len(), time.Since(start))
	v.checkTexts(t, tok, texts)
	v.checkGarbage(t, tok)
	v.checkPieces(t, tok, texts)
	written, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(written)
	if err != nil {
		t.Fatal(err)
	}
	v.checkTexts(t, again, texts)
	if !t.Failed() {
		t.Logf("equal: %d strings, %d tokens in the vocabulary", len(texts), tok.Len())
	}
}

// canonical reads JSON for comparison; the order of a list counts, that of keys does not.
func canonical(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTrain(t *testing.T) {
	var want []struct {
		Size   int         `json:"size"`
		Vocab  []string    `json:"vocab"`
		Merges [][2]string `json:"merges"`
	}
	load(t, "trained", &want)
	var texts []string
	load(t, "strings", &texts)
	for i, corpus := range [][]string{texts[:3000], dense()} {
		for range 2 {
			tok, err := Train(slices.Values(corpus), want[i].Size, []string{"<|endoftext|>", "<|im_start|>"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i].Vocab, tok.tokens); diff != "" {
				t.Errorf("corpus %d: vocabulary (-reference +ours):\n%s", i, diff)
			}
			if diff := cmp.Diff(want[i].Merges, [][2]string(tok.file.Model.Merges)); diff != "" {
				t.Errorf("corpus %d: merges (-reference +ours):\n%s", i, diff)
			}
			slices.Reverse(corpus) // the order of the texts must not matter
		}
	}
}

// dense is the script's corpus of words of few letters.
func dense() []string {
	x := uint64(7)
	var out []string
	for i := range 2000 {
		var word []byte
		for range 3 + i%10 {
			x = x*6364136223846793005 + 1442695040888963407
			word = append(word, "abc"[(x>>33)%3])
		}
		out = append(out, string(word))
	}
	return out
}

func TestUnicode(t *testing.T) {
	var want struct {
		Classes map[string][][2]rune `json:"classes"`
		NFC     string               `json:"nfc"`
	}
	load(t, "unicode", &want)
	masks := map[string]uint8{"letter": letter, "number": number, "space": space, "upper": upper, "lower": lower, "uncased": uncased, "numeric": numeric, "word": word}
	if len(want.Classes) != len(masks) {
		t.Fatalf("%d classes, want %d", len(want.Classes), len(masks))
	}
	for name, ranges := range want.Classes {
		var got [][2]rune
		for c := rune(0); c <= utf8.MaxRune; c++ {
			if classes().rune(c)&masks[name] == 0 {
				continue
			}
			if n := len(got); n > 0 && got[n-1][1] == c-1 {
				got[n-1][1] = c
			} else {
				got = append(got, [2]rune{c, c})
			}
		}
		if diff := cmp.Diff(ranges, got); diff != "" {
			t.Errorf("class %s (-reference +ours):\n%s", name, diff)
		}
	}
	next := digests(t, want.NFC)
	for block := rune(0); block <= utf8.MaxRune; block += 256 {
		if probe := composedBlock(block); digest([]byte(probe)) != next() {
			t.Errorf("NFC of the characters from U+%04X on differs", block)
		}
	}
}

// composedBlock is what the script hashes of 256 characters.
func composedBlock(block rune) string {
	var text []string
	add := func(s string) {
		s, _ = nfc(s, mask{})
		text = append(text, s)
	}
	for c := block; c < block+256; c++ {
		if 0xd800 <= c && c <= 0xdfff {
			continue
		}
		add(string(c))
		if block < 0x3200 || 0xa600 <= block && block < 0xb000 || 0xf900 <= block && block < 0x12000 || block == 0x16f00 || 0x1d100 <= block && block < 0x1f000 {
			for _, p := range []rune{0x334, 0x93c, 0x3099, 0x94d, 0x321, 0x323, 0x301, 0x345} {
				add("q" + string(c) + string(p))
				add("q" + string(p) + string(c))
			}
		}
	}
	return strings.Join(text, "\n")
}
