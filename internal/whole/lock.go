package whole

import "errors"

// ErrLocked says that another process has a file's lock.
var ErrLocked = errors.New("another process has its lock")
