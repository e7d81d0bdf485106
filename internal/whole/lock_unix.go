//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package whole

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TryLock takes an exclusive lock on a file without waiting. ErrLocked says that another process has it. The system frees it when the file is closed or the
// process ends, however it ends.
func TryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
