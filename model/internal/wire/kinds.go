package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/because-lab/because/model"
)

// wording ties what servers say to a kind. The words are in lower case.
type wording struct {
	kind  model.Kind
	words []string
}

// wordings are the texts, types and codes of OpenAI, Anthropic, OpenRouter, vLLM, SGLang, llama.cpp and Ollama, in the order in
// which they are tried.
var wordings = []wording{
	{model.Denied, []string{"insufficient_quota", "credit balance is too low", "billing_hard_limit", "insufficient credits", "invalid_api_key"}},
	{model.NoTools, []string{
		"does not support tools", "does not support tool", "tool-call-parser", "support tool use", "does not support function",
		"tools param requires --jinja", "tool use is not supported", "tools are not supported", "tool calling is not supported",
	}},
	{model.TooLong, []string{
		"context_length_exceeded", "exceed_context_size", "maximum context length", "available context size", "prompt is too long",
		"exceed context limit", "exceeds the context", "exceeded max context", "maximum allowed length", "maximum model length",
		"context window", "max_tokens must be at least 1, got -", "request_too_large", "larger than the model's context", "context length exceeded",
	}},
	{model.Filtered, []string{
		"content_filter", "content_policy", "responsibleaipolicy", "content management policy", "content filtering policy",
		"invalid_prompt", "requires moderation", "was flagged",
	}},
	{model.BadTLS, []string{"http request to an https server", "plain http request was sent to https port"}},
	{model.NotFound, []string{"model_not_found", "try pulling it first", "not_found_error"}},
}

// typeStatus gives the status under which a type of error comes, for errors that come under status 200, as in batches.
var typeStatus = map[string]int{
	"invalid_request_error": 400, "BadRequestError": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
	"not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "server_error": 500, "api_error": 500, "timeout_error": 504,
}

// Classify tells what kind of error a server means.
func Classify(status int, p Problem) model.Kind {
	if status < 400 && p.Status != 0 {
		status = p.Status
	}
	if status < 400 {
		status = typeStatus[p.Type]
	}
	kind := model.Overloaded
	if status >= 400 {
		kind = model.StatusKind(status)
	}
	switch {
	case p.Type == "overloaded_error":
		return model.Overloaded
	case status == http.StatusUnauthorized, status == http.StatusRequestTimeout:
		return kind
	case status == http.StatusConflict:
		return model.Overloaded // a lock that is held; OpenAI asks clients to try again
	case status == http.StatusMethodNotAllowed:
		return model.NotFound
	}
	said := strings.ToLower(p.Code + "\n" + p.Type + "\n" + p.Message)
	for _, w := range wordings {
		if kind == model.RateLimited && w.kind != model.Denied {
			continue // a limit's text may speak of context and tools too
		}
		for _, words := range w.words {
			if strings.Contains(said, words) {
				return w.kind
			}
		}
	}
	return kind
}

// advice gives what a user can do about an error, or "".
func advice(e *model.Error) string {
	said := ""
	if e.Err != nil {
		said = strings.ToLower(e.Err.Error())
	}
	has := func(words string) bool { return strings.Contains(said, words) }
	switch e.Kind {
	case model.Denied:
		if has("quota") || has("credit") || has("billing") || e.Status == http.StatusPaymentRequired {
			return "the account has no credit left: add some, or ask another model"
		}
		return "check the API key, and that it may use this model"
	case model.NotFound:
		if has("pulling it first") {
			return "fetch the model on the server first: ollama pull MODEL"
		}
		return "check the model's name and the base URL, which often ends in /v1"
	case model.Unreachable:
		return "check that the server runs and that the base URL names its host and port"
	case model.BadTLS:
		if has("http request") {
			return "the server speaks TLS: begin the base URL with https://"
		}
		return "check the base URL's scheme and host, and the server's certificate"
	case model.NoTools:
		if has("tool-call-parser") {
			return "start vLLM with --enable-auto-tool-choice and --tool-call-parser"
		}
		if has("--jinja") {
			return "start llama-server with --jinja"
		}
		return "choose a model that can call tools"
	case model.TooLong:
		return "shorten the conversation, ask for fewer tokens, or give the server a longer context"
	case model.Rejected:
		return adviceOnRequest(has)
	}
	return ""
}

// adviceOnRequest gives what to change in a request, by the words in which it was rejected.
func adviceOnRequest(has func(string) bool) string {
	switch {
	case has("temperature"), has("top_p"):
		return "this model insists on its own temperature: leave temperature and top_p out"
	case has("prefill"):
		return "this model does not continue a given answer: leave the prefill out, or ask for a format"
	case has("max_completion_tokens") && has("max_tokens"):
		return "the server wants the limit of tokens under the other name"
	case has("reasoning_effort"), has("effort"), has("thinking"):
		return "this model has no such reasoning effort: leave it out"
	case has("seed"):
		return "the server takes no seed: leave it out"
	case has("response_format"), has("json_schema"), has("output_config"), has("output_format"):
		return "the server does not take this JSON schema: simplify it, or choose a model that supports structured answers"
	case has("tool_choice"):
		return "the server can't be told which tool to call: leave the choice of tools to the model"
	}
	return ""
}

// Wait tells how long a server asks to be left alone: model.RetryAfter, or else when the limit that is used up is renewed, by
// the headers of OpenAI (durations such as 6m0s) and Anthropic (times).
func Wait(h http.Header, now time.Time) time.Duration {
	if wait := model.RetryAfter(h, now); wait > 0 {
		return wait
	}
	var wait time.Duration
	for _, what := range []string{"requests", "tokens"} {
		if left, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining-" + what)); err == nil && left <= 0 {
			if d, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-" + what)); err == nil {
				wait = max(wait, d)
			}
		}
	}
	for _, what := range []string{"Requests", "Tokens", "Input-Tokens", "Output-Tokens"} {
		if left, err := strconv.Atoi(h.Get("Anthropic-Ratelimit-" + what + "-Remaining")); err == nil && left <= 0 {
			if at, err := time.Parse(time.RFC3339, h.Get("Anthropic-Ratelimit-"+what+"-Reset")); err == nil {
				wait = max(wait, at.Sub(now))
			}
		}
	}
	return min(max(0, wait), 24*time.Hour)
}
