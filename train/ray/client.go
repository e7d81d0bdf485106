package ray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// DefaultAddress is where Ray's dashboard, which answers the Jobs API, listens on a machine of its own.
const DefaultAddress = "http://127.0.0.1:8265"

// Options say how a client reaches a cluster and how long it bears with it.
type Options struct {
	// Headers go with every request, as do those of RAY_JOB_HEADERS (a JSON object), which come first.
	Headers map[string]string
	// Token is sent as a bearer token. Empty: RAY_AUTH_TOKEN, the file that RAY_AUTH_TOKEN_PATH names, or ~/.ray/auth_token, as Ray's client does; none of them
	// where RAY_AUTH_MODE is "disabled" or a header says Authorization already.
	Token string
	// Patience is how long Follow goes on trying while the cluster cannot be reached. 0: 5 minutes.
	Patience time.Duration
	// Wait lets a job wait for nodes that the cluster does not have yet. Without it, a job that no node could take is an error.
	Wait bool
	// Transport carries the requests. nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Client speaks the REST API of Ray's dashboard: jobs, packages, nodes and Serve. It may be used by many goroutines.
type Client struct {
	base   *url.URL
	http   *http.Client
	header http.Header
	wait   bool
	pace   pace
}

// pace has the client's times, which tests shorten.
type pace struct {
	request  time.Duration // longest a request may take, uploads apart
	backoff  time.Duration // before the first repetition; doubles
	tries    int           // of a request
	patience time.Duration
	fresh    time.Duration // between looks at a job that has just begun
	slow     time.Duration // and at one that goes on
	check    time.Duration // between looks at a job whose log is streamed, and at whether the cluster can take one
	silence  time.Duration // of a stream, after which it is opened anew
	grace    time.Duration // for which a waiting job may fit nowhere, since nodes come and go
}

func ordinary(patience time.Duration) pace {
	if patience <= 0 {
		patience = 5 * time.Minute
	}
	return pace{request: 30 * time.Second, backoff: 200 * time.Millisecond, tries: 4, patience: patience, fresh: 200 * time.Millisecond, slow: 5 * time.Second,
		check: 30 * time.Second, silence: 5 * time.Minute, grace: 30 * time.Second}
}

// New makes a client. The address is that of the dashboard, such as http://head:8265, with the path of a proxy where there is one; empty: what
// RAY_API_SERVER_ADDRESS or RAY_ADDRESS says, else DefaultAddress. Nothing is asked of the cluster yet.
func New(address string, o Options) (*Client, error) {
	const op = "reach Ray"
	base, err := parseAddress(address)
	if err != nil {
		return nil, because.E(op, address, err, "give the address of Ray's dashboard, such as http://head:8265")
	}
	header, err := headers(o)
	if err != nil {
		return nil, because.E(op, base.Redacted(), err, `RAY_JOB_HEADERS is a JSON object of texts, such as {"X-Team": "alignment"}`)
	}
	c := &Client{base: base, header: header, wait: o.Wait, pace: ordinary(o.Patience)}
	c.http = &http.Client{Transport: o.Transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		return fmt.Errorf("%w: it sends on to %s", ErrNotRay, r.URL.Redacted()) // a token goes where it was told to go, nowhere else
	}}
	return c, nil
}

// Address is the cluster's, without password.
func (c *Client) Address() string { return c.base.Redacted() }

