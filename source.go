package because

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// source is the code that decides what a step of a study produces. It is hashed into the steps' keys, so that a result made by other code is never
// served.
//
//go:embed checkpoint constitution data engine eval internal/input internal/stats internal/whole judge model organism scenario train
var source embed.FS

// SourceVersion identifies the code of packages of this module, given by their folders: a hash of their files and of those in
// folders below that hold no Go package of their own, tests and test data apart. It panics if a folder is not among the
// embedded ones.
func SourceVersion(packages ...string) string {
	h := sha256.New()
	for _, folder := range packages {
		err := fs.WalkDir(source, folder, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != folder && (d.Name() == "testdata" || holdsGo(name)):
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
			panic(fmt.Sprintf("because: the source of %s is not embedded: %v", folder, err))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// holdsGo tells whether a folder of the source is a Go package.
func holdsGo(folder string) bool {
	files, err := fs.Glob(source, folder+"/*.go")
	return err == nil && len(files) > 0
}
