package variants

import (
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/internal/whole"
)

// Write assembles the three constitutions of a file of records and writes them beside it, under its name with -rules.md, -subrules.md and -reasons.md. It
// gives their paths in the order of Forms. Errors are those of Assemble, and then nothing is written.
func Write(c *constitution.Constitution, path string) ([]string, error) {
	forms, err := Assemble(c, path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, form := range Forms {
		file := strings.TrimSuffix(path, filepath.Ext(path)) + "-" + string(form) + ".md"
		if err := whole.WriteFile(file, forms[form].Markdown()); err != nil {
			return nil, because.E("write variants", file, err, "")
		}
		out = append(out, file)
	}
	return out, nil
}
