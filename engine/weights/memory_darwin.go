package weights

import "golang.org/x/sys/unix"

// availableMemory gives the machine's memory: an upper bound, since the system
// makes room by compression.
func availableMemory() (int64, bool) {
	n, err := unix.SysctlUint64("hw.memsize")
	return int64(n), err == nil
}
