package pretrained

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/bpe"
	"github.com/because-lab/because/engine/gguf"
	"github.com/because-lab/because/engine/weights"
)

// vocabularies are the files of llama.cpp whose families are supported. Beside NAME.gguf lie texts (.inp) and the tokens that
// llama.cpp expects of them (.out).
var vocabularies = []string{"llama-bpe", "llama-spm", "qwen2", "gpt-2", "phi-3"}

// separator ends each text.
const separator = "\n__ggml_vocab_test__\n"

// TestVocabularies reads real tokenizers out of GGUF files. They are not part of the repository: BECAUSE_VOCABULARIES names
// their folder, as tools/parity/real_tokenizers.py does.
func TestVocabularies(t *testing.T) {
	folder := os.Getenv("BECAUSE_VOCABULARIES")
	if folder == "" {
		t.Skip("BECAUSE_VOCABULARIES is not set")
	}
	for _, name := range vocabularies {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder, "ggml-vocab-"+name+".gguf")
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			fields, err := f.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer(&weights.Text{GGUF: &fields})
			if err != nil {
				t.Fatal(err)
			}
			texts := strings.Split(strings.TrimSuffix(read(t, path+".inp"), separator), separator)
			lines := strings.Split(strings.TrimSuffix(read(t, path+".out"), "\n"), "\n")
			if len(texts) != len(lines) {
				t.Fatalf("%d texts, tokens of %d", len(texts), len(lines))
			}
			for i, text := range texts {
				if got, want := tok.Encode(text, bpe.Options{}), numbers(t, lines[i]); !slices.Equal(got, want) {
					t.Errorf("Encode(%q) = %v, want %v", text, got, want)
				}
			}
			t.Logf("%d texts, %d tokens in the vocabulary", len(texts), tok.Len())
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func numbers(t *testing.T, line string) []int32 {
	t.Helper()
	var out []int32
	for _, word := range strings.Fields(line) {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, int32(n))
	}
	return out
}
