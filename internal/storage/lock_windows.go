package storage

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock keeps other processes from writing a file until it is closed. It takes a byte far behind any content, since on
// Windows a locked range cannot be read through another handle.
func lock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}
