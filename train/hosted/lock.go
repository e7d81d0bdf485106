package hosted

import (
	"errors"
	"os"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

var errLocked = errors.New("another process follows the run in it")

// takeLock makes this process the only one that writes to the folder. The system frees the lock when the process ends, however it ends.
func (f *folder) takeLock() error {
	var err error
	if f.lock, err = os.OpenFile(f.path(lockName), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return f.fault("lock", f.path(lockName), err)
	}
	if err := whole.TryLock(f.lock); err != nil {
		f.lock.Close()
		if errors.Is(err, whole.ErrLocked) {
			err = errLocked
		}
		return because.E("hosted training", f.dir, err, "wait for it to end, or stop it: the job goes on")
	}
	return nil
}
