package pretrained

import "github.com/because-lab/because/engine/bpe"

// decoder turns an answer's tokens into text as they come. Marks such as the end of a turn are left out, but for those
// that the syntax of reasoning and calls is made of.
type decoder struct {
	text  *Text
	plain *bpe.Decoder
}

func (t *Text) decoder() *decoder { return &decoder{t, t.tok.Decoder(true)} }

// next takes a token and gives the text that is complete.
func (d *decoder) next(id int32) string {
	if !d.text.tags[id] {
		return d.plain.Next(id)
	}
	// A tag ends whatever character was unfinished.
	text := d.plain.Flush() + d.text.tok.Token(id)
	d.plain = d.text.tok.Decoder(true)
	return text
}
