package serve

import (
	"encoding/json"
	"regexp"

	"github.com/because-lab/because"
)

// maxTools bounds the tools of a request, as the API does.
const maxTools = 128

// functionName is what the API allows as the name of a function.
var functionName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// reserved are variables that a template gets from the request itself.
var reserved = []string{
	"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "pad_token", "unk_token",
}

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	sampling
	input ChatInput
	// oneCall ends an answer after its first tool call.
	oneCall bool
}

func decodeChat(body []byte) (*chatRequest, error) {
	o, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	var q chatRequest
	if q.sampling, err = decodeSampling(o, -1); err != nil {
		return nil, err
	}
	steps := []func(object, *chatRequest) error{
		decodeMaxTokens, decodeChatLogProbs, decodeTools, decodeMessages, decodeTemplateVars, refuseChat,
	}
	for _, step := range steps {
		if err := step(o, &q); err != nil {
			return nil, err
		}
	}
	return &q, o.done()
}

// decodeMaxTokens reads the limit under its new name or its old one.
func decodeMaxTokens(o object, q *chatRequest) error {
	before := o.take("max_tokens")
	now := o.take("max_completion_tokens")
	if before != nil && now != nil && string(before.raw) != string(now.raw) {
		return before.invalid("differs from max_completion_tokens, which replaces it")
	}
	if now == nil {
		now = before
	}
	if now == nil {
		return nil
	}
	var err error
	q.maxTokens, err = within(1, 1<<31-1)(now)
	return err
}

func decodeChatLogProbs(o object, q *chatRequest) error {
	if err := optional(o, "logprobs", &q.logProbs, (*field).boolean); err != nil {
		return err
	}
	f := o.take("top_logprobs")
	if f == nil {
		return nil
	}
	var err error
	if q.top, err = within(0, maxTopLogProbs)(f); err != nil {
		return err
	}
	if q.top > 0 && !q.logProbs {
		return f.invalid("is only allowed with logprobs")
	}
	return nil
}

// decodeTools reads tools and how they may be used.
func decodeTools(o object, q *chatRequest) error {
	names := map[string]bool{}
	if f := o.take("tools"); f != nil {
		err := f.each(func(e *field) error {
			if e.index == maxTools {
				return f.invalid("more than %d tools", maxTools)
			}
			tool, err := decodeTool(e)
			if err == nil && names[tool.Name] {
				err = e.invalid("a second tool named %q", tool.Name)
			}
			names[tool.Name] = true
			q.input.Tools = append(q.input.Tools, tool)
			return err
		})
		if err != nil {
			return err
		}
	}
	parallel := true
	if err := optional(o, "parallel_tool_calls", &parallel, (*field).boolean); err != nil {
		return err
	}
	q.oneCall = !parallel
	return decodeToolChoice(o, q)
}

// decodeToolChoice reads tool_choice: with "none" the model does not see the tools.
func decodeToolChoice(o object, q *chatRequest) error {
	f := o.take("tool_choice")
	if f == nil {
		return nil
	}
	if !f.isString() {
		if _, err := f.object(); err != nil {
			return f.wrongType("a string or an object")
		}
		return f.unsupported("a model can't be made to call a tool here; only \"auto\" and \"none\" are supported")
	}
	choice, err := f.text()
	switch {
	case err != nil:
		return err
	case choice == "none":
		q.input.Tools = nil
	case choice == "required":
		return f.unsupported("a model can't be made to call a tool here; only \"auto\" and \"none\" are supported")
	case choice != "auto":
		return f.invalid("want \"auto\" or \"none\", not %q", choice)
	}
	return nil
}

// wantType checks the type of an object that comes with one.
func wantType(o object, want string) error {
	f, err := o.need("type")
	if err != nil {
		return err
	}
	kind, err := f.text()
	if err == nil && kind != want {
		err = f.unsupported("only %q is supported, not %q", want, kind)
	}
	return err
}

// decodeFunction reads the function that a tool or a call has.
func decodeFunction(f *field) (of, function object, name string, err error) {
	if of, err = f.object(); err != nil {
		return
	}
	if err = wantType(of, "function"); err != nil {
		return
	}
	inner, err := of.need("function")
	if err != nil {
		return
	}
	if function, err = inner.object(); err != nil {
		return
	}
	named, err := function.need("name")
	if err != nil {
		return
	}
	name, err = named.text()
	if err == nil && !functionName.MatchString(name) {
		err = named.invalid("a function's name has 1 to 64 letters, digits, dots, dashes and underscores")
	}
	return
}

func decodeTool(f *field) (because.Tool, error) {
	tool, function, name, err := decodeFunction(f)
	if err != nil {
		return because.Tool{}, err
	}
	t := because.Tool{Name: name}
	if err := optional(function, "description", &t.Description, (*field).text); err != nil {
		return t, err
	}
	// Calls are not constrained while they are sampled, so strict is a wish; many clients send it always.
	var strict bool
	if err := optional(function, "strict", &strict, (*field).boolean); err != nil {
		return t, err
	}
	if schema := function.take("parameters"); schema != nil {
		if _, err := schema.object(); err != nil {
			return t, err
		}
		t.Parameters = schema.raw
	}
	if err := function.done(); err != nil {
		return t, err
	}
	return t, tool.done()
}

// decodeTemplateVars reads chat_template_kwargs, the variables that vLLM passes to templates under this name.
func decodeTemplateVars(o object, q *chatRequest) error {
	f := o.take("chat_template_kwargs")
	if f == nil {
		return nil
	}
	vars, err := f.object()
	if err != nil {
		return err
	}
	for _, name := range reserved {
		if v := vars.take(name); v != nil {
			return v.invalid("is set by the request itself")
		}
	}
	v, err := f.value()
	q.input.Vars, _ = v.(map[string]any)
	return err
}

// refuseChat reports parameters of chats alone that would change the answer.
func refuseChat(o object, _ *chatRequest) error {
	if f := o.take("response_format"); f != nil {
		format, err := f.object()
		if err != nil {
			return err
		}
		if err := wantType(format, "text"); err != nil {
			return err
		}
		if err := format.done(); err != nil {
			return err
		}
	}
	if f := o.take("modalities"); f != nil {
		err := f.each(func(e *field) error {
			kind, err := e.text()
			if err == nil && kind != "text" {
				err = e.unsupported("only \"text\" is supported")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"functions", "function_call"} {
		if f := o.take(name); f != nil {
			return f.unsupported("is not supported; use tools")
		}
	}
	for _, name := range []string{"audio", "prediction", "reasoning_effort", "verbosity", "web_search_options"} {
		if f := o.take(name); f != nil {
			return f.unsupported("is not supported")
		}
	}
	return nil
}

// decodeArguments reads a call's arguments, a string that holds JSON.
func decodeArguments(f *field) (json.RawMessage, error) {
	s, err := f.text()
	if err != nil {
		return nil, err
	}
	if s == "" {
		return json.RawMessage("{}"), nil // what some clients send for a function without parameters
	}
	if tooDeep([]byte(s)) >= 0 || !json.Valid([]byte(s)) {
		return nil, f.invalid("is not valid JSON, or nested more than %d deep", maxDepth)
	}
	return json.RawMessage(s), nil
}
