package evallog

import "os"

// Exists tells whether there is a log to resume: the file itself, or the work file of a run that was killed before it could
// publish one.
func Exists(path string) bool {
	for _, name := range []string{path, partPath(path)} {
		if _, err := os.Lstat(name); err == nil {
			return true
		}
	}
	return false
}
