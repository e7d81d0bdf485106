package bpe

import "fmt"

// templatePiece is an element of a template: the text's tokens or special ones.
type templatePiece struct {
	Sequence     *templateSequence `json:"Sequence"`
	SpecialToken *templateSpecial  `json:"SpecialToken"`
}

type templateSequence struct {
	ID string `json:"id"`
}

type templateSpecial struct {
	ID string `json:"id"`
}

// templateToken says what a special token of a template stands for.
type templateToken struct {
	IDs []int32 `json:"ids"`
}

// postProcessor is what goes before and after a text's tokens.
type postProcessor struct{ before, after []int32 }

// add takes over a component of tokenizer.json. Each one wraps what those before it made.
func (p *postProcessor) add(c *component, key string) error {
	switch c.Type {
	case "ByteLevel": // trims offsets, which this package does not give
		return nil
	case "Sequence":
		for i, part := range c.Processors {
			key := fmt.Sprintf("%s.processors[%d]", key, i)
			if part == nil {
				return fmt.Errorf("%s is null", key)
			}
			if err := p.add(part, key); err != nil {
				return err
			}
		}
		return nil
	case "TemplateProcessing":
		before, after, err := template(c, key)
		p.before, p.after = append(before, p.before...), append(p.after, after...)
		return err
	}
	return unsupported(key, c.Type, "ByteLevel, Sequence, TemplateProcessing")
}

// template reads the template for a single text.
func template(c *component, key string) (before, after []int32, err error) {
	seen := false
	for i, e := range c.Single {
		switch {
		case e.Sequence != nil && e.Sequence.ID == "A" && !seen:
			seen = true
		case e.SpecialToken != nil:
			special, ok := c.SpecialTokens[e.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("%s.single[%d]: %q is not in special_tokens", key, i, e.SpecialToken.ID)
			}
			if seen {
				after = append(after, special.IDs...)
			} else {
				before = append(before, special.IDs...)
			}
		default:
			return nil, nil, fmt.Errorf("%s.single[%d] is neither a special token nor the one sequence A", key, i)
		}
	}
	if !seen {
		return nil, nil, fmt.Errorf("%s.single has no sequence A", key)
	}
	return before, after, nil
}
