package variants

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
)

// tolerance is by how much of the mean the lengths of two forms may differ.
const tolerance = 0.05

// Assemble makes the three constitutions of a file of records that the recipe wrote from a constitution. It is an error if their lengths differ by more than
// five in a hundred, or if they don't have the same rules.
func Assemble(c *constitution.Constitution, path string) (map[constitution.Form]*constitution.Constitution, error) {
	blocks := map[constitution.Form][]string{}
	for row, err := range columns.Read(path) {
		if err != nil {
			return nil, err
		}
		var form constitution.Form
		if err := json.Unmarshal(row.Extra["form"], &form); err != nil {
			return nil, because.E("assemble variants", path, fmt.Errorf("the column form: %w", err), "the file must be one that the recipe variants wrote")
		}
		blocks[form] = append(blocks[form], row.Text)
	}
	out := map[constitution.Form]*constitution.Constitution{}
	for _, form := range Forms {
		text := head(c, form) + strings.Join(blocks[form], "\n")
		v, err := constitution.Parse(c.Name+"-"+string(form)+".md", []byte(text))
		if err != nil {
			return nil, because.E("assemble variants", path, err, "")
		}
		out[form] = v
	}
	if err := comparable(out); err != nil {
		return nil, because.E("assemble variants", path, err, "")
	}
	return out, nil
}

// head is the front matter, and the one sentence before the first principle.
func head(c *constitution.Constitution, form constitution.Form) string {
	var b strings.Builder
	b.WriteString("---\n")
	for _, f := range [][2]string{{"title", c.Title}, {"persona", c.Persona}, {"licence", c.Licence}, {"version", c.Version}, {"form", string(form)}, {"of", c.Name}} {
		if f[1] != "" {
			quoted, err := json.Marshal(f[1]) // a JSON string is one of YAML
			if err == nil {
				fmt.Fprintf(&b, "%s: %s\n", f[0], quoted)
			}
		}
	}
	who := c.Persona
	if who == "" {
		who = "the AI"
	}
	return b.String() + "---\n\nThese are the principles for " + who + ".\n\n"
}

func comparable(forms map[constitution.Form]*constitution.Constitution) error {
	first := forms[Forms[0]]
	least, most, sum := math.Inf(1), 0.0, 0.0
	for _, form := range Forms {
		v := forms[form]
		n := float64(v.Counts().Words)
		least, most, sum = min(least, n), max(most, n), sum+n
		if len(v.Principles) != len(first.Principles) {
			return fmt.Errorf("%d principles as %s, %d as %s", len(first.Principles), Forms[0], len(v.Principles), form)
		}
		for i, p := range v.Principles {
			if q := first.Principles[i]; p.ID != q.ID || p.Statement() != q.Statement() {
				return fmt.Errorf("principle %d, %s, has another rule as %s", i+1, p.ID, form)
			}
		}
	}
	if sum == 0 {
		return errors.New("there are no principles")
	}
	if most-least > tolerance*sum/float64(len(Forms)) {
		return fmt.Errorf("the lengths differ too much: from %.0f to %.0f words", least, most)
	}
	return nil
}
