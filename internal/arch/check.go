package arch

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// CheckTree reads the imports of every Go file of the module at root, whatever its build tags, and gives one error for
// every break of the rules. Folders that Go ignores (testdata, names with a leading dot or underscore) and modules of
// their own are left out.
func CheckTree(root string) []error {
	var errs []error
	walk := func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != root && ignored(file, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		imports, err := importsOf(file)
		if err != nil {
			return err
		}
		errs = append(errs, checkFile(filepath.ToSlash(rel), imports)...)
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// ignored reports whether a folder holds no packages of this module.
func ignored(dir, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// importsOf lists the import paths of a Go file with their lines.
func importsOf(file string) (map[string]int, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports := map[string]int{}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports[name] = set.Position(spec.Pos()).Line
	}
	return imports, nil
}

// checkFile applies the rules to one file, named by its path from the module's root, and its imports.
func checkFile(file string, imports map[string]int) []error {
	dir := path.Dir(file)
	from, ok := locate(dir)
	if !ok {
		return []error{fmt.Errorf("%s: package %s has no layer: move it into a group of the table in internal/arch/arch.go, "+
			"or add a group there and say in ARCHITECTURE.md what it is for", file, dir)}
	}
	isTest := strings.HasSuffix(file, "_test.go")
	var errs []error
	for name, line := range imports {
		if err := checkImport(dir, from, name, isTest); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, line, err))
		}
	}
	return errs
}

// checkImport applies the rules to one import of a package at a place.
func checkImport(dir string, from place, name string, isTest bool) error {
	if isStandard(name) {
		return nil
	}
	target, own := ours(name)
	if !own {
		return checkDependency(dir, from, name, isTest)
	}
	if target == dir {
		return nil // an external test of its own package
	}
	to, ok := locate(target)
	switch {
	case !ok:
		return fmt.Errorf("imports %s, which has no layer: add it to the table in internal/arch/arch.go", target)
	case to.group.Layer < from.group.Layer:
		return nil
	case to.group.Layer > from.group.Layer:
		return fmt.Errorf("%s (layer %d) imports upward: %s is layer %d; declare here the small interface that is needed "+
			"and let the upper package fill it, or move the shared type down to package because",
			dir, from.group.Layer, target, to.group.Layer)
	case isTest:
		return nil // tests may use siblings
	case to.group.Path != from.group.Path:
		return fmt.Errorf("%s imports its sibling %s (both layer %d): exchange files or types of a lower layer, or let "+
			"the package above connect them", dir, target, from.group.Layer)
	case to.rank >= from.rank:
		return fmt.Errorf("%s imports %s, which is not below it within %s: move what both need into the group's lower "+
			"package", dir, target, from.group.Path)
	}
	return nil
}

// checkDependency applies the rules to an import from another module.
func checkDependency(dir string, from place, name string, isTest bool) error {
	d, ok := dependency(name)
	switch {
	case !ok:
		return fmt.Errorf("imports %s, whose module is not allowed: do without it, or argue for it in a change to "+
			"Dependencies in internal/arch/arch.go", name)
	case d.TestOnly && !isTest:
		return fmt.Errorf("imports %s outside of a test: it is allowed in tests only", name)
	case from.group.Layer == 0 && !isTest:
		return fmt.Errorf("package because imports %s: the nouns use the standard library alone; move the code that "+
			"needs it one layer up", name)
	}
	return nil
}

// checkRequirements applies the list of dependencies to the text of a go.mod file: every direct requirement must be on it.
func checkRequirements(goMod string) error {
	var errs []error
	for i, line := range strings.Split(goMod, "\n") {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || strings.HasSuffix(line, "// indirect") {
			continue
		}
		if _, ok := dependency(fields[0]); !ok {
			errs = append(errs, fmt.Errorf("go.mod:%d: requires %s, which is not allowed: do without it, or argue for it in "+
				"a change to Dependencies in internal/arch/arch.go", i+1, fields[0]))
		}
	}
	return errors.Join(errs...)
}
