package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
)

const (
	// singlePut is the size up to which a file is sent in one request, from memory, so that the request can be repeated.
	singlePut = 16 << 20
	// partSize is that of larger files' parts. S3 takes 10,000 of them; beyond 600 GiB minio-go chooses.
	partSize    = 64 << 20
	partThreads = 4 // parts of one file under way at once
	sumKey      = "Sha256"
)

// bucket is the backend of s3:// and gs://.
type bucket struct {
	core   minio.Core
	name   string
	who    who
	single int64 // singlePut; tests lower it
	part   uint64
	known  atomic.Bool // the bucket has answered
}

func (b *bucket) put(ctx context.Context, key string, s source) error {
	o := minio.PutObjectOptions{UserMetadata: map[string]string{sumKey: s.sum}, ContentType: "application/octet-stream", NumThreads: partThreads, PartSize: b.part}
	if s.size > int64(b.part)*9000 {
		o.PartSize = 0
	}
	if s.file != nil && s.size > b.single {
		return b.putLarge(ctx, key, s, o)
	}
	var r io.Reader = s.checked()
	if s.size <= b.single {
		text, err := io.ReadAll(reader(ctx, r))
		if err != nil {
			return err
		}
		r = bytes.NewReader(text)
	}
	_, err := b.core.Client.PutObject(ctx, b.name, key, r, s.size, o)
	return b.sorted(ctx, err)
}

// putLarge sends the parts of a file in parallel. Its checksum has just been taken, so what is left to rule out is that it
// changed since.
func (b *bucket) putLarge(ctx context.Context, key string, s source, o minio.PutObjectOptions) error {
	before, err := s.file.Stat()
	if err != nil {
		return err
	}
	o.Progress = progressReader(s.report)
	if _, err := b.core.Client.PutObject(ctx, b.name, key, s.file, s.size, o); err != nil {
		return b.sorted(ctx, err)
	}
	after, err := os.Stat(s.file.Name())
	if err == nil && (after.Size() != s.size || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after)) {
		err = fmt.Errorf("%w: %s changed while it was sent", ErrDamaged, s.file.Name())
	}
	if err != nil {
		return errors.Join(err, b.remove(context.WithoutCancel(ctx), key))
	}
	return nil
}

// progressReader is how minio-go reports: it "reads" what it has sent. Retries are counted again.
type progressReader func(n int64)

func (p progressReader) Read(b []byte) (int, error) {
	p(int64(len(b)))
	return len(b), nil
}

func (b *bucket) get(ctx context.Context, key string, info Info, from int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if info.etag != "" {
		if err := o.SetMatchETag(info.etag); err != nil {
			return nil, err
		}
	}
	if from > 0 {
		if err := o.SetRange(from, 0); err != nil {
			return nil, err
		}
	}
	body, _, header, err := b.core.GetObject(ctx, b.name, key, o)
	if err != nil {
		return nil, b.sorted(ctx, err)
	}
	if given := header.Get("Content-Range"); from > 0 && !strings.HasPrefix(given, fmt.Sprintf("bytes %d-", from)) {
		return nil, errors.Join(fmt.Errorf("the server answers with the range %q, asked was the one from %d", given, from), body.Close())
	}
	return &sortedBody{body, b, ctx}, nil
}

// sortedBody names the errors of a connection that breaks.
type sortedBody struct {
	io.ReadCloser
	b   *bucket
	ctx context.Context
}

func (s *sortedBody) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = s.b.sorted(s.ctx, err)
	}
	return n, err
}

func (b *bucket) stat(ctx context.Context, key string) (Info, error) {
	o, err := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err == nil {
		b.known.Store(true)
		return b.info(o), nil
	}
	err = b.sorted(ctx, err)
	if !errors.Is(err, ErrNotFound) || b.known.Load() {
		return Info{}, err
	}
	// The answer to HEAD has no body to tell a missing file from a missing bucket.
	ok, err2 := b.core.BucketExists(ctx, b.name)
	switch {
	case err2 == nil && !ok:
		return Info{}, ErrNoBucket
	case err2 == nil:
		b.known.Store(true)
	}
	return Info{}, err
}

func (b *bucket) info(o minio.ObjectInfo) Info {
	i := Info{Key: o.Key, Size: o.Size, Modified: o.LastModified, etag: o.ETag}
	for k, v := range o.UserMetadata {
		if strings.EqualFold(k, sumKey) && isSum(v) {
			i.SHA256 = v
		}
	}
	return i
}

func (b *bucket) sum(_ context.Context, _ string, info Info) (string, error) { return info.SHA256, nil }

func (b *bucket) list(ctx context.Context, below string, visit func(Info) error) error {
	prefix := below
	if prefix != "" {
		prefix += "/"
	}
	for o := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return b.sorted(ctx, o.Err)
		}
		if strings.HasSuffix(o.Key, "/") {
			continue // consoles make such empty objects for folders
		}
		if err := visit(Info{Key: o.Key, Size: o.Size, Modified: o.LastModified, etag: o.ETag}); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (b *bucket) remove(ctx context.Context, key string) error {
	return b.sorted(ctx, b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{}))
}
