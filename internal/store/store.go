// Package store keeps the artifacts of studies on disk, addressed by their content.
//
// An artifact is a folder of files: a checkpoint, a dataset, the samples of an evaluation. Its ID is the SHA-256 of
// its manifest, which lists every file with size and hash. A result is the link from the key of a computation (the
// hash of its inputs) to the artifact that it produced. The two are kept apart, as in Go's build cache, so that
// different computations with equal output share their bytes.
//
//	ROOT/format             the version of this layout
//	ROOT/lock               held by the process that writes
//	ROOT/tmp/               work in progress; emptied when the lock is taken
//	ROOT/objects/ab/HASH    file contents, read-only, hard-linked into artifacts
//	ROOT/artifacts/ab/ID/   manifest.json and files/
//	ROOT/results/ab/KEY     what the computation KEY produced, and the inputs that were hashed
//	ROOT/index/NAME         the last key of every step of a study
//
// Everything appears by rename after its bytes are on disk: a process killed at any moment leaves a complete entry or
// none. Reading needs no lock and does not write. Damage (a file missing, cut short or altered) makes an entry
// count as absent and is reported; it is never served.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/because-lab/because"
)

// layoutVersion is written to ROOT/format; a store of another version is refused.
const layoutVersion = "because store 1\n"

// VerifyEnv names the environment variable that makes every lookup hash every byte ("1" turns it on).
const VerifyEnv = "BECAUSE_STORE_VERIFY"

// Store is an artifact store under one root folder. Its methods may be called concurrently.
type Store struct {
	root string
	opt  Options

	publishing sync.Mutex // serialises what enters objects/ and artifacts/

	mu   sync.Mutex // guards lock
	lock *os.File   // the locked ROOT/lock, nil while this process may not write
}

// Options adjust a Store. The zero value is useful.
type Options struct {
	// Warn is told about damage that was found and about results that changed under an equal key.
	// The default logs with log/slog.
	Warn func(error)
	// Waiting is called once when Lock has to wait for another process, with its description.
	Waiting func(holder string)
	// Verify makes every lookup hash every byte. The environment can turn it on too; see VerifyEnv.
	Verify bool
}

// Open gives the store under root, which need not exist yet: nothing is created before Lock. It fails where root is
// not a folder, can't be read, or holds another version of the layout.
func Open(root string, opt Options) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, because.E("open store", root, err, "")
	}
	if opt.Warn == nil {
		opt.Warn = func(err error) { slog.Warn(err.Error()) }
	}
	if os.Getenv(VerifyEnv) == "1" {
		opt.Verify = true
	}
	s := &Store{root: abs, opt: opt}
	switch info, err := os.Stat(abs); {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fault("open store", abs, err)
	case !info.IsDir():
		return nil, because.E("open store", abs, errors.New("is a file, not a folder"), "remove it or choose another folder")
	}
	return s, s.checkFormat()
}

// Root gives the absolute path of the store's folder.
func (s *Store) Root() string { return s.root }

// checkFormat fails unless ROOT/format is absent or names this layout.
func (s *Store) checkFormat() error {
	path := filepath.Join(s.root, "format")
	got, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault("open store", path, err)
	case string(got) != layoutVersion:
		return because.E("open store", path,
			fmt.Errorf("has format %q, this program reads %q", strings.TrimSpace(string(got)), strings.TrimSpace(layoutVersion)),
			"use another folder, or delete this store to rebuild it")
	}
	return nil
}

// create makes the store's folders. The caller holds the lock.
func (s *Store) create() error {
	for _, name := range []string{"tmp", "objects", "artifacts", "results", "index"} {
		dir := filepath.Join(s.root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fault("create store", dir, err)
		}
	}
	path := filepath.Join(s.root, "format")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return s.writeFile(path, []byte(layoutVersion))
}

// Paths of entries, sharded by the first byte of the hash.

func (s *Store) tmpDir() string { return filepath.Join(s.root, "tmp") }
func (s *Store) objectPath(hash string) string {
	return filepath.Join(s.root, "objects", hash[:2], hash)
}
func (s *Store) artifactPath(id string) string { return filepath.Join(s.root, "artifacts", id[:2], id) }
func (s *Store) filesPath(id string) string    { return filepath.Join(s.artifactPath(id), "files") }
func (s *Store) manifestPath(id string) string {
	return filepath.Join(s.artifactPath(id), "manifest.json")
}
func (s *Store) resultPath(key string) string { return filepath.Join(s.root, "results", key[:2], key) }

// isHash reports whether s is the lower-case hexadecimal form of a SHA-256.
func isHash(s string) bool {
	return len(s) == 64 && isHex(s)
}

// isHex reports whether s consists of lower-case hexadecimal digits.
func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
