// Package storage keeps files and folders of files (datasets, checkpoints) where a cluster's workers can reach them too: a
// folder of this machine or of a shared disk (file://), S3 or a server that speaks its protocol (s3://), and Google Cloud Storage (gs://).
// Python reads and writes the same places with fsspec; MANIFEST.json ([Manifest]) is what both sides agree on.
//
// A URI names a folder: file:///ABSOLUTE/PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX. As in fsspec nothing in it is percent-decoded.
// Credentials never stand in it. For s3:// they come from
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), the shared credentials file (AWS_PROFILE), or the role of the machine, container or pod;
// AWS_REGION or AWS_DEFAULT_REGION names the region; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL another server, such as MinIO, which is then addressed
// by path. gs:// goes through Google's S3-compatible XML API, so it wants an HMAC key in GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY
// (https://cloud.google.com/storage/docs/authentication/hmackeys).
//
// S3 is spoken by minio-go. gocloud.dev/blob was weighed and measured: a cold build of an empty command (go1.26, linux/amd64, user and
// system seconds, binary) takes 47 s and 5 MB with net/http alone, 72 s and 6 MB with minio-go, 91 s and 17 MB with gocloud's fileblob, 136 s and
// 31 MB with s3blob too, 223 s and 63 MB with gcsblob too. The project is built for four platforms in every check, so s3blob would cost
// about six minutes of processor time in each, gcsblob as much again, minio-go less than two.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/because-lab/because"
)

// Store is a folder that a URI names. Many goroutines may use it at once.
type Store struct {
	backend backend
	at      location // of the folder, for messages and URIs
	prefix  string   // of its keys in the backend, "" or without a slash at its end
	pause   time.Duration
	stall   time.Duration
}

// Info describes a stored file.
type Info struct {
	Key      string // relative to the folder, slash-separated
	Size     int64
	Modified time.Time
	// SHA256 is the checksum in hex that was stored with the file, or "": file:// keeps none, and neither does another program that wrote it.
	SHA256 string

	etag string
}

// backend is one kind of place. Its errors wrap those of errors.go; its keys are checked by the caller.
type backend interface {
	// put makes a key hold a source, at once or not at all.
	put(ctx context.Context, key string, s source) error
	// get reads a file from a byte on; an etag in info must still hold.
	get(ctx context.Context, key string, info Info, from int64) (io.ReadCloser, error)
	stat(ctx context.Context, key string) (Info, error)
	// sum is the checksum of a file that stat described: the one stored with it, or one computed where that is cheap; else "".
	sum(ctx context.Context, key string, info Info) (string, error)
	// list visits all files below a folder in the order of their keys.
	list(ctx context.Context, folder string, visit func(Info) error) error
	remove(ctx context.Context, key string) error
	// access says what to do where access is forbidden.
	access() string
}

// Open prepares the use of a folder, which need not exist. For s3:// it looks up credentials; the bucket is not asked for anything yet. A wrong URI is an ErrURI.
func Open(ctx context.Context, uri string) (*Store, error) {
	const op = "open storage"
	at, err := parseURI(uri)
	if err != nil {
		return nil, because.E(op, shown(uri), err, "such as file:///data/run, s3://bucket/run or gs://bucket/run")
	}
	s := &Store{at: at, pause: time.Second, stall: time.Minute}
	switch at.scheme {
	case schemeFile:
		s.backend = &folder{root: at.folder()}
	default:
		b, err := openBucket(ctx, at)
		if err != nil {
			return nil, because.E(op, at.String(), err, because.Hint(err))
		}
		s.backend, s.prefix = b, at.path
	}
	return s, nil
}

// shown is a URI as far as it can be repeated: without what may be a password.
func shown(uri string) string {
	for i := len(uri) - 1; i >= 0; i-- {
		if uri[i] == '@' {
			return "...@" + shortened(uri[i+1:])
		}
	}
	return shortened(uri)
}

// shortened leaves out what follows a question mark, where signatures stand, and what is too long to read.
func shortened(s string) string {
	for i := range len(s) {
		if s[i] == '?' || i == 200 {
			return s[:i] + "..."
		}
	}
	return s
}

// Join gives a folder below this one. Its path follows the rules of keys.
func (s *Store) Join(path string) (*Store, error) {
	if err := checkKey(path); err != nil {
		return nil, because.E("open storage", s.URI(""), fmt.Errorf("%w: %w", ErrURI, err), "")
	}
	below := *s
	below.at.path = join(s.at.path, path)
	if s.at.path == "/" {
		below.at.path = "/" + path
	}
	below.prefix = join(s.prefix, path)
	return &below, nil
}

// URI names a file or folder in the store for other programs; the key "" names the store itself.
func (s *Store) URI(key string) string {
	if key == "" {
		return s.at.String()
	}
	if s.at.path == "/" {
		return "file:///" + key
	}
	return s.at.String() + "/" + key
}

// key gives the backend's key.
func (s *Store) key(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", fmt.Errorf("%w: %w", ErrURI, err)
	}
	if full := join(s.prefix, key); len(full) <= maxKey {
		return full, nil
	}
	return "", fmt.Errorf("%w: the key has more than %d bytes together with its folder", ErrURI, maxKey)
}

// Put stores size bytes of r whose SHA-256 is known, in hex. What does not fit size and checksum is not stored.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, sha256 string) error {
	const op = "store"
	full, err := s.key(key)
	if err == nil {
		if !isSum(sha256) || size < 0 {
			err = fmt.Errorf("size %d and SHA-256 %q describe no file", size, sha256)
		} else {
			err = s.backend.put(ctx, full, source{r: r, size: size, sum: sha256})
		}
	}
	return s.failure(op, s.URI(key), err)
}

// Get opens a file; close what it gives. Nothing is checked against a checksum: GetFile does that.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	const op = "read"
	full, err := s.key(key)
	if err != nil {
		return nil, Info{}, s.failure(op, s.URI(key), err)
	}
	info, err := s.backend.stat(ctx, full)
	if err != nil {
		return nil, Info{}, s.failure(op, s.URI(key), err)
	}
	body, err := s.backend.get(ctx, full, info, 0)
	info.Key = key
	return body, info, s.failure(op, s.URI(key), err)
}

// Stat describes a file.
func (s *Store) Stat(ctx context.Context, key string) (Info, error) {
	full, err := s.key(key)
	if err != nil {
		return Info{}, s.failure("look up", s.URI(key), err)
	}
	info, err := s.backend.stat(ctx, full)
	info.Key = key
	return info, s.failure("look up", s.URI(key), err)
}

// Exists reports whether there is such a file. A bucket that does not exist is an error.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	_, err := s.Stat(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// List visits all files below the store in the order of their keys' bytes, without checksums. It ends with the first error of visit.
func (s *Store) List(ctx context.Context, visit func(Info) error) error {
	err := s.backend.list(ctx, s.prefix, func(i Info) error {
		if s.prefix != "" {
			i.Key = i.Key[len(s.prefix)+1:]
		}
		return visit(i)
	})
	return s.failure("list", s.URI(""), err)
}

// has reports whether a key holds this content already.
func (s *Store) has(ctx context.Context, key string, size int64, sum string) (bool, error) {
	info, err := s.backend.stat(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil || info.Size != size:
		return false, err
	}
	got, err := s.backend.sum(ctx, key, info)
	return got == sum, err
}
