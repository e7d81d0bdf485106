package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// client speaks the hub's HTTP interface.
type client struct {
	endpoint, token string
	http            *http.Client
	attempts        int           // without any progress, before giving up
	pause           time.Duration // before the second attempt; it doubles
	stall           time.Duration // without a byte, before a connection counts as cut
}

// newTransport is the default transport with a limit on the wait for an answer.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	return t
}

// newHTTP is a client that shows the token to the hub alone, not to the hosts where it stores large files.
func newHTTP() *http.Client {
	return &http.Client{Transport: newTransport(), CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host {
			req.Header.Del("Authorization")
		}
		if len(via) >= 10 {
			return errors.New("too many redirections")
		}
		return nil
	}}
}

// statusError is an answer that is not what was asked for.
type statusError struct {
	code    int
	message string // the hub's own, "" if it has none
}

func (e statusError) Error() string {
	text := fmt.Sprintf("the hub answers %d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// Is makes 404 an ErrNotFound.
func (e statusError) Is(target error) bool {
	return target == ErrNotFound && e.code == http.StatusNotFound
}

// passing reports whether the same request may succeed later.
func (e statusError) passing() bool {
	return e.code >= 500 || e.code == http.StatusTooManyRequests || e.code == http.StatusRequestTimeout
}

// errCut marks what failed for lack of a connection.
var errCut = errors.New("the connection failed")

// do sends a request and gives the answer if its status is one of those wanted.
func (c *client) do(ctx context.Context, follow *http.Client, method, address string, header http.Header, want ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", "because")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := follow.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCut, err)
	}
	if slices.Contains(want, resp.StatusCode) {
		return resp, nil
	}
	defer resp.Body.Close()
	message := resp.Header.Get("X-Error-Message")
	if len(message) > 300 {
		message = message[:300]
	}
	return nil, statusError{resp.StatusCode, message}
}

// again calls try until it succeeds, fails for good, or has failed c.attempts times in a row without progress.
func (c *client) again(ctx context.Context, try func() (progress bool, err error)) error {
	pause := c.pause
	for failed := 0; ; {
		progress, err := try()
		if err == nil || ctx.Err() != nil || !passing(err) {
			return errors.Join(err, context.Cause(ctx))
		}
		if failed++; progress {
			failed, pause = 1, c.pause
		}
		if failed >= c.attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// passing reports whether trying again makes sense: for cut connections and overloaded servers.
func passing(err error) bool {
	var status statusError
	if errors.As(err, &status) {
		return status.passing()
	}
	return errors.Is(err, errCut)
}

// listing is the part of the model's description that matters here.
type listing struct {
	Commit   string `json:"sha"`
	Siblings []struct {
		Name string `json:"rfilename"`
	} `json:"siblings"`
}

func (l *listing) names() []string {
	var names []string
	for _, s := range l.Siblings {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// maxListing bounds the description of a repository.
const maxListing = 64 << 20

// list asks for the files of a revision.
func (c *client) list(ctx context.Context, repo, revision string) (l listing, err error) {
	address := c.endpoint + "/api/models/" + repo + "/revision/" + url.PathEscape(revision)
	err = c.again(ctx, func() (bool, error) {
		resp, err := c.do(ctx, c.http, http.MethodGet, address, nil, http.StatusOK)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxListing))
		if err != nil {
			return false, fmt.Errorf("%w: %w", errCut, err)
		}
		if err := json.Unmarshal(data, &l); err != nil {
			return false, fmt.Errorf("the list of files at %s: %w", address, err)
		}
		return false, nil
	})
	if err == nil && !commitHash.MatchString(l.Commit) {
		err = fmt.Errorf("the list of files at %s: sha is %q, want a commit", address, l.Commit)
	}
	return l, err
}

// remoteFile is a file of a commit.
type remoteFile struct {
	name string
	size int64
	sum  string // SHA-256 of a large file, git's SHA-1 of a small one; the name of its blob
}

var checksum = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (c *client) address(repo, commit, name string) string {
	return c.endpoint + "/" + repo + "/resolve/" + commit + "/" + (&url.URL{Path: name}).EscapedPath()
}

// describe asks for size and checksum. For a large file they come with the redirection to where it is stored, so
// redirections to other hosts are not followed.
func (c *client) describe(ctx context.Context, repo, commit, name string) (f remoteFile, err error) {
	sameHost := *c.http
	sameHost.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 || req.URL.Host != via[0].URL.Host || req.Response.Header.Get("X-Linked-Etag") != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	err = c.again(ctx, func() (bool, error) {
		resp, err := c.do(ctx, &sameHost, http.MethodHead, c.address(repo, commit, name), http.Header{"Accept-Encoding": {"identity"}},
			http.StatusOK, http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		f, err = describe(name, resp.Header)
		return false, err
	})
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// describe reads the headers of an answer.
func describe(name string, h http.Header) (remoteFile, error) {
	sum := strings.Trim(strings.TrimPrefix(firstOf(h.Get("X-Linked-Etag"), h.Get("ETag")), "W/"), `"`)
	if !checksum.MatchString(sum) {
		return remoteFile{}, fmt.Errorf("the hub gives %q for its checksum, want SHA-1 or SHA-256", sum)
	}
	size, err := strconv.ParseInt(firstOf(h.Get("X-Linked-Size"), h.Get("Content-Length")), 10, 64)
	if err != nil || size < 0 {
		return remoteFile{}, errors.New("the hub does not give its size")
	}
	return remoteFile{name, size, sum}, nil
}
