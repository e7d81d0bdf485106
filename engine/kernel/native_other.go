//go:build !amd64 || purego

package kernel

// native returns the assembly implementations that this machine can run: none.
func native() []*implementation { return nil }
