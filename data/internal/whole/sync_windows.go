package whole

// syncDir has nothing to do: NTFS journals its folders.
func syncDir(string) error { return nil }
