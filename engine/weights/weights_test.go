package weights

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/engine/tokenizer"
)

var testConfig = llama.Config{
	VocabSize: 9, HiddenSize: 8, IntermediateSize: 6, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4,
	MaxPositions: 16, RopeTheta: 5000, NormEps: 1e-6, TieEmbeddings: true,
}

func testCheckpoint(t testing.TB, c llama.Config) *Checkpoint {
	t.Helper()
	m, err := llama.New(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New([]string{"a", "b", "c"}, []string{"<pad>", "<eos>", "<user>"})
	if err != nil {
		t.Fatal(err)
	}
	return &Checkpoint{Model: m, Tokenizer: tok, Special: Special{EOS: "<eos>", Pad: "<pad>"}, ChatTemplate: "{% for m in messages %}<user> {{ m.content }} {% endfor %}"}
}

func TestSaveLoad(t *testing.T) {
	untied := testConfig
	untied.TieEmbeddings = false
	for _, c := range []llama.Config{testConfig, untied} {
		want := testCheckpoint(t, c)
		dir := filepath.Join(t.TempDir(), "new", "checkpoint")
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("loaded %+v, saved %+v", got, want)
		}
		again := filepath.Join(t.TempDir(), "again")
		if err := Save(again, got); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{configName, tensorsName, tokenizerName, tokConfigName, generationName} {
			if a, b := readFile(t, filepath.Join(dir, name)), readFile(t, filepath.Join(again, name)); !bytes.Equal(a, b) {
				t.Errorf("%s differs when saved again", name)
			}
		}
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSaveLeavesNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	c := testCheckpoint(t, testConfig)
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Save(full, c); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("save over a folder in use: %v", err)
	}
	if os.Getuid() != 0 {
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o555); err != nil {
			t.Fatal(err)
		}
		if err := Save(filepath.Join(locked, "c"), c); err == nil {
			t.Error("save into a read-only folder succeeded")
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Save(file, c); err == nil {
		t.Error("save onto a file succeeded")
	}
	c.Special.EOS = "a"
	if err := Save(filepath.Join(dir, "bad"), c); err == nil || !strings.Contains(err.Error(), `eos token "a" is not a special token`) {
		t.Errorf("save with a plain word as eos: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"full", "file", "locked"}, e.Name()) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// TestLoadErrors damages each file of a checkpoint.
func TestLoadErrors(t *testing.T) {
	for _, tc := range []struct {
		file   string
		damage func([]byte) []byte
		want   string
	}{
		{configName, func(b []byte) []byte { return b[:40] }, "unexpected end of JSON"},
		{configName, replace(`"hidden_size": 8`, `"hidden_size": 16`), "config.json asks for"},
		{configName, replace(`"hidden_size": 8`, `"hidden_size": 1e99`), "hidden_size"},
		{configName, replace(`"vocab_size": 9`, `"vocab_size": 900000000`), "it holds 784 parameters, config.json asks for 72"},
		{configName, replace(`"num_hidden_layers": 2`, `"num_hidden_layers": -2`), "num_hidden_layers is -2"},
		{configName, replace(`"num_hidden_layers": 2`, `"num_hidden_layers": 1`), `"model.layers.1.`},
		{configName, replace(`"vocab_size"`, `"vocab"`), "vocab_size is missing"},
		{configName, replace(`"model_type": "llama"`, `"model_type": "gpt2"`), `model_type is "gpt2"`},
		{configName, replace(`"silu"`, `"gelu"`), `hidden_act is "gelu"`},
		{configName, replace(`"rope_scaling": null`, `"rope_scaling": {"rope_type": "yarn"}`), `rope_scaling: it is of type "yarn"`},
		{configName, replace(`"attention_bias": false`, `"attention_bias": true`), "these biases are not supported"},
		{tensorsName, func(b []byte) []byte { return b[:len(b)-1] }, "truncated?"},
		{tensorsName, func(b []byte) []byte { return b[:5] }, "too few for a safetensors header"},
		{tensorsName, func(b []byte) []byte { return append(b, 0) }, "the tensors end at byte"},
		{tensorsName, replace("model.norm.weight", "model.nurm.weight"), `"model.norm.weight" is missing`},
		{tokenizerName, func(b []byte) []byte { return b[:len(b)/2] }, "unexpected end of JSON"},
		{tokConfigName, replace(`"<eos>"`, `"<end>"`), `eos token "<end>" is not a special token`},
	} {
		dir := filepath.Join(t.TempDir(), "c")
		if err := Save(dir, testCheckpoint(t, testConfig)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, tc.file)
		old := readFile(t, path)
		bad := tc.damage(slices.Clone(old))
		if bytes.Equal(old, bad) {
			t.Fatalf("%s: the damage for %q changed nothing", tc.file, tc.want)
		}
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want %q and the folder in it", tc.file, err, tc.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("a missing folder: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

func TestOptimizerState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "optimizer.safetensors")
	want := optim.State{Step: 17, M: []float32{1, -2.5, 3e-30}, V: []float32{0, 1e-12, 7}}
	for range 2 { // the second replaces the first
		if err := SaveOptimizer(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LoadOptimizer(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v, %v; want %+v", got, err, want)
	}
}
