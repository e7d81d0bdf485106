package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/because-lab/because"
)

// PutFile stores a file. What is there with the same size and checksum is not sent again; large files go to S3 in parallel
// parts of 64 MiB.
func (s *Store) PutFile(ctx context.Context, key, file string, progress because.Progress) (Info, error) {
	full, err := s.key(key)
	if err != nil {
		return Info{}, s.failure("store", s.URI(key), err)
	}
	size, sum, err := hashPath(ctx, file)
	if err != nil {
		return Info{}, s.failure("store", file, err)
	}
	m := newMeter(progress, size)
	err = s.send(ctx, full, file, size, sum, func(n int64) { m.advance(n, key) })
	return Info{Key: key, Size: size, SHA256: sum}, s.failure("store", s.URI(key), err)
}

// PutBlob stores a file under its content, as sha256/HEX/NAME, and gives its URI and checksum. It does nothing where that is there.
func (s *Store) PutBlob(ctx context.Context, file string) (uri, sha256 string, err error) {
	size, sum, err := hashPath(ctx, file)
	if err != nil {
		return "", "", s.failure("store", file, err)
	}
	key := path.Join("sha256", sum, filepath.Base(file))
	full, err := s.key(key)
	if err == nil {
		err = s.send(ctx, full, file, size, sum, func(int64) {})
	}
	if err != nil {
		return "", "", s.failure("store", s.URI(key), err)
	}
	return s.URI(key), sum, nil
}

// hashPath gives a file's size and checksum.
func hashPath(ctx context.Context, path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", local(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return 0, "", errors.Join(err, errors.New("it is no regular file"))
	}
	return hashFile(ctx, f)
}

// send stores a file whose checksum is known, unless it is there.
func (s *Store) send(ctx context.Context, key, path string, size int64, sum string, advance func(int64)) error {
	there, err := s.has(ctx, key, size, sum)
	if err != nil || there {
		advance(size)
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return local(err)
	}
	defer f.Close()
	var sent atomic.Int64 // parts are sent at once
	err = s.backend.put(ctx, key, source{file: f, size: size, sum: sum, advance: func(n int64) { sent.Add(n); advance(n) }})
	if err == nil {
		advance(size - sent.Load())
	}
	return err
}

// GetFile fetches a file. The download lies beside its place until it is whole, is continued where it was cut, also by a later call, and appears by
// rename. It is held against sha256, or where that is "" against the checksum stored with it; without either, its size
// alone is known, and what was cut begins anew. The checksum in Info is that of the content. A file that is there with the same checksum is not fetched.
func (s *Store) GetFile(ctx context.Context, key, file, sha256 string, progress because.Progress) (Info, error) {
	const op = "fetch"
	full, err := s.key(key)
	if err == nil && sha256 != "" && !isSum(sha256) {
		err = fmt.Errorf("%q is no SHA-256", sha256)
	}
	if err != nil {
		return Info{}, s.failure(op, s.URI(key), err)
	}
	info, err := s.backend.stat(ctx, full)
	if err != nil {
		return Info{}, s.failure(op, s.URI(key), err)
	}
	if sha256 != "" {
		info.SHA256 = sha256
	}
	m := newMeter(progress, info.Size)
	info, err = s.fetch(ctx, full, file, info, func(n int64) { m.advance(n, key) })
	info.Key = key
	return info, s.failure(op, s.URI(key), err)
}

// fetch brings a file that stat described to its place.
func (s *Store) fetch(ctx context.Context, key, file string, want Info, advance func(int64)) (Info, error) {
	if want.SHA256 != "" {
		if size, sum, err := hashPath(ctx, file); err == nil && size == want.Size && sum == want.SHA256 {
			advance(size)
			return want, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return want, local(err)
	}
	part, err := openPart(file, want.SHA256)
	if err != nil {
		return want, local(err)
	}
	defer part.Close()
	if err := s.fill(ctx, key, want, part, advance); err != nil {
		return want, local(err)
	}
	_, sum, err := hashFile(ctx, part)
	if err != nil {
		return want, local(err)
	}
	if want.SHA256 != "" && sum != want.SHA256 {
		// What is damaged must not be continued.
		return want, errors.Join(fmt.Errorf("%w: SHA-256 %s, want %s", ErrDamaged, sum, want.SHA256), part.Close(), os.Remove(part.Name()))
	}
	want.SHA256 = sum
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return want, local(err)
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return want, local(err)
	}
	return want, local(syncDir(filepath.Dir(file)))
}

// openPart opens what an earlier attempt has left of the same content, or begins anew.
func openPart(file, sum string) (*os.File, error) {
	id := "new"
	if sum != "" {
		id = sum[:16]
	}
	name := filepath.Base(file)
	if len(name) > 100 {
		h := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(h[:8])
	}
	path := filepath.Join(filepath.Dir(file), "."+name+"."+id+partSuffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("somebody else is fetching it (%s): %w", path, err), f.Close())
	}
	if sum == "" {
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// fetchAttempts without a byte in between are made before giving up.
const fetchAttempts = 5

// fill fetches what a part lacks, as often as the connection is cut.
func (s *Store) fill(ctx context.Context, key string, want Info, part *os.File, advance func(int64)) error {
	have, err := part.Seek(0, io.SeekEnd)
	if err == nil && have > want.Size {
		have = 0
		err = part.Truncate(0)
	}
	if err != nil {
		return err
	}
	advance(have)
	pause := s.pause
	for failed := 0; have < want.Size; {
		n, err := s.receive(ctx, key, want, part, have, advance)
		have += n
		if err == nil || !errors.Is(err, ErrNetwork) || ctx.Err() != nil {
			if err != nil {
				return err
			}
			continue
		}
		if failed++; n > 0 {
			failed, pause = 1, s.pause
		}
		if failed >= fetchAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
	return nil
}

// receive is one attempt to fetch the bytes from have on. It gives how many have arrived, an error if they are not all.
func (s *Store) receive(ctx context.Context, key string, want Info, part *os.File, have int64, advance func(int64)) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := s.backend.get(ctx, key, want, have)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	watch := time.AfterFunc(s.stall, func() { cancel(fmt.Errorf("%w: no byte for %v", ErrNetwork, s.stall)) })
	defer watch.Stop()
	buf, got := make([]byte, 256<<10), int64(0)
	for {
		n, err := reader(ctx, body).Read(buf)
		if int64(n) > want.Size-have-got {
			return got, fmt.Errorf("%w: it has more than %d bytes", ErrDamaged, want.Size)
		}
		if _, err := part.WriteAt(buf[:n], have+got); err != nil {
			return got, err
		}
		got += int64(n)
		watch.Reset(s.stall)
		advance(int64(n))
		switch {
		case err == io.EOF && have+got == want.Size:
			return got, nil
		case err == io.EOF:
			return got, fmt.Errorf("%w after %d of %d bytes", ErrNetwork, have+got, want.Size)
		case err != nil:
			return got, err
		}
	}
}
