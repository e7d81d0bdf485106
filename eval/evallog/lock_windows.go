package evallog

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock makes this process the only one to write a file, until it is closed.
func lock(f *os.File) error {
	// The byte that is locked lies far behind the file's end, so that it hinders nobody from reading.
	at := &windows.Overlapped{OffsetHigh: 1 << 30}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
}

// replaceOpen puts a file that is open and locked in another's place, and closes it first: Windows renames no open files.
func replaceOpen(f *os.File, path string) error {
	return errors.Join(f.Close(), os.Rename(f.Name(), path))
}
