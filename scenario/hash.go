package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/because-lab/because"
)

// Hash identifies the family's texts and rules: equal hashes, designs and personas mean equal cases.
func (f *Family) Hash() string { return f.hash }

// hashFiles hashes the topmost layer's version of each file.
func hashFiles(layers []fs.FS, names ...string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		for i := len(layers) - 1; i >= 0; i-- {
			data, err := fs.ReadFile(layers[i], name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return "", because.E("read scenario", name, err, "")
			}
			fmt.Fprintf(h, "%s %d\n", name, len(data))
			h.Write(data)
			break
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
