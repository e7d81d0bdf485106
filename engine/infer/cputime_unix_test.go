//go:build unix

package infer

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used: on a busy machine
// a better basis for comparisons than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
