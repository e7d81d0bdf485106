package pretrained

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/bpe"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/model/chat"
)

// Text is what stands between conversations and a checkpoint's tokens: its tokenizer, its chat template and the syntax of
// its tool calls. It is immutable but for Now, and many goroutines may use it at once.
type Text struct {
	// Now is the date that templates may print. The default is a fixed one, so that equal conversations give equal
	// prompts on any day.
	Now time.Time

	tok      *bpe.Tokenizer
	template *chat.Template // nil: the checkpoint was not trained to chat
	format   chat.Format
	bos, eos string
	end      []int32        // tokens that end an answer, sorted
	tags     map[int32]bool // special tokens that are part of an answer's syntax
}

// defaultDate is the date that the template of Llama 3.1 prints where it is told none.
var defaultDate = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// ReadText reads the tokenizer and the template of an open checkpoint.
func ReadText(src *weights.Source) (*Text, error) {
	files, err := src.Text()
	if err != nil {
		return nil, because.E("open model", src.Path(), err, "")
	}
	tok, err := tokenizer(files)
	if err != nil {
		return nil, because.E("open model", src.Path(), err, "")
	}
	if n, v := tok.Len(), src.Config().VocabSize; n > v {
		return nil, because.E("open model", src.Path(), fmt.Errorf("its tokenizer has %d tokens, its model only %d", n, v), "")
	}
	return newText(tok, files, src.Path())
}

func tokenizer(files *weights.Text) (*bpe.Tokenizer, error) {
	switch {
	case files.TokenizerJSON != nil:
		tok, err := bpe.Parse(files.TokenizerJSON)
		if err != nil {
			return nil, fmt.Errorf("tokenizer.json: %w", err)
		}
		return tok, nil
	case files.GGUF != nil:
		g := files.GGUF
		return bpe.FromGGUF(bpe.GGUF{Model: g.Model, Pre: g.Pre, Tokens: g.Tokens, Scores: g.Scores, Types: g.Types, Merges: g.Merges,
			BOS: g.BOS, EOS: g.EOS, UNK: g.UNK, PAD: g.PAD, AddBOS: g.AddBOS, AddEOS: g.AddEOS, AddSpacePrefix: g.AddSpacePrefix})
	}
	return nil, errors.New("it has no tokenizer.json")
}

func newText(tok *bpe.Tokenizer, files *weights.Text, name string) (*Text, error) {
	t := &Text{Now: defaultDate, tok: tok, bos: files.BOS, eos: files.EOS, end: slices.Clone(files.End), tags: map[int32]bool{}}
	if id, ok := tok.ID(t.eos); ok && t.eos != "" && !slices.Contains(t.end, id) {
		t.end = append(t.end, id)
		slices.Sort(t.end)
	}
	if files.ChatTemplate == "" {
		return t, nil
	}
	var err error
	if t.template, err = chat.Parse(files.ChatTemplate); err != nil {
		return nil, because.E("open model", name+": chat template", err, "")
	}
	t.format = chat.DetectFormat(files.ChatTemplate)
	for _, tag := range t.format.Tags() {
		if id, ok := tok.ID(tag); ok && tok.IsSpecial(id) {
			t.tags[id] = true
		}
	}
	return t, nil
}

// Conversation is what a template renders.
type Conversation struct {
	Messages []because.Message
	Tools    []because.Tool
	Vars     map[string]any // the template's own variables, such as enable_thinking
}

// Prompt renders a conversation up to the start of the assistant's answer. No text of the conversation becomes a special
// token. The format tells how to take the answer apart.
func (t *Text) Prompt(c Conversation) ([]int32, chat.Format, error) {
	spans, err := t.render(c, true)
	if err != nil {
		return nil, chat.Format{}, err
	}
	format := t.format.After(chat.Text(spans))
	if len(c.Tools) == 0 {
		format.Calls = chat.NoCalls
	}
	return t.encode(spans), format, nil
}

func (t *Text) render(c Conversation, ask bool) ([]chat.Span, error) {
	if t.template == nil {
		return nil, because.E("render conversation", "", errors.New("the checkpoint has no chat template"),
			"use a checkpoint that was trained to chat, or plain texts")
	}
	spans, err := t.template.Render(chat.Input{Messages: c.Messages, Tools: c.Tools, AddGenerationPrompt: ask,
		BOS: t.bos, EOS: t.eos, Vars: c.Vars, Now: t.Now})
	if err != nil {
		return nil, because.E("render conversation", "", err, "")
	}
	return spans, nil
}

func (t *Text) encode(spans []chat.Span) []int32 {
	out := make([]bpe.Span, len(spans))
	for i, s := range spans {
		out[i] = bpe.Span{Text: s.Text, Special: s.Template}
	}
	return t.tok.EncodeSpans(out)
}

// Encode gives the tokens of a plain text, with those that the model wants before any text.
func (t *Text) Encode(text string) []int32 { return t.tok.Encode(text, bpe.Options{AddSpecial: true}) }

// Document gives the tokens of a text to train on, with the end of a text behind it where the checkpoint has one.
func (t *Text) Document(text string) []int32 {
	tokens := t.Encode(text)
	if id, ok := t.tok.ID(t.eos); ok && t.eos != "" && (len(tokens) == 0 || tokens[len(tokens)-1] != id) {
		tokens = append(tokens, id)
	}
	return tokens
}

// Bytes gives what a token adds to an answer's text: nothing for marks such as the end of a turn.
func (t *Text) Bytes(id int32) []byte {
	if t.tok.IsSpecial(id) && !t.tags[id] {
		return nil
	}
	return t.tok.Bytes(id)
}

// Vocabulary gives the number of tokens.
func (t *Text) Vocabulary() int { return t.tok.Len() }

// Chats tells whether the checkpoint has a chat template.
func (t *Text) Chats() bool { return t.template != nil }

// Stream takes an answer apart as it comes.
type Stream = chat.Stream

// Stream starts to take an answer apart: with tools it may hold calls, and with reasoningOpen the prompt has opened its
// reasoning.
func (t *Text) Stream(tools, reasoningOpen bool) *Stream {
	format := t.format
	format.Opened = reasoningOpen
	if !tools {
		format.Calls = chat.NoCalls
	}
	return chat.NewStream(format)
}