func parseAddress(address string) (*url.URL, error) {
	if address == "" {
		address = os.Getenv("RAY_API_SERVER_ADDRESS")
	}
	if env := os.Getenv("RAY_ADDRESS"); address == "" && strings.HasPrefix(env, "http") {
		address = env // else it is where processes join the cluster, which is no place for us
	}
	if address == "" {
		address = DefaultAddress
	}
	if strings.HasPrefix(address, "ray://") {
		return nil, errors.New("ray:// is the address of Ray Client, which jobs do not go through")
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("not an address")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s:// is no address of a dashboard", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("it names no host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it goes on after the path")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// headers are those of every request.
func headers(o Options) (http.Header, error) {
	all := map[string]string{}
	if text := os.Getenv("RAY_JOB_HEADERS"); text != "" {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, fmt.Errorf("RAY_JOB_HEADERS: %w", err)
		}
	}
	h := http.Header{}
	for _, from := range []map[string]string{all, o.Headers} {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			h.Set(name, from[name])
		}
	}
	if h.Get("Authorization") != "" {
		return h, nil
	}
	token, err := token(o.Token)
	if err != nil {
		return nil, err
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h, nil
}

func token(option string) (string, error) {
	if option != "" {
		return option, nil
	}
	if os.Getenv("RAY_AUTH_MODE") == "disabled" {
		return "", nil
	}
	if t := strings.TrimSpace(os.Getenv("RAY_AUTH_TOKEN")); t != "" {
		return t, nil
	}
	if path := os.Getenv("RAY_AUTH_TOKEN_PATH"); path != "" {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", nil // no home, no token in it
	}
	text, err := os.ReadFile(filepath.Join(home, ".ray", "auth_token"))
	if err != nil {
		return "", nil // the usual case: a cluster without tokens
	}
	return strings.TrimSpace(string(text)), nil
}

// call is one request and what is to become of its answer.
type call struct {
	method, path string
	query        url.Values
	json         any           // body
	file         io.ReadSeeker // body, of size bytes
	size         int64
	once         bool // it must not be repeated blindly
	answer       any  // filled from JSON; nil: the answer is dropped
}

// do sends a request, again after faults that may pass, unless it is to be sent once.
func (c *Client) do(ctx context.Context, k call) error {
	var body []byte
	if k.json != nil {
		var err error
		if body, err = json.Marshal(k.json); err != nil {
			return err
		}
	}
	tries := c.pace.tries
	if k.once {
		tries = 1
	}
	for wait := c.pace.backoff; ; wait *= 2 {
		err := c.send(ctx, k, body)
		if tries--; err == nil || tries <= 0 || !passing(err) || ctx.Err() != nil {
			return err
		}
		if sleep(ctx, jitter(wait)) != nil {
			return err
		}
	}
}

func (c *Client) send(ctx context.Context, k call, body []byte) error {
	reader := io.Reader(bytes.NewReader(body))
	size, limit := int64(len(body)), c.pace.request
	if k.file != nil {
		if _, err := k.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		reader, size = io.NopCloser(k.file), k.size
		limit += time.Duration(size/(64<<10)) * time.Second // down to 64 KiB a second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	u := *c.base
	u.Path += k.path
	u.RawQuery = k.query.Encode()
	r, err := http.NewRequestWithContext(ctx, k.method, u.String(), reader)
	if err != nil {
		return err
	}
	r.ContentLength = size
	maps.Copy(r.Header, c.header)
	if k.json != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(err)
	}
	defer a.Body.Close()
	return c.read(a, k.answer)
}

// longest is the most that is read of an answer: a log may be long.
const longest = 256 << 20

func (c *Client) read(a *http.Response, answer any) error {
	if a.StatusCode/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
		if err != nil {
			return c.unreachable(err)
		}
		return refused(a.StatusCode, a.Header.Get("Content-Type"), string(text))
	}
	if answer == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(a.Body, 1<<20)) // so that the connection can be used again
		return err
	}
	text, err := io.ReadAll(io.LimitReader(a.Body, longest+1))
	if err != nil {
		return c.unreachable(err)
	}
	if len(text) > longest {
		return fmt.Errorf("the answer is longer than %d MiB", longest>>20)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return &Fault{Status: a.StatusCode, Kind: ErrNotRay, Text: "the answer is " + describe(a.Header.Get("Content-Type"), string(text)) + ", not Ray's"}
	}
	return nil
}

// sleep waits for a time or the context's end.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
