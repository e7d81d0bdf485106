package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// cacheRoot finds the folder that the hub's libraries share.
func cacheRoot(option string) (string, error) {
	if dir := firstOf(option, os.Getenv("HF_HUB_CACHE")); dir != "" {
		return dir, nil
	}
	home, err := hfHome()
	return filepath.Join(home, "hub"), err
}

// hfHome is the folder of everything that the hub's libraries keep.
func hfHome() (string, error) {
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "huggingface"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "huggingface"), err
}

// savedToken reads the token that a login has left; "" if there is none.
func savedToken() string {
	path := os.Getenv("HF_TOKEN_PATH")
	if path == "" {
		home, err := hfHome()
		if err != nil {
			return ""
		}
		path = filepath.Join(home, "token")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "" // not logged in
	}
	return strings.TrimSpace(string(data))
}

// cache is the folder of one repository:
//
//	blobs/SUM               the files, by checksum
//	refs/REVISION           the commit of a branch or tag
//	snapshots/COMMIT/NAME   links to the blobs
type cache struct{ dir string }

func (c cache) blob(sum string) string        { return filepath.Join(c.dir, "blobs", sum) }
func (c cache) snapshot(commit string) string { return filepath.Join(c.dir, "snapshots", commit) }

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// link makes a blob appear in a snapshot.
func (c cache) link(commit string, f remoteFile) error {
	path := filepath.Join(c.snapshot(commit), filepath.FromSlash(f.name))
	blob := c.blob(f.sum)
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(blob); err == nil && os.SameFile(a, b) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	// Not every system and account may make links.
	if os.Symlink(target, path) == nil || os.Link(blob, path) == nil {
		return nil
	}
	return copyFile(path, blob)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// setRef records which commit a branch or tag stands for, once the commit's files are there.
func (c cache) setRef(revision, commit string) error {
	if commitHash.MatchString(revision) {
		return nil
	}
	path := filepath.Join(c.dir, "refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ref*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(commit)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// lookUp finds what was downloaded before.
func (c cache) lookUp(revision, file string) (string, error) {
	commit := revision
	if !commitHash.MatchString(revision) {
		data, err := os.ReadFile(filepath.Join(c.dir, "refs", filepath.FromSlash(revision)))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("revision %s is not in the cache %s", revision, c.dir)
		}
		if err != nil {
			return "", err
		}
		if commit = strings.TrimSpace(string(data)); !commitHash.MatchString(commit) {
			return "", fmt.Errorf("%s: %q is not a commit", c.dir, commit)
		}
	}
	path := filepath.Join(c.snapshot(commit), filepath.FromSlash(file))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("it is not in the cache: %w", err)
	}
	return path, nil
}
