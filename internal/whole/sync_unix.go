//go:build unix

package whole

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// SyncDir makes the entries of a folder durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil // this file system has nothing to flush for folders
	}
	return errors.Join(err, f.Close())
}
