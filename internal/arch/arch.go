// Package arch holds the layers of the project as data and checks the source tree against them: imports go
// downward only, siblings never import each other, and dependencies come from a short list.
package arch

import (
	"path"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/because-lab/because"

// Group is a top-level noun with all packages below it. A package may import every group of a lower layer, and
// within its own group the packages of a lower rank.
type Group struct {
	Layer int
	Path  string // folder in the module; "." is the root package
	// Ranks orders the packages of a group, lowest first, each rank a list of paths below Path. Packages of one rank
	// are siblings. Where Ranks is nil, the group's own package comes first and everything below it second.
	Ranks [][]string
	// Sealed groups are one package: nothing may lie below them.
	Sealed bool
}

// Layers is the architecture, lowest layer first.
var Layers = []Group{
	{Layer: 0, Path: ".", Sealed: true},

	{Layer: 1, Path: "engine", Ranks: [][]string{{"kernel"}, {"llama", "optim", "tokenizer", "bpe"}, {"gguf"}, {"weights"}, {"infer"}}},
	{Layer: 1, Path: "engines"},
	{Layer: 1, Path: "corpora", Sealed: true},
	{Layer: 1, Path: "internal/arch", Sealed: true},
	{Layer: 1, Path: "internal/graph", Sealed: true},
	{Layer: 1, Path: "internal/hub", Sealed: true},
	{Layer: 1, Path: "internal/input", Sealed: true},
	{Layer: 1, Path: "internal/machine", Sealed: true},
	{Layer: 1, Path: "internal/stats", Sealed: true},
	{Layer: 1, Path: "internal/storage", Sealed: true},
	{Layer: 1, Path: "internal/store", Sealed: true},
	{Layer: 1, Path: "internal/ui", Sealed: true},
	{Layer: 1, Path: "internal/whole", Sealed: true},

	{Layer: 2, Path: "model", Ranks: [][]string{{"."}, {"internal/batch", "internal/wire", "modeltest"}, {"anthropic", "chat", "local", "mock", "mockserver", "openai"}, {"pretrained"}, {"pretrained/tinychat"}}},
	{Layer: 2, Path: "constitution"},
	{Layer: 2, Path: "scenario"},

	{Layer: 3, Path: "judge"},

	{Layer: 4, Path: "data", Ranks: [][]string{{"."}, {"internal/words"}, {"parquet", "prompts", "trl"}, {"columns"}, {"quality"}, {"mix", "page", "pipe"},
		{"advice", "augment", "conduct", "document", "story"}, {"preference"}, {"catalog"}}},
	{Layer: 4, Path: "train", Ranks: [][]string{{"."}, {"finetune", "hosted", "reward", "rl", "sft", "sizing"}, {"ray/raytest"}, {"ray"}}},
	{Layer: 4, Path: "eval", Ranks: [][]string{{"batch", "evallog"}, {"."}, {"honeypot", "taskfile", "understanding"}, {"gate"}}},
	{Layer: 4, Path: "report"},

	{Layer: 5, Path: "checkpoint"},
	{Layer: 5, Path: "organism"},
	{Layer: 5, Path: "study"},
	{Layer: 5, Path: "studies", Sealed: true},

	{Layer: 5, Path: "internal/serve", Sealed: true},
	{Layer: 6, Path: "internal/web"},
	{Layer: 6, Path: "cmd/because", Sealed: true},
	{Layer: 6, Path: "tools"}, // programs for developers; nothing imports them
}

// Dependency is a module that this one may import from.
type Dependency struct {
	Module   string
	Why      string
	TestOnly bool
}

// Dependencies are the modules allowed in go.mod. Each builds without cgo and has a permissive licence.
var Dependencies = []Dependency{
	{Module: "github.com/klauspost/compress", Why: "Inspect's logs, zstd among them"},
	{Module: "github.com/parquet-go/parquet-go", Why: "training data as Parquet (data/parquet alone)"},
	{Module: "github.com/spf13/cobra", Why: "the command line"},
	{Module: "github.com/spf13/pflag", Why: "flags of the command line"},
	{Module: "github.com/coder/websocket", Why: "logs of Ray's jobs as they are written (train/ray alone)"},
	{Module: "github.com/minio/minio-go/v7", Why: "S3 and its relatives (internal/storage alone)"},
	{Module: "github.com/google/jsonschema-go", Why: "answers that must follow a JSON schema"},
	{Module: "github.com/yuin/goldmark", Why: "Markdown to HTML in reports"},
	{Module: "go.yaml.in/yaml/v3", Why: "strict study files with line numbers"},
	{Module: "golang.org/x/sync", Why: "bounded concurrency"},
	{Module: "golang.org/x/sys", Why: "CPU features, locks, disk space"},
	{Module: "golang.org/x/text", Why: "Unicode normalization of tokenizers"},
	{Module: "golang.org/x/time", Why: "rate limits of providers"},
	{Module: "golang.org/x/term", Why: "size of the terminal"},
	{Module: "gonum.org/v1/gonum", Why: "distributions for intervals and tests"},

	{Module: "github.com/google/go-cmp", Why: "differences in test failures", TestOnly: true},
	{Module: "github.com/rogpeppe/go-internal", Why: "stories of the command line", TestOnly: true},
	{Module: "pgregory.net/rapid", Why: "properties", TestOnly: true},
}

// place is where a package stands: its layer, group and rank within the group.
type place struct {
	group Group
	rank  int
}

// locate finds the place of a package by its folder, slash-separated and relative to the module's root.
func locate(dir string) (place, bool) {
	for _, g := range Layers {
		below, ok := within(g.Path, dir)
		if !ok || g.Sealed && below != "." {
			continue
		}
		if rank, ok := g.rank(below); ok {
			return place{g, rank}, true
		}
	}
	return place{}, false
}

// within gives the path of dir below root, "." for root itself.
func within(root, dir string) (string, bool) {
	if root == dir {
		return ".", true
	}
	if root == "." {
		return "", false // nothing but the root package lies in its group
	}
	return strings.CutPrefix(dir, root+"/")
}

// rank gives the rank of the package at a path below the group.
func (g Group) rank(below string) (int, bool) {
	if g.Ranks == nil {
		if below == "." {
			return 0, true
		}
		return 1, true
	}
	for i, paths := range g.Ranks {
		for _, p := range paths {
			if _, ok := within(p, below); ok {
				return i, true
			}
		}
	}
	return 0, false
}

// dependency finds the allowed module that an import path belongs to.
func dependency(importPath string) (Dependency, bool) {
	for _, d := range Dependencies {
		if _, ok := within(d.Module, importPath); ok {
			return d, true
		}
	}
	return Dependency{}, false
}

// isStandard reports whether an import path is of the standard library: its first element has no dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// ours gives the folder of a package of this module by its import path.
func ours(importPath string) (string, bool) {
	below, ok := within(Module, importPath)
	return path.Clean(below), ok
}
