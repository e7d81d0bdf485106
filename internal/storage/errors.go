package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/because-lab/because"
)

// What can go wrong, to be tested with errors.Is. A wrong URI (ErrURI) is the caller's mistake, a usage error of the command line.
var (
	ErrURI         = errors.New("not the URI of a folder")
	ErrNotFound    = errors.New("not found")
	ErrNoBucket    = errors.New("there is no such bucket")
	ErrForbidden   = errors.New("access is forbidden")
	ErrNetwork     = errors.New("the connection failed")
	ErrNoSpace     = errors.New("no space is left")
	ErrDamaged     = errors.New("damaged: the content is not what its checksum says")
	ErrHalfWritten = errors.New("half-written: it has no " + ManifestName)
)

// failure makes the error that users see, unless it is one already.
func (s *Store) failure(op, subject string, err error) error {
	var shown *because.Error
	if err == nil || errors.As(err, &shown) {
		return err
	}
	return because.E(op, subject, err, s.hint(err))
}

// hint says what the user can do.
func (s *Store) hint(err error) string {
	switch {
	case errors.Is(err, ErrHalfWritten):
		return "whoever writes it has not finished or was cut off: run that again, or name an older checkpoint"
	case errors.Is(err, ErrDamaged):
		return "it was changed or cut after it was written: store it again"
	case errors.Is(err, ErrForbidden):
		return s.backend.access()
	case errors.Is(err, ErrNoBucket):
		return "check the bucket's name and the endpoint, or create the bucket"
	case errors.Is(err, ErrNotFound):
		return "check the path; upper and lower case differ"
	case errors.Is(err, ErrNoSpace):
		return "free space on that disk, or name a folder on another one"
	case errors.Is(err, ErrNetwork):
		return "check the connection and the endpoint, and run the same again: what has arrived is not sent twice"
	}
	return ""
}

// local sorts an error of the file system under one of ours.
func local(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isFull(err):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
