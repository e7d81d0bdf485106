//go:build unix && !solaris && !aix

package evallog

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock makes this process the only one to write a file, until it is closed.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// replaceOpen puts a file that is open and locked in another's place, and closes it.
func replaceOpen(f *os.File, path string) error {
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}
