//go:build !unix

package infer

import "time"

var started = time.Now()

func cpuTime() time.Duration { return time.Since(started) }
