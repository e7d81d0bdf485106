package bpe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxHoles bounds how many ids may be unused, so that a file cannot ask for much memory with one large id.
const maxHoles = 1 << 16

// build makes the tokenizer that a tokenizer.json describes.
func build(f file) (*Tokenizer, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	t := &Tokenizer{file: f}
	t.file.Version, t.file.Truncation, t.file.Padding = "1.0", nil, nil
	if err := t.number(); err != nil {
		return nil, err
	}
	if err := t.addComponents(); err != nil {
		return nil, err
	}
	if err := t.addFinders(); err != nil {
		return nil, err
	}
	special := map[string]bool{}
	for _, a := range t.file.AddedTokens {
		special[a.Content] = a.Special
	}
	var err error
	if t.model, err = newModel(f.Model, t.pre.byteLevel, special); err != nil {
		return nil, err
	}
	t.pre.cutBeforeMarks(f.Model, t.model)
	t.scratch.New = func() any { return &scratch{cache: map[string][]int32{}} }
	t.file.Model.Vocab = nil // tokens and ids have it
	return t, nil
}

// check looks for what a tokenizer.json must have, and for settings of the model that are not supported.
func (f *file) check() error {
	m := f.Model
	switch {
	case f.Version != "" && f.Version != "1.0":
		return fmt.Errorf("version is %q, want 1.0", f.Version)
	case m == nil:
		return errors.New("model is missing")
	case m.Type != "" && m.Type != "BPE":
		return unsupported("model", m.Type, "BPE")
	case m.Vocab == nil || m.Merges == nil:
		return errors.New("model.vocab or model.merges is missing")
	case m.Dropout != nil && *m.Dropout != 0:
		return fmt.Errorf("model.dropout is %v; random tokens are not supported", *m.Dropout)
	case m.Prefix != nil && *m.Prefix != "":
		return fmt.Errorf("model.continuing_subword_prefix %q is not supported", *m.Prefix)
	case m.Suffix != nil && *m.Suffix != "":
		return fmt.Errorf("model.end_of_word_suffix %q is not supported", *m.Suffix)
	}
	return nil
}

// number fills the tables from ids to tokens and back.
func (t *Tokenizer) number() error {
	vocab := t.file.Model.Vocab
	added, err := uniqueAdded(t.file.AddedTokens)
	if err != nil {
		return err
	}
	t.file.AddedTokens = added
	largest := len(vocab) + len(added) + maxHoles
	t.ids = make(map[string]int32, len(vocab)+len(added))
	for token, id := range vocab {
		if err := t.enter(token, id, largest, "model.vocab"); err != nil {
			return err
		}
		t.inModel[id] = true
	}
	for i, a := range added {
		if id, ok := t.ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("added_tokens[%d]: %q has id %d, but %d in the vocabulary", i, a.Content, a.ID, id)
		} else if !ok {
			if err := t.enter(a.Content, a.ID, largest, fmt.Sprintf("added_tokens[%d]", i)); err != nil {
				return err
			}
		}
		t.special[a.ID] = a.Special
	}
	return nil
}

// enter gives a token its id.
func (t *Tokenizer) enter(token string, id int32, largest int, key string) error {
	if id < 0 || int(id) > largest {
		return fmt.Errorf("%s: %q has id %d; with so few tokens ids must be 0 to %d", key, token, id, largest)
	}
	if more := int(id) + 1 - len(t.tokens); more > 0 {
		t.tokens, t.known = append(t.tokens, make([]string, more)...), append(t.known, make([]bool, more)...)
		t.inModel, t.special = append(t.inModel, make([]bool, more)...), append(t.special, make([]bool, more)...)
	}
	if t.known[id] {
		return fmt.Errorf("%s: %q and %q have the same id %d", key, min(token, t.tokens[id]), max(token, t.tokens[id]), id)
	}
	t.tokens[id], t.known[id], t.ids[token] = token, true, id
	return nil
}

// uniqueAdded leaves out empty added tokens and lets the last of several with one content stand, in the order of ids.
func uniqueAdded(list []Added) ([]Added, error) {
	place := map[string]int{}
	out := []Added{}
	for i, a := range list {
		if a.Content == "" {
			continue
		}
		if at, ok := place[a.Content]; ok {
			if out[at].ID != a.ID {
				return nil, fmt.Errorf("added_tokens[%d]: %q has ids %d and %d", i, a.Content, out[at].ID, a.ID)
			}
			a.Special = a.Special || out[at].Special // what was special once stays so
			out[at] = a
			continue
		}
		place[a.Content] = len(out)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Added) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// addComponents builds the stations around the model.
func (t *Tokenizer) addComponents() error {
	normalizer, err := parseComponent("normalizer", t.file.Normalizer)
	if err == nil {
		t.normalizers, err = normalizers(normalizer, "normalizer")
	}
	if err != nil {
		return err
	}
	pre, err := parseComponent("pre_tokenizer", t.file.PreTokenizer)
	if err == nil && pre != nil {
		err = t.pre.add(pre, "pre_tokenizer")
	}
	if err != nil {
		return err
	}
	post, err := parseComponent("post_processor", t.file.PostProcessor)
	if err == nil && post != nil {
		err = t.post.add(post, "post_processor")
	}
	if err != nil {
		return err
	}
	for _, id := range slices.Concat(t.post.before, t.post.after) {
		if !t.has(id) {
			return fmt.Errorf("post_processor.special_tokens: id %d is no token", id)
		}
	}
	decoder, err := parseComponent("decoder", t.file.Decoder)
	if err == nil {
		t.decoding, err = newDecoding(decoder)
	}
	return err
}

// addFinders prepares the search for added tokens.
func (t *Tokenizer) addFinders() error {
	var raw, normalized []Added
	var rawTexts, normalizedTexts []string
	t.spelled = map[int32]string{}
	for _, a := range t.file.AddedTokens {
		if !a.Normalized {
			raw, rawTexts = append(raw, a), append(rawTexts, a.Content)
			continue
		}
		s := a.Content
		for _, normalize := range t.normalizers {
			s, _ = normalize(s, mask{})
		}
		if s != a.Content {
			t.spelled[a.ID] = s
		}
		normalized, normalizedTexts = append(normalized, a), append(normalizedTexts, s)
	}
	var err error
	if t.raw, err = newFinder(raw, rawTexts); err != nil {
		return err
	}
	t.normalized, err = newFinder(normalized, normalizedTexts)
	return err
}

// spaceMark is how SentencePiece writes a space.
const spaceMark = "▁"

// cutBeforeMarks adds a step that cuts before every run of space marks, for tokenizers that give the model the whole
// text as one piece, if no token could lie across such a cut. It changes no token, but pieces then come from the cache.
func (p *preTokenizer) cutBeforeMarks(f *modelFile, m *model) {
	if _, ok := m.runes[[]rune(spaceMark)[0]]; !ok || m.byteLevel || m.whole != nil {
		return
	}
	for _, pair := range f.Merges {
		if i := strings.Index(strings.TrimLeft(pair[0]+pair[1], spaceMark), spaceMark); i >= 0 {
			return
		}
	}
	p.steps = append(p.steps, func(piece string, first bool, pass func(string, bool)) {
		for {
			run := len(piece) - len(strings.TrimLeft(piece, spaceMark))
			i := strings.Index(piece[run:], spaceMark)
			if i < 0 {
				pass(piece, first)
				return
			}
			pass(piece[:run+i], first)
			piece, first = piece[run+i:], false
		}
	})
}
