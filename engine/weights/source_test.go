package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/llama"
)

const regenerate = "regenerate it with: python tools/parity/gguf_checkpoints.py vectors"

// architectures are the models under testdata, which transformers and gguf-py wrote.
func architectures() map[string]llama.Config {
	base := llama.Config{
		VocabSize: 32, HiddenSize: 24, IntermediateSize: 16, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8, MaxPositions: 64,
		RopeTheta: 1e6, NormEps: 1e-5,
	}
	llama3, linear, qwen2, qwen3 := base, base, base, base
	llama3.HeadDim, llama3.TieEmbeddings, llama3.RopeTheta = 32, true, 500000
	llama3.Rope = llama.RopeScaling{Kind: "llama3", Factor: 8, Low: 1, High: 4, Original: 8192}
	linear.HeadDim, linear.RopeTheta = 6, 10000
	linear.Rope = llama.RopeScaling{Kind: "linear", Factor: 4}
	qwen2.HeadDim, qwen2.TieEmbeddings, qwen2.QKVBias = 6, true, true
	qwen3.QKNorm = true
	return map[string]llama.Config{"llama": llama3, "linear": linear, "mistral": base, "qwen2": qwen2, "qwen3": qwen3}
}

func openSource(t testing.TB, path string) *Source {
	t.Helper()
	s, err := OpenSource(path)
	if err != nil {
		t.Fatalf("%v; %s", err, regenerate)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func readTensor(t testing.TB, s llama.Source, name string) []float32 {
	t.Helper()
	shape, ok := s.Shape(name)
	if !ok {
		t.Fatalf("there is no %q", name)
	}
	x := make([]float32, product(shape))
	if err := s.Read(name, 0, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestArchitectures reads each model as the folder that transformers wrote
// (F32, F16, BF16; some sharded) and as the GGUF that llama.cpp's converter
// would make of it: the same config, and every tensor the same.
func TestArchitectures(t *testing.T) {
	for name, want := range architectures() {
		t.Run(name, func(t *testing.T) {
			folder, file := openSource(t, filepath.Join("testdata", name)), openSource(t, filepath.Join("testdata", name+".gguf"))
			if folder.Config() != want || file.Config() != want {
				t.Errorf("folder's config is %+v,\nfile's %+v,\nwant %+v", folder.Config(), file.Config(), want)
			}
			names := slices.Sorted(maps.Keys(maps.Collect(layout(want))))
			if !slices.Equal(folder.Names(), names) || !slices.Equal(file.Names(), names) {
				t.Fatalf("folder has %v,\nfile %v,\nwant %v", folder.Names(), file.Names(), names)
			}
			total := int64(0)
			for _, n := range names {
				a, b := readTensor(t, folder, n), readTensor(t, file, n)
				total += int64(len(a))
				if !slices.Equal(a, b) {
					t.Errorf("%s differs", n)
				}
				if slices.Max(a) < 0.1 {
					t.Errorf("%s is empty", n)
				}
			}
			if got := folder.MemoryF32(); got != 4*total || file.MemoryF32() != got || file.MemoryBF16() >= got || file.MemoryBF16() < got/2 {
				t.Errorf("memory is %d and %d, want %d", got, file.MemoryBF16(), 4*total)
			}
			testReadRange(t, folder)
		})
	}
}

func testReadRange(t *testing.T, s *Source) {
	t.Helper()
	const name = "model.norm.weight"
	all, part := readTensor(t, s, name), make([]float32, 5)
	if err := s.Read(name, 7, part); err != nil || !slices.Equal(part, all[7:12]) {
		t.Errorf("a part is %v, %v; want %v", part, err, all[7:12])
	}
	if s.Read(name, len(all)-4, part) == nil || s.Read(name, -1, part) == nil || s.Read("none", 0, part) == nil {
		t.Error("a read outside of the tensor succeeded")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Read(name, 0, part) == nil {
		t.Error("a read after Close succeeded")
	}
}

// TestLoadAndSaveArchitectures loads each model, writes it and reads it again.
func TestLoadAndSaveArchitectures(t *testing.T) {
	for name, want := range architectures() {
		m, err := LoadModel(filepath.Join("testdata", name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		source := openSource(t, filepath.Join("testdata", name))
		dir := filepath.Join(t.TempDir(), "saved")
		id := int32(2)
		if err := SaveModel(dir, m, SaveOptions{EOS: []int32{2, 3}, Pad: &id, Files: map[string][]byte{tokenizerName: []byte("{}")}}); err != nil {
			t.Fatal(err)
		}
		saved := openSource(t, dir)
		if saved.Config() != want {
			t.Errorf("%s: saved config is %+v, want %+v", name, saved.Config(), want)
		}
		if !slices.Equal(saved.Names(), source.Names()) {
			t.Fatalf("%s: saved are %v", name, saved.Names())
		}
		for _, n := range source.Names() {
			if !slices.Equal(readTensor(t, saved, n), readTensor(t, source, n)) {
				t.Errorf("%s: %s differs", name, n)
			}
		}
		var config struct {
			Architectures []string `json:"architectures"`
			Type          string   `json:"model_type"`
			EOS           []int    `json:"eos_token_id"`
			BOS           *int     `json:"bos_token_id"`
		}
		if err := json.Unmarshal(readFile(t, filepath.Join(dir, configName)), &config); err != nil {
			t.Fatal(err)
		}
		kind := map[string]string{"qwen2": "qwen2", "qwen3": "qwen3"}[name]
		if kind == "" {
			kind = "llama"
		}
		if config.Type != kind || config.Architectures[0] != families[kind].architecture || !slices.Equal(config.EOS, []int{2, 3}) || config.BOS != nil {
			t.Errorf("%s: config.json says %+v", name, config)
		}
		text, err := saved.Text()
		if err != nil || string(text.TokenizerJSON) != "{}" || !slices.Equal(text.End, []int32{2, 3}) {
			t.Errorf("%s: text is %+v, %v", name, text, err)
		}
	}
}

// TestSaveBF16 rounds as PyTorch does: to nearest, ties to even.
func TestSaveBF16(t *testing.T) {
	for _, tc := range []struct {
		bits uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf80ffff, 0xbf81},
		{0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0x7fc00001, 0x7fc0}, {0x00000001, 0}, {0x80000000, 0x8000},
	} {
		if got := toBF16(math.Float32frombits(tc.bits)); got != tc.want {
			t.Errorf("%#x becomes %#x, want %#x", tc.bits, got, tc.want)
		}
	}
	m, err := LoadModel(filepath.Join("testdata", "mistral"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "saved")
	if err := SaveModel(dir, m, SaveOptions{BF16: true}); err != nil {
		t.Fatal(err)
	}
	saved := openSource(t, dir)
	for _, x := range m.Tensors() {
		for i, v := range readTensor(t, saved, x.Name) {
			if math.Abs(float64(v-x.Data[i])) > math.Abs(float64(x.Data[i]))/256 {
				t.Fatalf("%s: element %d is %v, was %v", x.Name, i, v, x.Data[i])
			}
		}
	}
	if err := SaveModel(filepath.Join(t.TempDir(), "x"), m, SaveOptions{Files: map[string][]byte{"../evil": nil}}); err == nil {
		t.Error("a file outside of the folder was accepted")
	}
}

// TestGGUFInFolder opens a folder that holds a GGUF file alone.
func TestGGUFInFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.gguf"), readFile(t, "testdata/qwen2.gguf"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := openSource(t, dir); s.Config() != architectures()["qwen2"] || s.Path() != filepath.Join(dir, "m.gguf") {
		t.Errorf("%s has config %+v", s.Path(), s.Config())
	}
	if err := os.WriteFile(filepath.Join(dir, "n.gguf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSource(dir); err == nil || !strings.Contains(err.Error(), configName) {
		t.Errorf("a folder with two: %v", err)
	}
}

// copyModel copies a model of testdata to a folder that may be damaged.
func copyModel(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSourceErrors damages folders.
func TestSourceErrors(t *testing.T) {
	const shard = "model-00001-of-00003.safetensors"
	remove := func([]byte) []byte { return nil }
	for _, tc := range []struct {
		model, file string
		damage      func([]byte) []byte
		want        string
	}{
		{"qwen3", indexName, remove, "model.safetensors: file does not exist"},
		{"qwen3", indexName, func(b []byte) []byte { return b[:50] }, "unexpected end of JSON"},
		{"qwen3", indexName, replace("weight_map", "weight_mop"), "weight_map is missing"},
		{"qwen3", indexName, replace(`"`+shard, `"../`+shard), "want the name of a .safetensors file"},
		{"qwen3", indexName, replace(`"`+shard, `"model.bin`), "want the name of a .safetensors file"},
		{"qwen3", indexName, replace(`"`+shard, `"model-00002-of-00003.safetensors`), "is not in model-00002"},
		{"qwen3", indexName, replace("model.norm.weight", "model.nurm.weight"), `the tensor "model.nurm.weight" is not in`},
		{"qwen3", shard, remove, shard},
		{"qwen3", shard, func(b []byte) []byte { return b[:len(b)-1] }, "truncated?"},
		{"qwen3", configName, remove, "config.json"},
		{"qwen3", configName, replace(`"qwen3"`, `"qwen2"`), `the tensor "model.layers.0.self_attn.q_proj.bias" is missing`},
		{"qwen2", configName, replace(`"qwen2"`, `"llama"`), `the tensor "model.layers.0.self_attn.k_proj.bias" is not part of`},
		{"qwen3", configName, replace(`"head_dim": 8`, `"head_dim": 4`), "q_proj.weight\" has shape [32 24], config.json asks for [16 24]"},
		{"qwen2", configName, replace(`"use_sliding_window": false`, `"use_sliding_window": true, "sliding_window": 7`), "sliding_window"},
		{"mistral", configName, replace(`"sliding_window": null`, `"sliding_window": 32`), "sliding_window is 32, less than"},
		{"mistral", configName, replace(`"max_position_embeddings": 64`, `"max_position_embeddings": 6400, "sliding_windows": 1`), ""},
		{"mistral", configName, replace(`"sliding_window"`, `"sliding"`), ""},
		{"mistral", configName, replace(`"num_key_value_heads"`, `"kv"`), "num_key_value_heads is missing"},
		{"linear", configName, replace(`"factor": 4.0`, `"factor": 0.5`), "factor is missing or below 1"},
		{"llama", configName, replace(`"low_freq_factor": 1.0`, `"low_freq_factor": 9`), "want 0 < low_freq_factor < high_freq_factor"},
		{"llama", configName, replace(`"low_freq_factor"`, `"low"`), "low_freq_factor, high_freq_factor or"},
		{"llama", configName, replace(`"llama3"`, `"longrope"`), `rope_parameters: it is of type "longrope"`},
		{"llama", configName, replace(`"vocab_size"`, `"partial_rotary_factor": 0.5, "vocab_size"`), "only whole heads"},
		{"llama", configName, replace(`"vocab_size"`, `"quantization_config": {"bits": 4}, "vocab_size"`), "quantised folders are not supported"},
		{"llama", configName, replace(`"vocab_size"`, `"rope_scaling": {"type": "linear", "factor": 2}, "vocab_size"`), "differ"},
	} {
		dir := copyModel(t, tc.model)
		path := filepath.Join(dir, tc.file)
		old := readFile(t, path)
		if bad := tc.damage(slices.Clone(old)); bad == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if reflect.DeepEqual(old, bad) {
			t.Fatalf("%s: the damage for %q changed nothing", tc.file, tc.want)
		} else if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := OpenSource(dir)
		switch {
		case err == nil && tc.want == "":
			s.Close()
		case err == nil || tc.want == "" || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), dir):
			t.Errorf("%s: error %v, want %q and the folder in it", tc.file, err, tc.want)
		}
	}
}

// TestMistralWindow knows the default of transformers: a file of Mistral
// without the key has a window of 4096.
func TestMistralWindow(t *testing.T) {
	data := readFile(t, "testdata/mistral/config.json")
	long := replace(`"max_position_embeddings": 64`, `"max_position_embeddings": 32768`)(data)
	if _, err := parseConfig(long); err != nil {
		t.Errorf("window null: %v", err)
	}
	if _, err := parseConfig(replace(`"sliding_window"`, `"other"`)(long)); err == nil || !strings.Contains(err.Error(), "sliding_window is 4096") {
		t.Errorf("no window: %v", err)
	}
}

func TestOtherFiles(t *testing.T) {
	dir := copyModel(t, "mistral")
	if _, err := OpenSource(filepath.Join(dir, tensorsName)); err == nil || !strings.Contains(err.Error(), "give the folder") {
		t.Errorf("a file of tensors: %v", err)
	}
	if _, err := OpenSource(filepath.Join(dir, configName)); err == nil || !strings.Contains(err.Error(), "not a GGUF file") {
		t.Errorf("another file: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, tensorsName), filepath.Join(dir, "pytorch_model.bin")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSource(dir); err == nil || !strings.Contains(err.Error(), "PyTorch's format") {
		t.Errorf("PyTorch's format: %v", err)
	}
}

func TestFits(t *testing.T) {
	if err := Fits(1); err != nil {
		t.Error(err)
	}
	available, ok := availableMemory()
	if !ok {
		t.Skip("the system does not tell its memory")
	}
	if available < 1<<20 || available > 1<<50 {
		t.Errorf("%d bytes of memory are available", available)
	}
	if err := Fits(1 << 60); err == nil || !strings.Contains(err.Error(), "it needs 1073741824.0 GiB of memory, but only") {
		t.Error(err)
	}
}

// TestTransformersTensors compares a checkpoint with transformers' reading of
// it; tools/parity/gguf_checkpoints.py makes the list and runs this test.
func TestTransformersTensors(t *testing.T) {
	path, list := os.Getenv("BECAUSE_PARITY_CHECKPOINT"), os.Getenv("BECAUSE_PARITY_TENSORS")
	if path == "" || list == "" {
		t.Skip("run it through tools/parity/gguf_checkpoints.py check")
	}
	var want map[string]struct {
		Shape  []int  `json:"shape"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(readFile(t, list), &want); err != nil {
		t.Fatal(err)
	}
	s := openSource(t, path)
	if !slices.Equal(s.Names(), slices.Sorted(maps.Keys(want))) {
		t.Errorf("tensors are %v", s.Names())
	}
	for name, w := range want {
		shape, _ := s.Shape(name)
		x := readTensor(t, s, name)
		data := make([]byte, 4*len(x))
		for i, v := range x {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
		if sum := sha256.Sum256(data); !slices.Equal(shape, w.Shape) || hex.EncodeToString(sum[:]) != w.SHA256 {
			t.Errorf("%s of shape %v differs from transformers' of shape %v", name, shape, w.Shape)
		}
	}
	t.Logf("%d tensors are equal bit for bit; config %+v", len(want), s.Config())
}
