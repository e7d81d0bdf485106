// Package machine tells what this computer offers to a run: cores, memory, disk space and the features of its
// processor that the kernels look for.
package machine

import (
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/cpu"
)

// Cores gives the number of threads that Go runs at a time, which honours a container's CPU limit, and the number of
// logical processors.
func Cores() (usable, present int) {
	return runtime.GOMAXPROCS(0), runtime.NumCPU()
}

// Feature is a property of the processor.
type Feature struct {
	Name    string
	Present bool
}

// Features lists what the kernels' implementations need, in the order of the implementations; empty on architectures
// for which there is no assembly.
func Features() []Feature {
	if runtime.GOARCH != "amd64" {
		return nil
	}
	return []Feature{
		{"AVX2", cpu.X86.HasAVX2},
		{"FMA", cpu.X86.HasFMA},
		{"BMI2", cpu.X86.HasBMI2},
		{"AVX-512F", cpu.X86.HasAVX512F},
		{"AVX-512BW", cpu.X86.HasAVX512BW},
		{"AVX-512DQ", cpu.X86.HasAVX512DQ},
		{"AVX-512VL", cpu.X86.HasAVX512VL},
	}
}

// FreeDisk gives the bytes that a file in dir could take. A folder that does not exist yet counts as its nearest
// parent that does.
func FreeDisk(dir string) (uint64, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	for {
		if _, err := os.Stat(dir); err == nil {
			return freeDisk(dir)
		} else if parent := filepath.Dir(dir); !os.IsNotExist(err) || parent == dir {
			return 0, err
		} else {
			dir = parent
		}
	}
}
