//go:build !linux && !darwin && !windows

package machine

import "errors"

func freeDisk(string) (uint64, error) { return 0, errors.ErrUnsupported }
