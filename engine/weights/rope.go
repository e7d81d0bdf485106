package weights

import (
	"fmt"

	"github.com/because-lab/because/engine/llama"
)

// ropeParameters is rope_scaling, or rope_parameters as transformers 5 writes it.
type ropeParameters struct {
	Theta    *float64 `json:"rope_theta,omitempty"`
	Type     string   `json:"rope_type,omitempty"`
	Old      string   `json:"type,omitempty"` // key of older files
	Factor   *float64 `json:"factor,omitempty"`
	Low      *float64 `json:"low_freq_factor,omitempty"`
	High     *float64 `json:"high_freq_factor,omitempty"`
	Original *int     `json:"original_max_position_embeddings,omitempty"`
	Partial  *float64 `json:"partial_rotary_factor,omitempty"`
}

// rope reads the base of the rotary frequencies and their scaling. A file may
// give both forms, but not two different scalings.
func (f *configFile) rope(c *llama.Config) error {
	for _, k := range []struct {
		name string
		p    *ropeParameters
	}{{"rope_scaling", f.RopeScaling}, {"rope_parameters", f.RopeParameters}} {
		if k.p == nil {
			continue
		}
		r, err := k.p.scaling()
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if r.Kind != "" && c.Rope.Kind != "" && r != c.Rope {
			return fmt.Errorf("rope_scaling and rope_parameters differ")
		}
		if r.Kind != "" {
			c.Rope = r
		}
		if k.p.Theta != nil {
			c.RopeTheta = *k.p.Theta
		}
	}
	return nil
}

func (p *ropeParameters) scaling() (llama.RopeScaling, error) {
	if p.Partial != nil && *p.Partial != 1 {
		return llama.RopeScaling{}, fmt.Errorf("partial_rotary_factor is %v; only whole heads can be rotated", *p.Partial)
	}
	kind := p.Type
	if kind == "" {
		kind = p.Old
	}
	r := llama.RopeScaling{Kind: kind}
	switch kind {
	case "", "default":
		return llama.RopeScaling{}, nil
	case "linear":
	case "llama3":
		if p.Low == nil || p.High == nil || p.Original == nil {
			return r, fmt.Errorf("low_freq_factor, high_freq_factor or original_max_position_embeddings is missing")
		}
		r.Low, r.High, r.Original = *p.Low, *p.High, *p.Original
		if !(0 < r.Low && r.Low < r.High) || r.Original < 1 {
			return r, fmt.Errorf("want 0 < low_freq_factor < high_freq_factor and a positive original_max_position_embeddings, not %v, %v and %d", r.Low, r.High, r.Original)
		}
	default:
		return r, fmt.Errorf("it is of type %q, supported are default, linear and llama3", kind)
	}
	if p.Factor == nil || !(*p.Factor >= 1) {
		return r, fmt.Errorf("factor is missing or below 1")
	}
	r.Factor = *p.Factor
	return r, nil
}

// encodeRope gives both forms. Without a scaling, rope_scaling is null.
func encodeRope(c llama.Config) (scaling, parameters *ropeParameters) {
	if c.Rope.Kind == "" {
		return nil, &ropeParameters{Theta: &c.RopeTheta, Type: "default"}
	}
	p := ropeParameters{Type: c.Rope.Kind, Factor: &c.Rope.Factor}
	if c.Rope.Kind == "llama3" {
		p.Low, p.High, p.Original = &c.Rope.Low, &c.Rope.High, &c.Rope.Original
	}
	full := p
	full.Theta = &c.RopeTheta
	return &p, &full
}
