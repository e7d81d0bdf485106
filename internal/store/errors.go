package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/because-lab/because"
)

// ErrLocked is the cause of an error from Lock and TryLock while another process holds the store, and of an error
// from a method that writes while this process doesn't hold it.
var ErrLocked = errors.New("store is in use")

// DamageError tells that a stored file is not what was stored.
type DamageError struct {
	Path   string // the damaged or missing file
	Reason string // what is wrong with it
}

func (e *DamageError) Error() string { return fmt.Sprintf("%s is damaged: %s", e.Path, e.Reason) }

// damage makes a DamageError.
func damage(path, format string, args ...any) error {
	return &DamageError{Path: path, Reason: fmt.Sprintf(format, args...)}
}

// isDamage reports whether err tells of damage.
func isDamage(err error) bool {
	var d *DamageError
	return errors.As(err, &d)
}

// readFault turns an error from reading a stored file into damage where a rebuild would cure it: the file is gone or
// the disk can't read it. Other errors (permissions, too many open files) stay what they are.
func readFault(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return damage(path, "is missing")
	case errors.Is(err, syscall.EIO):
		return damage(path, "can't be read: %v", err)
	}
	return fault("read store", path, err)
}

// fault wraps a file-system error with the operation, the path and a hint that fits its cause.
func fault(op, path string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) == 1 {
		err = many.Unwrap()[0]
	}
	if at, ok := err.(*fs.PathError); ok && at.Path == path {
		err = fmt.Errorf("%s: %w", at.Op, at.Err) // the subject already names the path
	}
	return because.E(op, path, err, hint(err))
}

// hint says what to do about a file-system error, "" where there is nothing to say.
func hint(err error) string {
	switch {
	case diskFull(err):
		return "free some space or choose a folder on another disk; what is finished is kept"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "make the folder writable or choose another one"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return "a file stands where a folder is needed: remove it or choose another folder"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files (ulimit -n)"
	case errors.Is(err, syscall.EIO):
		return "the disk reports an error: check it, or choose a folder on another disk"
	}
	return ""
}
