// Package wire is what clients of served models share: one request over HTTP with its limits and errors, the writing of JSON
// by appending, and the wordings by which servers tell what went wrong.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// MaxAnswer bounds the body of one answer, in bytes.
const MaxAnswer = 64 << 20

// MaxError bounds what is read of a body that tells an error, in bytes.
const MaxError = 1 << 20

// Timeout is how long one request may take where the caller does not say: vendors close connections that are idle for longer.
const Timeout = 10 * time.Minute

// Options say how to reach a server.
type Options struct {
	Name    string // of the model, as users name it; errors carry it
	BaseURL string // with what comes before the API's paths, such as https://api.openai.com/v1
	Header  http.Header
	Client  *http.Client  // nil: one with a pool of connections that all clients share
	Timeout time.Duration // of one request; 0: Timeout
	Secrets []string      // that no error may hold; those of fewer than 8 bytes are taken for placeholders
}

// Client sends requests to one server. Many goroutines may use it at once.
type Client struct {
	name    string
	base    *url.URL
	header  http.Header
	http    *http.Client
	timeout time.Duration
	hide    func(string) string
}

// New checks the options.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return nil, err
	}
	secrets := o.Secrets
	if base.User != nil {
		password, _ := base.User.Password()
		secrets = append(secrets[:len(secrets):len(secrets)], password)
	}
	for name, values := range o.Header {
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				return nil, fmt.Errorf("the header %s has a line break in its value", name)
			}
		}
	}
	c := &Client{name: o.Name, base: base, header: o.Header, timeout: o.Timeout, hide: hider(secrets)}
	if c.timeout == 0 {
		c.timeout = Timeout
	}
	c.http = &http.Client{Transport: sharedTransport(), CheckRedirect: stay}
	if o.Client != nil {
		own := *o.Client
		own.CheckRedirect = stay
		c.http = &own
	}
	return c, nil
}

// parseBase reads a base URL. Its errors leave the URL out, since it may hold a password.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("the base URL is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("the base URL must begin with http:// or https:// and a host")
	case u.Fragment != "":
		return nil, errors.New("the base URL must have no fragment")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// stay keeps requests, which carry keys and prompts, from following a server elsewhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// sharedTransport holds as many idle connections as a run has requests in flight. Over TLS it speaks HTTP/2 where the server
// agrees to; in plain text, HTTP/1.1.
var sharedTransport = sync.OnceValue(func() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8192,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 15 * time.Second, DisableCompression: true,
		WriteBufferSize: 16 << 10, // most requests leave in one write
	}
})

// Base gives the base URL without user, password and query, which may be secret.
func (c *Client) Base() string {
	u := *c.base
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// Host gives the server's host name, without port.
func (c *Client) Host() string { return c.base.Hostname() }

// Post sends JSON to a path below the base URL and gives the body of the answer, which must be a success.
func (c *Client) Post(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.Send(ctx, http.MethodPost, path, "application/json", bytes.NewReader(body))
}

// Send sends a request and gives the body of the answer, which must be a success and no longer than MaxAnswer.
func (c *Client) Send(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.Open(limited, method, path, contentType, body)
	if err != nil {
		return nil, c.ended(ctx, err)
	}
	defer resp.Body.Close()
	data, err := readAll(resp.Body, resp.ContentLength)
	if err != nil {
		return nil, c.ended(ctx, c.network(err))
	}
	if len(data) > MaxAnswer {
		return nil, c.Garbled(fmt.Errorf("the answer is larger than %d MiB", MaxAnswer>>20))
	}
	if isPage(resp.Header, data) {
		return nil, c.page(resp.StatusCode)
	}
	return data, nil
}

// Open sends a request and gives the response, whose body the caller reads and closes; a status that is no success is an error.
func (c *Client) Open(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	u := *c.base
	path, query, asks := strings.Cut(path, "?")
	u.Path += path
	if asks {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
	}
	req, err := http.NewRequestWithContext(ctx, method, "", body)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = &u, u.Host
	for name, values := range c.header {
		req.Header[name] = values
	}
	if contentType != "" {
		req.Header["Content-Type"] = []string{contentType}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.network(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, c.failed(resp)
	}
	return resp, nil
}

// Lines fetches a body of lines, of which each may be as long as an answer, and gives them to each, which keeps none of them.
func (c *Client) Lines(ctx context.Context, path string, each func(line []byte) error) error {
	resp, err := c.Open(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return c.ended(ctx, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 1<<16), MaxAnswer)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	err = lines.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bufio.ErrTooLong):
		return c.Garbled(fmt.Errorf("a line is larger than %d MiB", MaxAnswer>>20))
	}
	return c.ended(ctx, c.network(err))
}

// JSON sends a request below the base URL, with a JSON body if it is not nil, and reads the JSON of its answer.
func (c *Client) JSON(ctx context.Context, method, path string, body, into any) error {
	var r io.Reader
	kind := ""
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r, kind = bytes.NewReader(text), "application/json"
	}
	answer, err := c.Send(ctx, method, path, kind, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return c.Garbled(err)
	}
	return nil
}

// ID checks that what a server gave as an ID can stand in a path.
func (c *Client) ID(id string) (string, error) {
	for _, r := range id {
		if !(r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return "", c.Garbled(fmt.Errorf("%q is no ID", id))
		}
	}
	if id == "" {
		return "", c.Garbled(errors.New("the answer has no ID"))
	}
	return id, nil
}

// ended gives the context's own error where the caller's context ended the request, and err otherwise.
func (c *Client) ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("ask %s: %w", c.name, cause)
	}
	return err
}

// readAll reads a body of the announced length (-1: unknown) up to one byte more than MaxAnswer.
func readAll(r io.Reader, length int64) ([]byte, error) {
	size := int64(4096)
	if length >= 0 {
		size = min(length, 1<<20) + 1 // one more lets the read that meets the end need no other buffer
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) > MaxAnswer {
			return buf, nil
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// isPage tells whether a body is a web page rather than an API's answer.
func isPage(h http.Header, body []byte) bool {
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		return true
	}
	return len(body) > 0 && body[0] != '{' && bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}
