package serve

// defaultCompletion is how many tokens a completion has unless the request says so, as in the API.
const defaultCompletion = 16

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	sampling
	prompts []textPrompt
	echo    bool // the answer begins with the prompt
}

// textPrompt is a text or its tokens.
type textPrompt struct {
	path   string
	text   string
	tokens []int32
	isText bool
}

// decodeCompletion reads a request for a model of the given context length and number of tokens, 0 being unknown.
func decodeCompletion(body []byte, context, vocab int) (*completionRequest, error) {
	o, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	var q completionRequest
	if q.sampling, err = decodeSampling(o, defaultCompletion); err != nil {
		return nil, err
	}
	if err := optional(o, "max_tokens", &q.maxTokens, within(0, 1<<31-1)); err != nil {
		return nil, err
	}
	if err := optional(o, "echo", &q.echo, (*field).boolean); err != nil {
		return nil, err
	}
	if f := o.take("logprobs"); f != nil {
		q.logProbs = true
		if q.top, err = within(0, maxTopLogProbs)(f); err != nil {
			return nil, err
		}
	}
	if err := refuseCompletion(o, &q); err != nil {
		return nil, err
	}
	prompt, err := o.need("prompt")
	if err != nil {
		return nil, err
	}
	if q.prompts, err = decodePrompts(prompt, context, vocab); err != nil {
		return nil, err
	}
	if len(q.prompts)*q.n > maxChoices {
		return nil, invalid("n", "invalid_value", "%d prompts times %d choices are more than %d", len(q.prompts), q.n, maxChoices)
	}
	return &q, o.done()
}

func refuseCompletion(o object, q *completionRequest) error {
	if f := o.take("best_of"); f != nil {
		best, err := within(1, maxChoices)(f)
		if err != nil {
			return err
		}
		if best != q.n {
			return f.unsupported("only the value of n, %d, is supported", q.n)
		}
	}
	if f := o.take("suffix"); f != nil {
		s, err := f.text()
		if err != nil {
			return err
		}
		if s != "" {
			return f.unsupported("is not supported")
		}
	}
	return nil
}

// decodePrompts reads a string, a list of strings, a list of token ids, or a list of such lists.
func decodePrompts(f *field, context, vocab int) ([]textPrompt, error) {
	if f.isString() {
		p, err := decodePrompt(f, context, vocab)
		return []textPrompt{p}, err
	}
	if !f.isArray() {
		return nil, f.wrongType("a string or an array")
	}
	var prompts []textPrompt
	ofTokens := false
	err := f.each(func(e *field) error {
		if e.index == 0 && e.isNumber() {
			ofTokens = true
		}
		if ofTokens {
			return nil
		}
		if e.index == maxChoices {
			return f.invalid("more than %d prompts", maxChoices)
		}
		p, err := decodePrompt(e, context, vocab)
		prompts = append(prompts, p)
		return err
	})
	if err == nil && ofTokens {
		var p textPrompt
		p, err = decodePrompt(f, context, vocab)
		prompts = []textPrompt{p}
	}
	if err == nil && len(prompts) == 0 {
		err = f.invalid("is empty")
	}
	return prompts, err
}

// decodePrompt reads a string or a list of token ids.
func decodePrompt(f *field, context, vocab int) (textPrompt, error) {
	p := textPrompt{path: f.path()}
	if f.isString() {
		var err error
		p.isText = true
		p.text, err = f.text()
		return p, err
	}
	if !f.isArray() {
		return p, f.wrongType("a string or an array of token ids")
	}
	high := int64(1<<31 - 1)
	if vocab > 0 {
		high = int64(vocab - 1)
	}
	err := f.each(func(e *field) error {
		if e.index > context {
			return tooLong(p.path, e.index, context)
		}
		id, err := e.integer(0, high)
		p.tokens = append(p.tokens, int32(id))
		return err
	})
	return p, err
}

// tooLong reports a prompt that leaves no room for an answer.
func tooLong(param string, tokens, context int) error {
	return invalid(param, "context_length_exceeded", "has at least %d tokens; the model's context of %d tokens holds prompt and answer", tokens, context)
}
