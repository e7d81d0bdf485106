package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/because-lab/because/engine/llama"
)

const indexName = "model.safetensors.index.json"

// maxShards bounds how many files an index may name.
const maxShards = 4096

// folder is the model of a Hugging Face folder.
type folder struct {
	dir   string
	cfg   llama.Config
	files []*File
	where map[string]*File // the file of each tensor
}

// openFolder reads config.json and the headers of all shards.
func openFolder(dir string) (*folder, error) {
	path := filepath.Join(dir, configName)
	data, err := readSmall(path)
	f := &folder{dir: dir, where: map[string]*File{}}
	if err == nil {
		f.cfg, err = parseConfig(data)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: load %s: %w", path, err)
	}
	f.cfg = withSizes(f.cfg)
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// withSizes fills the sizes that a file may leave out.
func withSizes(c llama.Config) llama.Config {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.HiddenSize / c.Heads
	}
	return c
}

// open opens model.safetensors or the shards of the index.
func (f *folder) open() error {
	single := filepath.Join(f.dir, tensorsName)
	if _, err := os.Stat(single); err == nil {
		return f.add(single)
	}
	path := filepath.Join(f.dir, indexName)
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.noTensors(single)
	}
	var shards map[string]string
	if err == nil {
		shards, err = parseIndex(data)
	}
	if err != nil {
		return fmt.Errorf("weights: load %s: %w", path, err)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(shards))) {
		if err := f.add(filepath.Join(f.dir, name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shards)) {
		if file := f.where[name]; file == nil || filepath.Base(file.path) != shards[name] {
			return fmt.Errorf("weights: load %s: the tensor %q is not in %s", path, name, shards[name])
		}
	}
	return nil
}

// noTensors says why a folder cannot be loaded.
func (f *folder) noTensors(single string) error {
	for _, old := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json"} {
		if _, err := os.Stat(filepath.Join(f.dir, old)); err == nil {
			return fmt.Errorf("weights: load %s: the tensors are in PyTorch's format (%s); only safetensors are read (hint: transformers' save_pretrained writes them)", f.dir, old)
		}
	}
	return fmt.Errorf("weights: load %s: %w", single, fs.ErrNotExist)
}

// parseIndex reads the map from tensors to files. The files' names are plain
// names within the folder.
func parseIndex(data []byte) (map[string]string, error) {
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	if len(index.Map) == 0 {
		return nil, errors.New("weight_map is missing or empty")
	}
	files := map[string]bool{}
	for name, file := range index.Map {
		if file == "" || file != filepath.Base(file) || !filepath.IsLocal(file) || filepath.Ext(file) != ".safetensors" {
			return nil, fmt.Errorf("weight_map: %q is in %q, want the name of a .safetensors file of the folder", name, file)
		}
		files[file] = true
	}
	if len(files) > maxShards {
		return nil, fmt.Errorf("weight_map names %d files, at most %d are supported", len(files), maxShards)
	}
	return index.Map, nil
}

// add opens one file of tensors.
func (f *folder) add(path string) error {
	file, err := Open(path)
	if err != nil {
		return err
	}
	f.files = append(f.files, file)
	for _, t := range file.tensors {
		if other := f.where[t.Name]; other != nil {
			return fmt.Errorf("weights: load %s: the tensor %q is in %s too", path, t.Name, other.path)
		}
		f.where[t.Name] = file
	}
	return nil
}

// Config gives the sizes, those that the file leaves out too.
func (f *folder) Config() llama.Config { return f.cfg }

// Names lists the tensors, sorted.
func (f *folder) Names() []string { return slices.Sorted(maps.Keys(f.where)) }

// Shape gives a tensor's shape and whether there is such a tensor.
func (f *folder) Shape(name string) ([]int, bool) {
	file := f.where[name]
	if file == nil {
		return nil, false
	}
	t, ok := file.Find(name)
	return t.Shape, ok
}

// Read fills dst with elements of a tensor from element at on.
func (f *folder) Read(name string, at int, dst []float32) error {
	file := f.where[name]
	if file == nil {
		return fmt.Errorf("weights: read %s: there is no tensor %q", f.dir, name)
	}
	t, _ := file.Find(name)
	return file.ReadRange(t, at, dst)
}

// Close closes the files.
func (f *folder) Close() error {
	var failed error
	for _, file := range f.files {
		failed = errors.Join(failed, file.Close())
	}
	return failed
}

// maxSmall bounds the files that are read as a whole; tokenizer.json of large
// vocabularies has tens of megabytes.
const maxSmall = 1 << 28

// readSmall reads a file beside the tensors.
func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxSmall || st.IsDir() {
		return nil, fmt.Errorf("it is a folder or larger than %d bytes", maxSmall)
	}
	return os.ReadFile(path)
}
