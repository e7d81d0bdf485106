package storage

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isFull reports whether a disk is used up.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// syncDir has nothing to do: NTFS journals its folders.
func syncDir(string) error { return nil }
