package weights

import "fmt"

// Fits returns an error if so many bytes are more than the memory that is
// available without swapping. Where the system does not tell, everything fits.
func Fits(bytes int64) error {
	available, ok := availableMemory()
	if !ok || bytes <= available {
		return nil
	}
	return fmt.Errorf("it needs %s of memory, but only %s are available", gib(bytes), gib(available))
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
