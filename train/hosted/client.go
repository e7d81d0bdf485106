package hosted

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/because-lab/because/model"
)

// DefaultBaseURL is that of OpenAI.
const DefaultBaseURL = "https://api.openai.com/v1"

const (
	maxAnswer  = 256 << 20 // bytes of one answer
	maxError   = 1 << 20   // bytes that are read of a body that tells an error
	requestFor = 10 * time.Minute
	uploadFor  = 2 * time.Hour // half a gigabyte over a slow line
)

// client sends requests to one service.
type client struct {
	base     *url.URL
	name     string // of the model, for errors
	key      string
	http     *http.Client
	attempts int
	first    time.Duration // wait after the first failure, doubled for each that follows
	longest  time.Duration
	report   func(note string)
}

// parseBase reads a base URL, which must hold no secrets, since it is written down.
func parseBase(text string) (*url.URL, error) {
	if text == "" {
		text = DefaultBaseURL
	}
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("the base URL is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("the base URL must begin with http:// or https:// and a host")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("the base URL must hold no password, query or fragment: the key comes from the environment")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// IsOpenAI tells whether a base URL is OpenAI's own. Empty is.
func IsOpenAI(base string) bool {
	u, err := parseBase(base)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return host == "api.openai.com" || strings.HasSuffix(host, ".api.openai.com")
}

func newClient(o *Options, base *url.URL) (*client, error) {
	key := strings.TrimSpace(o.Key)
	if strings.ContainsAny(key, "\r\n\x00") {
		return nil, errors.New("the key has a line break in it")
	}
	c := &client{base: base, name: o.Model, key: key, attempts: 10, first: o.Retry, longest: time.Minute, report: func(string) {}}
	if c.first == 0 {
		c.first = time.Second
	}
	c.http = &http.Client{}
	if o.HTTPClient != nil {
		own := *o.HTTPClient
		c.http = &own
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // keys and data follow nobody elsewhere
	return c, nil
}

// Format writes where requests go for every verb, so that no way of printing shows the key.
func (c *client) Format(s fmt.State, _ rune) { io.WriteString(s, c.base.String()) }

// body is what a request sends.
type body struct {
	kind   string // content type
	parts  [][]byte
	within time.Duration
}

func (b body) reader() (io.Reader, int64) {
	var all []io.Reader
	size := int64(0)
	for _, p := range b.parts {
		all = append(all, bytes.NewReader(p))
		size += int64(len(p))
	}
	return io.MultiReader(all...), size
}

// send sends a request once and gives the body of the answer, which must be a success.
func (c *client) send(ctx context.Context, method, path string, b body) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, max(b.within, requestFor))
	defer cancel()
	content, size := b.reader()
	if len(b.parts) == 0 {
		content = nil
	}
	req, err := http.NewRequestWithContext(limited, method, c.base.String()+path, content)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("User-Agent", "because")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if b.kind != "" {
		req.Header.Set("Content-Type", b.kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.network(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.failed(resp)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.network(ctx, err)
	}
	if len(text) > maxAnswer {
		return nil, c.garbled(fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20))
	}
	return text, nil
}

// post sends a request once, with a JSON body if there is one, and reads the JSON of its answer.
func (c *client) post(ctx context.Context, path string, what, into any) error {
	b := body{}
	if what != nil {
		text, err := json.Marshal(what)
		if err != nil {
			return err
		}
		b = body{kind: "application/json", parts: [][]byte{text}}
	}
	answer, err := c.send(ctx, http.MethodPost, path, b)
	if err != nil {
		return err
	}
	return c.decode(answer, into)
}

// get asks until there is an answer, an error that does not pass, or no attempt left. Asking changes nothing, so it may be repeated.
func (c *client) get(ctx context.Context, path string, into any) error {
	_, err := c.content(ctx, path, func(text []byte) error { return c.decode(text, into) })
	return err
}

// content is get for any body; check may refuse it as garbled, which asks again.
func (c *client) content(ctx context.Context, path string, check func([]byte) error) ([]byte, error) {
	for n := 1; ; n++ {
		text, err := c.send(ctx, http.MethodGet, path, body{})
		if err == nil {
			if err = check(text); err == nil {
				return text, nil
			}
		}
		if err := c.rest(ctx, err, n); err != nil {
			return nil, err
		}
	}
}

// ensure makes something at the service once: it looks for it before every attempt, since an attempt without an answer may have
// made it. An error leaves it open whether there is one; a later call finds out.
func ensure[T any](ctx context.Context, c *client, find func() (T, bool, error), create func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		found, ok, err := find()
		if err != nil || ok {
			return found, err
		}
		made, err := create()
		if err == nil {
			return made, nil
		}
		if err := c.rest(ctx, err, n); err != nil {
			var none T
			return none, err
		}
	}
}

// rest waits after the nth attempt, which failed, or gives the error if none follows.
func (c *client) rest(ctx context.Context, err error, n int) error {
	var e *model.Error
	if ctx.Err() != nil || !errors.As(err, &e) || !e.Passes() {
		return err
	}
	if n >= c.attempts {
		return fmt.Errorf("%w (attempt %d)", err, n)
	}
	wait := c.longest
	if n <= 30 && c.first < c.longest>>(n-1) {
		wait = c.first << (n - 1)
	}
	wait = max(wait/2+rand.N(wait/2+1), e.RetryAfter)
	c.report(fmt.Sprintf("%s; again in %v", e.Kind, wait.Round(time.Millisecond)))
	return sleep(ctx, wait)
}

// sleep waits, or gives the cause of the context's end.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return context.Cause(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *client) decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return c.garbled(fmt.Errorf("the answer is not the JSON of this API: %w", err))
	}
	return nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,200}$`)

// id checks that what a service gave as an ID can stand in a path.
func (c *client) id(id string) (string, error) {
	if !idPattern.MatchString(id) || strings.Trim(id, ".") == "" {
		return "", c.garbled(fmt.Errorf("%q is no ID", clip(id)))
	}
	return id, nil
}

// pages goes through a list page by page until each says that it has enough, or there is no more. A service that gives the same
// page again and again comes to an end too.
func pages[T any](ctx context.Context, c *client, path string, id func(T) string, each func(page []T) (enough bool)) error {
	seen := map[string]bool{}
	after := ""
	for {
		var page struct {
			Data []T  `json:"data"`
			More bool `json:"has_more"`
		}
		if err := c.get(ctx, path+after, &page); err != nil {
			return err
		}
		if len(page.Data) == 0 || each(page.Data) || !page.More {
			return nil
		}
		last, err := c.id(id(page.Data[len(page.Data)-1]))
		if err != nil {
			return err
		}
		if seen[last] {
			return nil
		}
		seen[last] = true
		after = "&after=" + url.QueryEscape(last)
	}
}
