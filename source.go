package because

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// source is the code that decides what a step of a study produces. It is hashed into the steps' keys, so that a
// result made by other code is never served.
//
//go:embed data engine eval model organism train
var source embed.FS

// SourceVersion identifies the code of the given top-level folders: a hash of their files, tests and
// test data apart. It panics if a folder is not among the embedded ones.
func SourceVersion(folders ...string) string {
	h := sha256.New()
	for _, folder := range folders {
		err := fs.WalkDir(source, folder, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || strings.HasSuffix(name, "_test.go") || path.Ext(name) == ".md":
				return nil
			}
			text, err := source.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(text)
			h.Write([]byte(name + "\x00" + hex.EncodeToString(sum[:]) + "\n"))
			return nil
		})
		if err != nil {
			panic("because: a folder that is not embedded: " + folder)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
