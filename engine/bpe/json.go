package bpe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// file is a tokenizer.json. Truncation and padding are not kept: how long an input may be is its caller's business.
type file struct {
	Version       string          `json:"version"`
	Truncation    *struct{}       `json:"truncation"`
	Padding       *struct{}       `json:"padding"`
	AddedTokens   []Added         `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         *modelFile      `json:"model"`
}

// Added is a token that is looked for in the text itself, before the text is split.
type Added struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no word character touches it
	LStrip     bool   `json:"lstrip"`      // takes the white space on its left with it
	RStrip     bool   `json:"rstrip"`      // takes the white space on its right with it
	Normalized bool   `json:"normalized"`  // is looked for in the normalized text, in its normalized form
	Special    bool   `json:"special"`     // is no text: never made from text unless asked, left out by a decoder that skips
}

// component is a normalizer, pre-tokenizer, post-processor or decoder: the keys of all of them.
type component struct {
	Type string `json:"type"`

	Normalizers   []*component `json:"normalizers"`   // Sequence of normalizers
	Pretokenizers []*component `json:"pretokenizers"` // Sequence of pre-tokenizers
	Processors    []*component `json:"processors"`    // Sequence of post-processors
	Decoders      []*component `json:"decoders"`      // Sequence of decoders

	Prepend string          `json:"prepend"` // Prepend
	Pattern pattern         `json:"pattern"` // Replace, Split
	Content json.RawMessage `json:"content"` // Replace: a text; Strip: a character
	Start   int             `json:"start"`   // Strip
	Stop    int             `json:"stop"`    // Strip

	Behavior         string `json:"behavior"`          // Split
	Invert           bool   `json:"invert"`            // Split
	IndividualDigits bool   `json:"individual_digits"` // Digits
	AddPrefixSpace   *bool  `json:"add_prefix_space"`  // ByteLevel, Metaspace
	UseRegex         *bool  `json:"use_regex"`         // ByteLevel
	Replacement      string `json:"replacement"`       // Metaspace
	PrependScheme    string `json:"prepend_scheme"`    // Metaspace
	Split            *bool  `json:"split"`             // Metaspace

	Single        []templatePiece          `json:"single"`         // TemplateProcessing
	SpecialTokens map[string]templateToken `json:"special_tokens"` // TemplateProcessing
}

// pattern is what Split and Replace look for.
type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// parseComponent reads a component; nil where the file has none.
func parseComponent(key string, data json.RawMessage) (*component, error) {
	var c *component
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return c, nil
}

// contentText is Content where it is a text.
func (c *component) contentText() string {
	var s string
	if json.Unmarshal(c.Content, &s) != nil {
		return ""
	}
	return s
}

// modelFile is the model of a tokenizer.json.
type modelFile struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	UnkToken     *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnk      *bool            `json:"fuse_unk"`
	ByteFallback *bool            `json:"byte_fallback"`
	IgnoreMerges *bool            `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       merges           `json:"merges"`
}

// merges are pairs of tokens, best first.
type merges [][2]string

// UnmarshalJSON reads both forms that there are: ["a b", ...] and [["a", "b"], ...].
func (m *merges) UnmarshalJSON(data []byte) error {
	if list := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("[")), " \t\r\n"); len(list) > 0 && list[0] == '"' {
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return fmt.Errorf("model.merges: %w", err)
		}
		var err error
		*m, err = parseMerges(lines)
		return err
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("model.merges is neither a list of texts nor of pairs of texts: %w", err)
	}
	*m = make(merges, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("model.merges[%d] has %d tokens, want 2", i, len(p))
		}
		(*m)[i] = [2]string(p)
	}
	return nil
}

// parseMerges reads merges that are written as two tokens with a space between them.
func parseMerges(lines []string) (merges, error) {
	m := make(merges, 0, len(lines))
	for i, line := range lines {
		if strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(b, " ") {
			return nil, fmt.Errorf("model.merges[%d] %q is not two tokens with a space between them", i, line)
		}
		m = append(m, [2]string{a, b})
	}
	return m, nil
}

// Parse reads a tokenizer.json with a BPE model, as Hugging Face tokenizers writes it. A file that asks for
// something that this package does not do is an error that names the key. Its truncation and padding are ignored.
func Parse(tokenizerJSON []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return nil, fmt.Errorf("bpe: parse tokenizer: %w", place(err))
	}
	t, err := build(f)
	if err != nil {
		return nil, fmt.Errorf("bpe: parse tokenizer: %w", err)
	}
	return t, nil
}

// place adds the offset that a syntax error has.
func place(err error) error {
	if e := (*json.SyntaxError)(nil); errors.As(err, &e) {
		return fmt.Errorf("byte %d: %w", e.Offset, err)
	}
	return err
}

// JSON gives the tokenizer.json that Parse and Hugging Face tokenizers read to the same tokenizer. Equal tokenizers
// give equal bytes.
func (t *Tokenizer) JSON() ([]byte, error) {
	model, err := t.modelJSON()
	if err != nil {
		return nil, fmt.Errorf("bpe: write tokenizer: %w", err)
	}
	f := struct {
		file
		Model json.RawMessage `json:"model"`
	}{t.file, model}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("bpe: write tokenizer: %w", err)
	}
	return b.Bytes(), nil
}

// modelJSON writes the model with its vocabulary in the order of the ids.
func (t *Tokenizer) modelJSON() ([]byte, error) {
	m := *t.file.Model
	m.Vocab = nil
	m.Type = "BPE"
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	head, tail, ok := bytes.Cut(bytes.Clone(b.Bytes()), []byte(`"vocab":null`))
	if !ok {
		return nil, errors.New("model has no vocabulary") // a mistake in this package
	}
	out := append(slices.Clip(head), `"vocab":{`...)
	for id, token := range t.tokens {
		if !t.inModel[id] {
			continue
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		b.Reset()
		if err := enc.Encode(token); err != nil {
			return nil, err
		}
		out = append(out, bytes.TrimRight(b.Bytes(), "\n")...)
		out = fmt.Appendf(out, ":%d", id)
	}
	return append(append(out, '}'), tail...), nil
}
