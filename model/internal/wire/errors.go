package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// keyLike is how vendors' keys look, also those that they echo with stars in the middle.
var keyLike = regexp.MustCompile(`\b(sk|rk|pk|gsk|xai|hf|key)[-_][A-Za-z0-9_*.-]{8,}`)

// leastSecret is how many bytes a secret has at least: shorter ones, such as "none" and "ollama", are what servers without keys are
// given, and stand in many texts.
const leastSecret = 8

// hider replaces secrets in texts that come from outside, in the spellings in which JSON, URLs and headers may hold them.
func hider(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		if len(s) < leastSecret {
			continue
		}
		quoted := AppendString(nil, s)
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), string(quoted[1 : len(quoted)-1]),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s))} {
			pairs = append(pairs, form, "[key]")
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string { return keyLike.ReplaceAllString(replacer.Replace(text), "[key]") }
}

// Problem is what a server says of an error, in any of the forms that servers use.
type Problem struct {
	Code, Type, Message string
	Status              int // that the body itself tells, for servers that answer errors with status 200
}

// text gives the message, or what else there is.
func (p Problem) text() string {
	for _, s := range []string{p.Message, p.Code, p.Type} {
		if s != "" {
			return s
		}
	}
	return ""
}

// word reads a JSON value that is a string in one server and a number or an object in another.
type word string

// UnmarshalJSON keeps strings as they are and everything else as its JSON.
func (w *word) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*w = word(s)
	} else {
		*w = word(raw)
	}
	return nil
}

// problemBody is the union of error objects: OpenAI and most others {"error": {"message", "type", "code"}}, Anthropic {"type":
// "error", "error": {"type", "message"}}, older vLLM and Mistral {"message", "type", "code"}, Ollama {"error": "text"}, FastAPI
// {"detail": ...}. OpenRouter tells its upstream's own words in metadata.raw.
type problemBody struct {
	Error    json.RawMessage `json:"error"`
	Code     word            `json:"code"`
	Type     word            `json:"type"`
	Message  word            `json:"message"`
	Detail   word            `json:"detail"`
	Metadata struct {
		Raw word `json:"raw"`
	} `json:"metadata"`
}

// ParseProblem reads the body of an error. ok is false where it holds none.
func ParseProblem(body []byte) (p Problem, ok bool) {
	var outer problemBody
	if json.Unmarshal(body, &outer) != nil {
		return Problem{}, false
	}
	inner := outer
	if k := Kind(outer.Error); k == '{' {
		inner = problemBody{}
		if json.Unmarshal(outer.Error, &inner) != nil {
			return Problem{}, false
		}
	} else if k == '"' {
		var text word
		if json.Unmarshal(outer.Error, &text) == nil {
			inner.Message = text
		}
	}
	message := string(inner.Message)
	if message == "" {
		message = string(inner.Detail)
	}
	if raw := string(inner.Metadata.Raw); raw != "" {
		message += ": " + raw
	}
	p = Problem{Code: string(inner.Code), Type: string(inner.Type), Message: message}
	if _, err := fmt.Sscanf(p.Code, "%d", &p.Status); err != nil || p.Status < 100 || p.Status > 599 {
		p.Status = 0
	}
	return p, p.text() != ""
}

// failed makes an error of a response that is no success.
func (c *Client) failed(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, MaxError)) // a part tells as much as can be told
	if at := resp.Header.Get("Location"); at != "" && resp.StatusCode < 400 {
		e := &model.Error{Kind: model.NotFound, Model: c.name, Status: resp.StatusCode, Err: fmt.Errorf("the server sends requests on to %s", c.hide(withoutQuery(at)))}
		return c.advise(e, "set the base URL to where the server really is")
	}
	wait := Wait(resp.Header, time.Now())
	p, ok := ParseProblem(body)
	if !ok {
		if isPage(resp.Header, body) {
			e := c.page(resp.StatusCode)
			setWait(e, wait)
			return e
		}
		p.Message = excerpt(string(bytes.TrimSpace(body)))
	}
	return c.Explain(resp.StatusCode, p, wait)
}

func setWait(err error, wait time.Duration) {
	var e *model.Error
	if errors.As(err, &e) && e.Passes() {
		e.RetryAfter = wait
	}
}

func withoutQuery(u string) string {
	u, _, _ = strings.Cut(u, "?")
	return u
}

// Explain makes an error of what a server said.
func (c *Client) Explain(status int, p Problem, wait time.Duration) error {
	e := &model.Error{Kind: Classify(status, p), Model: c.name, Status: status}
	if e.Passes() {
		e.RetryAfter = wait
	}
	if text := p.text(); text != "" {
		if (p.Code != "" || p.Type != "") && p.Message != "" && e.Kind == model.Rejected {
			text = strings.Trim(p.Type+" "+p.Code, " ") + ": " + text
		}
		e.Err = errors.New(excerpt(c.hide(text)))
	} else {
		e.Err = errors.New("the server gives no reason")
	}
	return c.advise(e, "")
}

// excerpt shortens a text for an error, to one line.
func excerpt(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	const most = 600
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + " ..."
}

// page is the error for a web page in place of an answer.
func (c *Client) page(status int) error {
	e := &model.Error{Kind: model.Garbled, Model: c.name, Status: status, Err: fmt.Errorf("%s answers with a web page, not with an API's answer", c.base.Host)}
	if status >= 400 {
		e.Kind = Classify(status, Problem{})
	}
	if e.Kind == model.Garbled || e.Kind == model.NotFound || e.Kind == model.Rejected {
		return c.advise(e, "check the base URL: it must be that of the API, which often ends in /v1")
	}
	return c.advise(e, "")
}

// Garbled is the error for an answer that is not what it should be.
func (c *Client) Garbled(err error) error {
	return &model.Error{Kind: model.Garbled, Model: c.name, Status: http.StatusOK, Err: errors.New(excerpt(c.hide(err.Error())))}
}

// Refuse is the error for a request that this client does not send.
func (c *Client) Refuse(kind model.Kind, err error, hint string) error {
	return because.E("ask model", "", &model.Error{Kind: kind, Model: c.name, Err: err}, hint)
}

// Fail is the error for a request that was lost on its way, such as in a batch.
func (c *Client) Fail(kind model.Kind, err error) error {
	return &model.Error{Kind: kind, Model: c.name, Err: errors.New(excerpt(c.hide(err.Error())))}
}

// network makes an error of one of the network's.
func (c *Client) network(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // what it adds is the URL
	}
	e := &model.Error{Kind: model.NetworkKind(err), Model: c.name, Err: plain{c.hide(c.base.Host + ": " + err.Error()), err}}
	hint := ""
	switch {
	case e.Kind == model.TimedOut: // without its cause, which looks like the end of the caller's own context
		e.Err = errors.New(c.hide(c.base.Host + ": no answer in time: " + err.Error()))
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Kind, hint = model.Cut, "raise the limit of open files (ulimit -n), or allow fewer requests at once"
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`):
		e.Kind, hint = model.BadTLS, "the server speaks TLS: begin the base URL with https://"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Kind, hint = model.BadTLS, "the server speaks no TLS: begin the base URL with http://"
	}
	return c.advise(e, hint)
}

// plain is an error with a text of its own.
type plain struct {
	text  string
	cause error
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.cause }

// advise adds what the user can do.
func (c *Client) advise(e *model.Error, hint string) error {
	if hint == "" {
		hint = advice(e)
	}
	if hint == "" {
		return e
	}
	return because.E("ask model", "", e, hint)
}
