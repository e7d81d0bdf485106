package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because/engine/gguf"
)

// Text is what a checkpoint has beside its tensors: what is needed to turn
// messages into tokens and back. The files are as they lie in the folder.
type Text struct {
	TokenizerJSON    []byte                // tokenizer.json; nil if there is none
	TokenizerConfig  []byte                // tokenizer_config.json; nil if there is none
	GenerationConfig []byte                // generation_config.json; nil if there is none
	GGUF             *gguf.TokenizerFields // the tokenizer of a GGUF file; nil for a folder

	ChatTemplate  string            // the Jinja template for messages; "" if there is none
	ChatTemplates map[string]string // further templates by name, such as "tool_use"

	BOS, EOS, UNK, PAD string  // the special tokens as templates know them; "" if there is none
	End                []int32 // the tokens that end an answer, sorted; empty if the checkpoint does not say
}

// Text reads the tokenizer's files, or their like in a GGUF file.
func (s *Source) Text() (*Text, error) {
	if s.gguf != nil {
		return ggufText(s.gguf)
	}
	t := &Text{ChatTemplates: map[string]string{}}
	for _, f := range []struct {
		name string
		to   *[]byte
	}{{tokenizerName, &t.TokenizerJSON}, {tokConfigName, &t.TokenizerConfig}, {generationName, &t.GenerationConfig}} {
		data, err := readSmall(filepath.Join(s.path, f.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("weights: read %s: %w", filepath.Join(s.path, f.name), err)
		}
		*f.to = data
	}
	if err := t.parseTokenizerConfig(); err != nil {
		return nil, fmt.Errorf("weights: read %s: %w", filepath.Join(s.path, tokConfigName), err)
	}
	if err := t.readTemplates(s.path); err != nil {
		return nil, err
	}
	return t, t.readEnd(s.path)
}

// endTokens are the texts of control tokens that end an answer whether or not a
// GGUF file names them so: a file names one, its model may use another.
var endTokens = []string{"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>"}

// ggufControl is the type of control tokens.
const ggufControl = 3

func ggufText(f *gguf.File) (*Text, error) {
	fields, err := f.Tokenizer()
	if err != nil {
		return nil, err
	}
	t := &Text{GGUF: &fields, ChatTemplates: map[string]string{}}
	if t.ChatTemplate, err = f.ChatTemplate(); err != nil {
		return nil, err
	}
	for _, key := range f.Keys() {
		if name, ok := strings.CutPrefix(key, "tokenizer.chat_template."); ok {
			if t.ChatTemplates[name], err = f.String(key); err != nil {
				return nil, err
			}
		}
	}
	word := func(id int32) string {
		if id < 0 {
			return ""
		}
		return fields.Tokens[id]
	}
	t.BOS, t.EOS, t.UNK, t.PAD = word(fields.BOS), word(fields.EOS), word(fields.UNK), word(fields.PAD)
	for _, id := range []int32{fields.EOS, fields.EOT} {
		if id >= 0 {
			t.End = append(t.End, id)
		}
	}
	for id, typ := range fields.Types {
		if typ == ggufControl && slices.Contains(endTokens, fields.Tokens[id]) {
			t.End = append(t.End, int32(id))
		}
	}
	slices.Sort(t.End)
	t.End = slices.Compact(t.End)
	return t, nil
}

// token is a special token as config files write it: its text, an object with
// its text, or null.
type token string

// UnmarshalJSON reads any of the forms.
func (t *token) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if len(data) > 0 && data[0] == '{' {
		err := json.Unmarshal(data, &object)
		*t = token(object.Content)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}

// templates is chat_template: one template, or a list of named ones.
type templates map[string]string

// UnmarshalJSON reads either form; a single one has the name "default".
func (t *templates) UnmarshalJSON(data []byte) error {
	*t = templates{}
	if len(data) > 0 && data[0] == '[' {
		var list []struct {
			Name     string `json:"name"`
			Template string `json:"template"`
		}
		err := json.Unmarshal(data, &list)
		for _, x := range list {
			(*t)[x.Name] = x.Template
		}
		return err
	}
	var one string
	err := json.Unmarshal(data, &one)
	if one != "" {
		(*t)[defaultTemplate] = one
	}
	return err
}

const defaultTemplate = "default"

// parseTokenizerConfig reads the special tokens and the templates.
func (t *Text) parseTokenizerConfig() error {
	if t.TokenizerConfig == nil {
		return nil
	}
	var f struct {
		BOS       token     `json:"bos_token"`
		EOS       token     `json:"eos_token"`
		UNK       token     `json:"unk_token"`
		PAD       token     `json:"pad_token"`
		Templates templates `json:"chat_template"`
	}
	if err := json.Unmarshal(t.TokenizerConfig, &f); err != nil {
		return err
	}
	t.BOS, t.EOS, t.UNK, t.PAD = string(f.BOS), string(f.EOS), string(f.UNK), string(f.PAD)
	for name, text := range f.Templates {
		t.addTemplate(name, text)
	}
	return nil
}

func (t *Text) addTemplate(name, text string) {
	if name == defaultTemplate {
		t.ChatTemplate = text
	} else {
		t.ChatTemplates[name] = text
	}
}

// readTemplates reads the templates that are files of their own, which come
// before those of tokenizer_config.json.
func (t *Text) readTemplates(dir string) error {
	const suffix = ".jinja"
	files := map[string]string{defaultTemplate: filepath.Join(dir, "chat_template"+suffix)}
	more := filepath.Join(dir, "additional_chat_templates")
	entries, err := os.ReadDir(more)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("weights: read: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && name != defaultTemplate {
			files[name] = filepath.Join(more, e.Name())
		}
	}
	for name, path := range files {
		data, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("weights: read %s: %w", path, err)
		}
		t.addTemplate(name, string(data))
	}
	return nil
}

// readEnd finds the tokens that end an answer: those of generation_config.json
// or else of config.json.
func (t *Text) readEnd(dir string) error {
	config := filepath.Join(dir, configName)
	data, err := readSmall(config)
	if err != nil {
		return fmt.Errorf("weights: read %s: %w", config, err)
	}
	for _, f := range []struct {
		path string
		data []byte
	}{{filepath.Join(dir, generationName), t.GenerationConfig}, {config, data}} {
		if f.data == nil || len(t.End) > 0 {
			continue
		}
		var ids struct {
			EOS tokenIDs `json:"eos_token_id"`
		}
		if err := json.Unmarshal(f.data, &ids); err != nil {
			return fmt.Errorf("weights: read %s: %w", f.path, err)
		}
		t.End = ids.EOS
	}
	slices.Sort(t.End)
	t.End = slices.Compact(t.End)
	return nil
}

// tokenIDs is one id, several, or null for none.
type tokenIDs []int32

// UnmarshalJSON reads any of the forms.
func (ids *tokenIDs) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]int32)(ids))
	}
	var id *int32
	err := json.Unmarshal(data, &id)
	*ids = nil
	if id != nil {
		*ids = tokenIDs{*id}
	}
	return err
}

// MarshalJSON writes one id as a number, as config files do.
func (ids tokenIDs) MarshalJSON() ([]byte, error) {
	if len(ids) == 1 {
		return json.Marshal(ids[0])
	}
	return json.Marshal([]int32(ids))
}
