package serve

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/because-lab/because"
)

// chatChoice is one answer of a chat: whole, with Message, or as a piece of a stream, with Delta.
type chatChoice struct {
	Index        int           `json:"index"`
	Message      *chatMessage  `json:"message,omitempty"`
	Delta        *chatDelta    `json:"delta,omitempty"`
	LogProbs     *chatLogProbs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
}

// chatMessage is a whole answer. Content is null where there are only tool calls.
type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Reasoning *string    `json:"reasoning_content,omitempty"`
	Refusal   *string    `json:"refusal"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// chatDelta is what a piece of a stream adds to an answer.
type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning *string    `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// toolCall is a call of a function; Index is its place in a streamed answer.
type toolCall struct {
	Index    *int         `json:"index,omitempty"`
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// usage counts tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// answer is the head that all answers and all pieces of a stream have.
type answer struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"`
	Created     int64   `json:"created"`
	Model       string  `json:"model"`
	Fingerprint *string `json:"system_fingerprint"`
}

// chatBody is an answer, or a piece of a stream.
type chatBody struct {
	answer
	Choices []chatChoice `json:"choices"`
	Usage   any          `json:"usage,omitempty"` // *usage; a nil one is null
}

func (s *Server) answer(prefix, object string) answer {
	return answer{s.newID(prefix), object, s.now().Unix(), s.info.ID, orNull(s.info.Fingerprint)}
}

// chat answers POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	first := s.firstToken()
	body, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	q, err := decodeChat(body)
	if err != nil {
		return err
	}
	if err := s.checkModel(q.model); err != nil {
		return err
	}
	prompt, err := s.backend.Chat(r.Context(), q.input)
	if err != nil {
		return fmt.Errorf("apply chat template: %w", err)
	}
	options, err := s.generation(&q.sampling, len(prompt.Tokens), "messages")
	if err != nil {
		return err
	}
	s.metrics.prompt.Add(int64(len(prompt.Tokens)))
	choices := make([]*choice, q.n)
	for i := range choices {
		parser := s.backend.Parser(len(q.input.Tools) > 0, prompt.ReasoningOpen)
		choices[i] = s.newChoice(&q.sampling, prompt.Tokens, options, i, parser, first)
		choices[i].oneCall = q.oneCall
	}
	if q.stream {
		s.streamChat(w, r, q, choices)
		return nil
	}
	return s.wholeChat(w, r, choices)
}

// firstToken gives a function that records the time from now to a request's first token, once.
func (s *Server) firstToken() func() {
	began := s.now()
	return sync.OnceFunc(func() { s.metrics.firstToken.observe(s.now().Sub(began).Seconds()) })
}

// generation says how to continue a prompt of so many tokens, which param gave. An answer ends with "length" where the context does.
func (s *Server) generation(p *sampling, prompt int, param string) (Generation, error) {
	room, need := s.info.ContextLength-prompt, 1
	if p.maxTokens == 0 {
		need = 0
	}
	if prompt == 0 {
		return Generation{}, invalid(param, "invalid_value", "has no tokens")
	}
	if room < need {
		return Generation{}, tooLong(param, prompt, s.info.ContextLength)
	}
	if p.maxTokens >= 0 {
		room = min(room, p.maxTokens)
	}
	if !p.seeded && p.temperature > 0 { // a greedy answer needs none, and keeps the names of its calls
		p.seed, p.seeded = s.random(), true
	}
	return Generation{
		MaxTokens: room, Temperature: p.temperature, TopP: p.topP, TopK: p.topK, Seed: p.seed, LogProbs: p.logProbs, TopLogProbs: p.top,
	}, nil
}

// newChoice makes the i-th choice for a prompt. Its put is still to be set.
func (s *Server) newChoice(p *sampling, prompt []int32, o Generation, i int, parser AnswerParser, first func()) *choice {
	o.Seed = seedOf(o.Seed, i)
	c := &choice{server: s, prompt: prompt, options: o, parser: parser, first: first}
	for _, stop := range p.stops {
		c.stop.stops = append(c.stop.stops, []byte(stop))
	}
	return c
}

