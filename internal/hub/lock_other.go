//go:build (!unix && !windows) || solaris || aix

package hub

import "os"

// lock cannot keep other processes away here; the checksum tells if two have written one file.
func lock(*os.File) error { return nil }
