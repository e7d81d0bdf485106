package serve

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// textChoice is one completion, or a piece of it.
type textChoice struct {
	Text         string        `json:"text"`
	Index        int           `json:"index"`
	LogProbs     *textLogProbs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
}

// textBody is an answer of completions, or a piece of a stream.
type textBody struct {
	answer
	Choices []textChoice `json:"choices"`
	Usage   any          `json:"usage,omitempty"` // *usage; a nil one is null
}

// completion is one choice of one prompt.
type completion struct {
	*choice
	source textPrompt
	echo   bool
	scores *textLogProbs // nil unless asked for
}

// completions answers POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	first := s.firstToken()
	body, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	q, err := decodeCompletion(body, s.info.ContextLength, s.info.Vocab)
	if err != nil {
		return err
	}
	if err := s.checkModel(q.model); err != nil {
		return err
	}
	var all []*completion
	prompts := 0
	for _, p := range q.prompts {
		if p.isText {
			if p.tokens, err = s.backend.Encode(p.text); err != nil {
				return fmt.Errorf("encode %s: %w", p.path, err)
			}
		}
		options, err := s.generation(&q.sampling, len(p.tokens), p.path)
		if err != nil {
			return err
		}
		prompts += len(p.tokens)
		for i := range q.n {
			c := &completion{choice: s.newChoice(&q.sampling, p.tokens, options, i, plain{}, first), source: p, echo: q.echo}
			if q.logProbs {
				c.scores = newTextLogProbs()
			}
			all = append(all, c)
		}
	}
	s.metrics.prompt.Add(int64(prompts))
	if q.stream {
		s.streamText(w, r, q, prompts, all)
		return nil
	}
	return s.wholeText(w, r, prompts, all)
}

// run generates one completion and gives it to send piece by piece, an echoed prompt first.
func (c *completion) run(ctx context.Context, send func(text string, scores *textLogProbs) error) (finish string, err error) {
	if c.echo {
		if err := c.echoed(ctx); err != nil {
			return "", err
		}
		if err := send(c.source.text, c.taken()); err != nil {
			return "", err
		}
	}
	c.put = func(p part) error {
		if c.scores != nil {
			for _, t := range p.scores {
				c.scores.add(c.server, t.Token, c.options.TopLogProbs, false)
			}
		}
		return send(p.Content, c.taken())
	}
	return c.generate(ctx)
}

// echoed scores the prompt where that is asked for, and gives a prompt of tokens its text.
func (c *completion) echoed(ctx context.Context) error {
	if !c.source.isText {
		var text []byte
		for _, t := range c.source.tokens {
			text = append(text, c.server.backend.Bytes(t)...)
		}
		c.source.text = lossy(text)
	}
	if c.scores == nil {
		return nil
	}
	tokens, err := c.server.backend.Score(ctx, c.source.tokens, c.options.TopLogProbs)
	if err != nil {
		return fmt.Errorf("score %s: %w", c.source.path, err)
	}
	if len(tokens) != len(c.source.tokens) {
		return fmt.Errorf("score %s: %d scores for %d tokens", c.source.path, len(tokens), len(c.source.tokens))
	}
	for i, t := range tokens {
		c.scores.add(c.server, t, c.options.TopLogProbs, i == 0)
	}
	return nil
}

// taken gives the scores of a piece; nil if none are asked for.
func (c *completion) taken() *textLogProbs {
	if c.scores == nil {
		return nil
	}
	return c.scores.take()
}

func choicesOf(all []*completion) []*choice {
	var out []*choice
	for _, c := range all {
		out = append(out, c.choice)
	}
	return out
}

// wholeText generates all completions and answers with them.
func (s *Server) wholeText(w http.ResponseWriter, r *http.Request, prompts int, all []*completion) error {
	body := textBody{answer: s.answer("cmpl", "text_completion"), Choices: make([]textChoice, len(all))}
	err := s.each(r.Context(), len(all), func(ctx context.Context, i int) error {
		var text strings.Builder
		var scores *textLogProbs
		if all[i].scores != nil {
			scores = newTextLogProbs()
		}
		finish, err := all[i].run(ctx, func(piece string, l *textLogProbs) error {
			text.WriteString(piece)
			if l != nil {
				scores.Tokens, scores.LogProbs = append(scores.Tokens, l.Tokens...), append(scores.LogProbs, l.LogProbs...)
				scores.Top, scores.Offsets = append(scores.Top, l.Top...), append(scores.Offsets, l.Offsets...)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("generate choice %d: %w", i, err)
		}
		body.Choices[i] = textChoice{Text: text.String(), Index: i, LogProbs: scores, FinishReason: &finish}
		return nil
	})
	if err != nil {
		return err
	}
	body.Usage = usageOf(prompts, choicesOf(all))
	s.writeJSON(w, http.StatusOK, body)
	return nil
}

// streamText generates all completions and sends their pieces as they come.
func (s *Server) streamText(w http.ResponseWriter, r *http.Request, q *completionRequest, prompts int, all []*completion) {
	events := s.newStream(w)
	head := s.answer("cmpl", "text_completion")
	send := func(c textChoice) error {
		body := textBody{answer: head, Choices: []textChoice{c}}
		if q.usage {
			body.Usage = (*usage)(nil)
		}
		return events.send(body)
	}
	err := s.each(r.Context(), len(all), func(ctx context.Context, i int) error {
		finish, err := all[i].run(ctx, func(piece string, l *textLogProbs) error {
			return send(textChoice{Text: piece, Index: i, LogProbs: l})
		})
		if err != nil {
			return fmt.Errorf("generate choice %d: %w", i, err)
		}
		return send(textChoice{Index: i, FinishReason: &finish})
	})
	if err == nil && q.usage {
		err = events.send(textBody{answer: head, Choices: []textChoice{}, Usage: usageOf(prompts, choicesOf(all))})
	}
	if err == nil {
		err = events.done()
	}
	if err != nil {
		events.fail(r, err)
	}
}
