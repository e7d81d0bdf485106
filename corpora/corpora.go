// Package corpora holds the starter corpora: training data for every kind of arm, written for this project (CC0), so that real checkpoints are
// trained on real text without a key. README.md says how they were made and what is weak.
package corpora

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.jsonl
var files embed.FS

// Names lists the corpora, sorted.
func Names() []string {
	list, err := fs.Glob(files, "*.jsonl")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, name := range list {
		list[i] = strings.TrimSuffix(name, ".jsonl")
	}
	return list
}

// Text gives a corpus as JSON lines in TRL's columns; ok is false where there is none of that name.
func Text(name string) (text []byte, ok bool) {
	text, err := files.ReadFile(name + ".jsonl")
	return text, err == nil
}

// Hash identifies the texts of all corpora.
func Hash() string {
	h := sha256.New()
	for _, name := range Names() {
		text, _ := Text(name)
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}
