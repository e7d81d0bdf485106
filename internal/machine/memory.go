package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Memory is an amount of main memory, in bytes.
type Memory struct {
	Total     uint64 // of the machine, or the container's limit where that is lower
	Available uint64 // without swapping
}

// ReadMemory asks the operating system. The error is errors.ErrUnsupported where it has no answer for this program.
func ReadMemory() (Memory, error) {
	f, err := os.Open("/proc/meminfo")
	if os.IsNotExist(err) {
		return Memory{}, errors.ErrUnsupported
	}
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	m, err := parseMeminfo(f)
	if err != nil {
		return Memory{}, err
	}
	limit, used := readCgroup("/sys/fs/cgroup")
	return m.limited(limit, used), nil
}

// parseMeminfo reads the format of Linux's /proc/meminfo.
func parseMeminfo(r io.Reader) (Memory, error) {
	var m Memory
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		into := map[string]*uint64{"MemTotal": &m.Total, "MemAvailable": &m.Available}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
		if err != nil {
			return Memory{}, fmt.Errorf("/proc/meminfo: %s: %w", name, err)
		}
		*into = kib << 10
	}
	if m.Total == 0 {
		return Memory{}, errors.New("/proc/meminfo: no MemTotal")
	}
	return m, lines.Err()
}

// readCgroup reads the memory limit and use of a version 2 control group; zeros where there is none.
func readCgroup(dir string) (limit, used uint64) {
	read := func(name string) uint64 {
		text, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			return 0
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0 // "max": no limit
		}
		return n
	}
	return read("memory.max"), read("memory.current")
}

// limited applies a container's limit, where there is one.
func (m Memory) limited(limit, used uint64) Memory {
	if limit == 0 || limit >= m.Total {
		return m
	}
	m.Total = limit
	m.Available = min(m.Available, limit-min(used, limit))
	return m
}
