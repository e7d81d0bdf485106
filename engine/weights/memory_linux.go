package weights

import (
	"bytes"
	"os"
	"strconv"
)

// availableMemory asks the kernel, and the version 2 control group that a
// container runs in.
func availableMemory() (int64, bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	kib, ok := field(info, "MemAvailable:")
	if !ok {
		return 0, false
	}
	if left, ok := groupMemory("/sys/fs/cgroup"); ok {
		return min(kib<<10, left), true
	}
	return kib << 10, true
}

// groupMemory gives what a control group's limit leaves. Cached pages of files
// count as used there, but give way.
func groupMemory(dir string) (int64, bool) {
	number := func(name string) (int64, bool) {
		text, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		return n, err == nil // "max": no limit
	}
	limit, limited := number("memory.max")
	used, ok := number("memory.current")
	if !limited || !ok {
		return 0, false
	}
	if stat, err := os.ReadFile(dir + "/memory.stat"); err == nil {
		cached, _ := field(stat, "file ")
		shared, _ := field(stat, "shmem ")
		used -= cached - shared
	}
	return max(0, limit-used), true
}

// field finds a line "name number ..." of a kernel's table.
func field(table []byte, name string) (int64, bool) {
	for line := range bytes.Lines(table) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if words := bytes.Fields(rest); ok && len(words) > 0 {
			n, err := strconv.ParseInt(string(words[0]), 10, 54)
			return n, err == nil
		}
	}
	return 0, false
}
