//go:build !unix

package llama

import "time"

var started = time.Now()

func cpuTime() time.Duration { return time.Since(started) }
