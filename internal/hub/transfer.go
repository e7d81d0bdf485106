package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// part is a file that is being downloaded, held by one process at a time.
type part struct{ *os.File }

// openPart opens what an earlier attempt has left, or begins anew.
func openPart(path string) (*part, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("another process is downloading it (%s): %w", path, err), f.Close())
	}
	return &part{f}, nil
}

// finish gives the file its name, once it is on the disk.
func (p *part) finish(path string) error {
	if err := p.Sync(); err != nil {
		return err
	}
	from := p.Name()
	if err := p.Close(); err != nil {
		return err
	}
	return os.Rename(from, filepath.Clean(path))
}

// Close may be called again after finish.
func (p *part) Close() error {
	if err := p.File.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// fill fetches what a part lacks, as often as the connection is cut. Advance is called with every piece.
func (c *client) fill(ctx context.Context, repo, commit string, f remoteFile, p *part, advance func(n int64, name string)) error {
	have, err := p.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > f.size {
		if have, err = p.restart(); err != nil {
			return err
		}
	}
	advance(have, f.name)
	return c.again(ctx, func() (bool, error) {
		if have == f.size {
			return false, nil
		}
		before := have
		err := c.transfer(ctx, c.address(repo, commit, f.name), f, p, &have, advance)
		return have > before, err
	})
}

// restart forgets what is there.
func (p *part) restart() (int64, error) {
	if err := p.Truncate(0); err != nil {
		return 0, err
	}
	return p.Seek(0, io.SeekStart)
}

// transfer is one attempt to fetch bytes from *have on.
func (c *client) transfer(ctx context.Context, address string, f remoteFile, p *part, have *int64, advance func(int64, string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Accept-Encoding": {"identity"}}
	if *have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", *have))
	}
	resp, err := c.do(ctx, c.http, http.MethodGet, address, header, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if *have > 0 && !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", *have)) {
		// The server sends the whole file.
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the hub answers with the range %q, asked was the one from %d", resp.Header.Get("Content-Range"), *have)
		}
		if _, err := p.restart(); err != nil {
			return err
		}
		advance(-*have, f.name)
		*have = 0
	}
	watch := time.AfterFunc(c.stall, func() { cancel(fmt.Errorf("%w: no byte for %v", errCut, c.stall)) })
	defer watch.Stop()
	return c.copy(ctx, resp.Body, f, p, have, func(n int64) {
		watch.Reset(c.stall)
		advance(n, f.name)
	})
}

// copy writes a body to the part, and no more than the file's size.
func (c *client) copy(ctx context.Context, body io.Reader, f remoteFile, p *part, have *int64, advance func(n int64)) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if int64(n) > f.size-*have {
			return fmt.Errorf("the hub sends more than the %d bytes that it has announced", f.size)
		}
		if _, err := p.Write(buf[:n]); err != nil {
			return err
		}
		*have += int64(n)
		advance(int64(n))
		switch {
		case err == io.EOF && *have == f.size:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w after %d of %d bytes", errCut, *have, f.size)
		case err != nil && errors.Is(context.Cause(ctx), errCut):
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w after %d of %d bytes: %w", errCut, *have, f.size, err)
		}
	}
}

// verify holds a complete part against the checksum.
func (f *remoteFile) verify(p *part) error {
	var h hash.Hash
	if len(f.sum) == sha256.Size*2 {
		h = sha256.New()
	} else {
		h = sha1.New() // as git hashes a file
		fmt.Fprintf(h, "blob %d\x00", f.size)
	}
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(h, p); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != f.sum {
		return fmt.Errorf("the download is damaged: its checksum is %s, want %s", sum, f.sum)
	}
	return nil
}
