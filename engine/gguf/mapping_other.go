//go:build !unix

package gguf

import "os"

// mapFile tells that files are read at their place on this system.
func mapFile(*os.File, int64) []byte { return nil }

func unmap([]byte) error { return nil }
