//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// expected lists the implementations that must be available here, by what the
// processor reports.
func expected() []string {
	names := []string{"generic"}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		names = append(names, "avx2")
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
		names = append(names, "avx512")
	}
	return names
}
