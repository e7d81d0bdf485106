package storage

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The schemes of URIs.
const (
	schemeFile = "file"
	schemeS3   = "s3"
	schemeGS   = "gs"
)

// location is a parsed URI.
type location struct {
	scheme string
	bucket string // "" for file
	path   string // for file, absolute with a leading slash; else the prefix of the keys, "" for the whole bucket
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// parseURI reads the URI of a folder. Its path is taken as it is, as fsspec does: nothing is percent-decoded. Errors
// never repeat what stands before an @, which may be a secret.
func parseURI(uri string) (location, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return location{}, fmt.Errorf("%w: it has no scheme", ErrURI)
	}
	if err := checkText(rest); err != nil {
		return location{}, err
	}
	host, below, _ := strings.Cut(rest, "/")
	below = strings.TrimSuffix(below, "/")
	switch {
	case strings.Contains(host, "@"):
		return location{}, fmt.Errorf("%w: it names a user; credentials come from the environment, never from a URI", ErrURI)
	case scheme == schemeFile:
		return parseFile(host, below)
	case scheme != schemeS3 && scheme != schemeGS:
		return location{}, fmt.Errorf("%w: the scheme is %q, want file, s3 or gs", ErrURI, scheme)
	case host == "":
		return location{}, fmt.Errorf("%w: it names no bucket", ErrURI)
	case !bucketName.MatchString(host) || strings.Contains(host, ".."):
		return location{}, fmt.Errorf("%w: %q is no name of a bucket", ErrURI, host)
	}
	if below != "" {
		if err := checkKey(below); err != nil {
			return location{}, fmt.Errorf("%w: %w", ErrURI, err)
		}
	}
	return location{scheme, host, below}, nil
}

func parseFile(host, below string) (location, error) {
	if host != "" && host != "localhost" {
		return location{}, fmt.Errorf("%w: %q stands where a host would; a folder needs its absolute path, as in file:///data", ErrURI, host)
	}
	for _, part := range strings.Split(below, "/") {
		if part == ".." || part == "." {
			return location{}, fmt.Errorf("%w: its path has %q", ErrURI, part)
		}
	}
	return location{scheme: schemeFile, path: path.Clean("/" + below)}, nil
}

// checkText refuses what tools read differently.
func checkText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: it is not valid UTF-8", ErrURI)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%w: it has a control character", ErrURI)
	case strings.ContainsAny(s, "?#\\"):
		return fmt.Errorf("%w: it has one of ? # \\", ErrURI)
	}
	return nil
}

// folder is the local path of a file location.
func (l location) folder() string {
	if runtime.GOOS == "windows" {
		return filepath.FromSlash(strings.TrimPrefix(l.path, "/")) // file:///C:/data
	}
	return l.path
}

// String is the URI, without a slash at its end.
func (l location) String() string {
	if l.scheme == schemeFile {
		return "file://" + l.path
	}
	return strings.TrimSuffix(l.scheme+"://"+l.bucket+"/"+l.path, "/")
}

// maxKey is the longest key of S3 and of Google Cloud Storage, in bytes.
const maxKey = 1024

// checkKey accepts slash-separated paths that stay below their folder on every system.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the key has %d bytes, the limit is %d", len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) || strings.ContainsAny(key, "?#\\:"):
		return fmt.Errorf("the key %q has a character that is not allowed: one of ? # \\ :, a control character, or invalid UTF-8", key)
	case path.Clean(key) != key || !filepath.IsLocal(filepath.FromSlash(key)) || key == ".":
		return fmt.Errorf("the key %q is no clean relative path", key)
	}
	return nil
}

// join puts two keys together, either of which may be "".
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "/" + b
}
