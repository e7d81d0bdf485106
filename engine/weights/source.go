package weights

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because/engine/gguf"
	"github.com/because-lab/because/engine/llama"
)

// tensorSource is what folders and GGUF files have in common.
type tensorSource interface {
	llama.Source
	io.Closer
	Names() []string
}

// Source is an open checkpoint: a Hugging Face folder or a GGUF file. Its
// tensors stay in the file, mapped into memory where the system can, until they
// are read. It is a [llama.Source]; its methods may be called from many
// goroutines.
type Source struct {
	path    string
	tensors tensorSource
	gguf    *gguf.File // nil for a folder
}

var _ llama.Source = (*Source)(nil)

// OpenSource opens a folder or a GGUF file and checks that it holds exactly the
// tensors of a supported model. Folders hold model.safetensors, or shards with
// model.safetensors.index.json; one that has no config.json but a single GGUF
// file stands for that file. The caller closes the source.
func OpenSource(path string) (*Source, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: open: %w", err)
	}
	s := &Source{path: path}
	if st.IsDir() {
		if file := onlyGGUF(path); file != "" {
			return OpenSource(file)
		}
		s.tensors, err = openFolder(path)
	} else {
		err = s.openGGUF(path)
	}
	if err != nil {
		return nil, err
	}
	asks := configName
	if s.gguf != nil {
		asks = "its metadata"
	}
	if err := checkTensors(s.tensors, asks); err != nil {
		return nil, errors.Join(fmt.Errorf("weights: load %s: %w", path, err), s.Close())
	}
	return s, nil
}

// onlyGGUF gives the GGUF file of a folder that has nothing else to load.
func onlyGGUF(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
		return ""
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // opening the folder will tell
	}
	found := ""
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".gguf") {
			if found != "" {
				return ""
			}
			found = filepath.Join(dir, e.Name())
		}
	}
	return found
}

// openGGUF opens a file.
func (s *Source) openGGUF(path string) error {
	if strings.HasSuffix(path, ".safetensors") {
		return fmt.Errorf("weights: open %s: it holds tensors alone; give the folder with its %s", path, configName)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	model, err := f.Source()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.gguf = f
	s.tensors = ggufModel{model, f}
	return nil
}

// ggufModel is the model in a file, together with the file.
type ggufModel struct {
	*gguf.Source
	io.Closer
}

// Config gives the sizes of the model.
func (s *Source) Config() llama.Config { return s.tensors.Config() }

// Names lists the tensors under their Hugging Face names, sorted.
func (s *Source) Names() []string { return s.tensors.Names() }

// Shape gives a tensor's shape, outermost dimension first, and whether there is
// such a tensor.
func (s *Source) Shape(name string) ([]int, bool) { return s.tensors.Shape(name) }

// Read fills dst with elements of a tensor from element at on, row-major,
// converted to float32.
func (s *Source) Read(name string, at int, dst []float32) error { return s.tensors.Read(name, at, dst) }

// Close closes the files; reads after it are errors.
func (s *Source) Close() error { return s.tensors.Close() }

// Path is what was opened: a folder or a file.
func (s *Source) Path() string { return s.path }

// MemoryF32 is the size in bytes of the parameters as float32; a tied head
// counts once.
func (s *Source) MemoryF32() int64 {
	matrices, vectors := s.elements()
	return 4 * (matrices + vectors)
}

// MemoryBF16 is the size in bytes with matrices as bfloat16 and the rest as
// float32.
func (s *Source) MemoryBF16() int64 {
	matrices, vectors := s.elements()
	return 2*matrices + 4*vectors
}

// elements counts the elements in matrices and in norms and biases.
func (s *Source) elements() (matrices, vectors int64) {
	for _, shape := range layout(s.Config()) {
		if len(shape) > 1 {
			matrices += int64(product(shape))
		} else {
			vectors += int64(product(shape))
		}
	}
	return matrices, vectors
}
