package gguf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because/engine/llama"
)

// Source is the model in a file: its tensors under Hugging Face's names and in Hugging Face's order of rows. It is a
// [llama.Source], and its methods may be called from many goroutines while the file is open.
type Source struct {
	f       *File
	cfg     llama.Config
	tensors map[string]sourceTensor
}

var _ llama.Source = (*Source)(nil)

// sourceTensor says where a tensor is and in which order its rows are.
type sourceTensor struct {
	TensorInfo
	heads int // of rows to put back into order; 0 where they are in order
}

// Source finds the model in the file. Errors name what is not supported: the architecture, a key of the metadata that
// would change the arithmetic, a tensor or its type. Nothing is read but the header and the table of rotary factors.
func (f *File) Source() (*Source, error) {
	s := &Source{f: f, tensors: make(map[string]sourceTensor, len(f.tensors))}
	err := f.oneFile()
	if err == nil {
		s.cfg, err = f.config()
	}
	if err == nil {
		err = s.name()
	}
	if err != nil {
		return nil, fmt.Errorf("gguf: model in %s: %w", f.Path(), err)
	}
	return s, nil
}

// oneFile refuses a part of a model that is split over files.
func (f *File) oneFile() error {
	if !f.Has("split.count") {
		return nil
	}
	if n, err := f.Int("split.count"); err != nil || n > 1 {
		return fmt.Errorf("it is one of %d parts; merge them first (llama-gguf-split --merge)", n)
	}
	return nil
}

// outerNames and layerNames map the file's names to Hugging Face's.
var outerNames = map[string]string{
	"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight",
}

var layerNames = map[string]string{
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

// name gives every tensor its Hugging Face name.
func (s *Source) name() error {
	arch, err := s.f.String("general.architecture")
	if err != nil {
		return err
	}
	for _, t := range s.f.tensors {
		if t.Name == ropeFreqs {
			continue // it is part of the config
		}
		name, role, ok := hfName(t.Name)
		if !ok {
			return fmt.Errorf("the tensor %q is not part of a supported model", t.Name)
		}
		if !t.Type.Supported() {
			return fmt.Errorf("the tensor %q is of type %v, which is not supported", t.Name, t.Type)
		}
		st := sourceTensor{TensorInfo: t}
		if arch == "llama" {
			st.heads = s.permutedHeads(role)
		}
		if rows := t.Shape; st.heads > 0 && (len(rows) == 0 || rows[0] != st.heads*s.cfg.HeadDim) {
			return fmt.Errorf("the tensor %q has shape %v, want %d rows", t.Name, rows, st.heads*s.cfg.HeadDim)
		}
		s.tensors[name] = st
	}
	return nil
}

// permutedHeads gives the number of heads in a tensor whose rows llama.cpp's converter has reordered.
func (s *Source) permutedHeads(role string) int {
	switch role {
	case "attn_q":
		return s.cfg.Heads
	case "attn_k":
		return s.cfg.KVHeads
	}
	return 0
}

// hfName translates a tensor's name. The role is its part without the layer and the suffix.
func hfName(name string) (hf, role string, ok bool) {
	if hf, ok := outerNames[name]; ok {
		return hf, "", true
	}
	rest, ok := strings.CutPrefix(name, "blk.")
	layer, rest, found := strings.Cut(rest, ".")
	role, suffix, dotted := strings.Cut(rest, ".")
	hf = layerNames[role]
	if !ok || !found || !dotted || hf == "" || !isIndex(layer) || suffix != "weight" && suffix != "bias" {
		return "", "", false
	}
	return "model.layers." + layer + "." + hf + "." + suffix, role, true
}

// isIndex accepts a decimal number without leading zeros, so that a name stands for one layer only.
func isIndex(s string) bool {
	if s == "" || len(s) > 9 || len(s) > 1 && s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// Config gives the sizes of the model.
func (s *Source) Config() llama.Config { return s.cfg }

// Names lists the tensors' names in Hugging Face's terms, sorted.
func (s *Source) Names() []string { return slices.Sorted(maps.Keys(s.tensors)) }

// Shape gives a tensor's shape, outermost dimension first, and whether there is such a tensor.
func (s *Source) Shape(name string) ([]int, bool) {
	t, ok := s.tensors[name]
	return t.Shape, ok
}

// Type gives the type that a tensor is stored in.
func (s *Source) Type(name string) (Type, bool) {
	t, ok := s.tensors[name]
	return t.Type, ok
}

// Read fills dst with elements of a tensor from element at on, row-major in Hugging Face's order of rows.
func (s *Source) Read(name string, at int, dst []float32) error {
	t, ok := s.tensors[name]
	if !ok {
		return fmt.Errorf("gguf: read %s: there is no tensor %q", s.f.Path(), name)
	}
	if t.heads == 0 || at < 0 || at > t.Len()-len(dst) {
		return s.f.Read(t.Name, at, dst)
	}
	width := t.Len() / t.Shape[0]
	for len(dst) > 0 {
		row, col := at/width, at%width
		n := min(width-col, len(dst))
		if err := s.f.Read(t.Name, t.storedRow(row)*width+col, dst[:n]); err != nil {
			return err
		}
		at, dst = at+n, dst[n:]
	}
	return nil
}

// storedRow gives the row of the file that holds a row of Hugging Face's order. There, element i of a head is rotated
// with element i+E/2; llama.cpp rotates neighbours, so its converter interleaves the two halves of each head.
func (t *sourceTensor) storedRow(row int) int {
	e := t.Shape[0] / t.heads
	head, i := row/e, row%e
	return head*e + i%(e/2)*2 + i/(e/2)
}