// usageOf counts the tokens of finished choices.
func usageOf(prompt int, choices []*choice) *usage {
	u := usage{Prompt: prompt}
	for _, c := range choices {
		u.Completion += c.tokens
	}
	u.Total = u.Prompt + u.Completion
	return &u
}

// wholeChat generates all choices and answers with them.
func (s *Server) wholeChat(w http.ResponseWriter, r *http.Request, choices []*choice) error {
	body := chatBody{answer: s.answer("chatcmpl", "chat.completion"), Choices: make([]chatChoice, len(choices))}
	err := s.each(r.Context(), len(choices), func(ctx context.Context, i int) error {
		c := choices[i]
		var content, reasoning strings.Builder
		m := &chatMessage{Role: string(because.RoleAssistant)}
		var scores *chatLogProbs
		if c.options.LogProbs {
			scores = &chatLogProbs{Content: []chatLogProb{}}
		}
		c.put = func(p part) error {
			content.WriteString(p.Content)
			reasoning.WriteString(p.Reasoning)
			m.ToolCalls = append(m.ToolCalls, apiCalls(p.Calls)...)
			if scores != nil {
				scores.Content = append(scores.Content, s.chatScores(p.scores)...)
			}
			return nil
		}
		finish, err := c.generate(ctx)
		if err != nil {
			return fmt.Errorf("generate choice %d: %w", i, err)
		}
		m.Reasoning = orNull(reasoning.String())
		if text := content.String(); text != "" || len(m.ToolCalls) == 0 {
			m.Content = &text
		}
		body.Choices[i] = chatChoice{Index: i, Message: m, LogProbs: scores, FinishReason: &finish}
		return nil
	})
	if err != nil {
		return err
	}
	body.Usage = usageOf(len(choices[0].prompt), choices)
	s.writeJSON(w, http.StatusOK, body)
	return nil
}

// apiCalls gives calls in the API's form.
func apiCalls(calls []because.ToolCall) []toolCall {
	var out []toolCall
	for _, c := range calls {
		out = append(out, toolCall{ID: c.ID, Type: "function", Function: functionCall{c.Name, string(c.Arguments)}})
	}
	return out
}

// streamChat generates all choices and sends their pieces as they come.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, q *chatRequest, choices []*choice) {
	events := s.newStream(w)
	head := s.answer("chatcmpl", "chat.completion.chunk")
	send := func(c chatChoice) error {
		body := chatBody{answer: head, Choices: []chatChoice{c}}
		if q.usage {
			body.Usage = (*usage)(nil)
		}
		return events.send(body)
	}
	err := s.each(r.Context(), len(choices), func(ctx context.Context, i int) error {
		return s.streamChoice(ctx, i, choices[i], send)
	})
	if err == nil && q.usage {
		err = events.send(chatBody{answer: head, Choices: []chatChoice{}, Usage: usageOf(len(choices[0].prompt), choices)})
	}
	if err == nil {
		err = events.done()
	}
	if err != nil {
		events.fail(r, err)
	}
}

// streamChoice sends one choice: its role, its pieces, and the reason for its end.
func (s *Server) streamChoice(ctx context.Context, i int, c *choice, send func(chatChoice) error) error {
	begun, calls := false, 0
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		empty := ""
		return send(chatChoice{Index: i, Delta: &chatDelta{Role: string(because.RoleAssistant), Content: &empty}})
	}
	c.put = func(p part) error {
		if err := begin(); err != nil {
			return err
		}
		d := &chatDelta{Content: orNull(p.Content), Reasoning: orNull(p.Reasoning), ToolCalls: apiCalls(p.Calls)}
		for j := range d.ToolCalls {
			index := calls
			d.ToolCalls[j].Index = &index
			calls++
		}
		piece := chatChoice{Index: i, Delta: d}
		if len(p.scores) > 0 {
			piece.LogProbs = &chatLogProbs{Content: s.chatScores(p.scores)}
		}
		return send(piece)
	}
	finish, err := c.generate(ctx)
	if err != nil {
		return fmt.Errorf("generate choice %d: %w", i, err)
	}
	if err := begin(); err != nil {
		return err
	}
	return send(chatChoice{Index: i, Delta: &chatDelta{}, FinishReason: &finish})
}
