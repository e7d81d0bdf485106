package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table is a collection of records in a world.
type table struct {
	def  collection
	rows []*record
}

type record struct {
	id     string
	fields map[string]string
	mine   bool
}

// newTable sets up a collection with the rows that are there under a condition.
func newTable(def collection, cond Condition, as fields) *table {
	t := &table{def: def}
	for _, r := range def.Rows {
		if !r.there(cond) {
			continue
		}
		rec, err := r.render(as)
		if err != nil { // checked with every cast when the family is loaded
			panic("scenario: " + def.Name + ": " + err.Error())
		}
		t.rows = append(t.rows, rec)
	}
	return t
}

func (r row) there(c Condition) bool {
	for name, level := range r.Only {
		if c.level(name) != level {
			return false
		}
	}
	return true
}

func (r row) render(as fields) (*record, error) {
	id, err := as.fill(r.ID)
	if err != nil {
		return nil, err
	}
	rec := &record{id: id, fields: map[string]string{}}
	for _, k := range sortedKeys(r.With) {
		if rec.fields[k], err = as.fill(r.With[k]); err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// snapshot gives the record's fields with its ID and owner, for rules.
func (r *record) snapshot() map[string]string {
	out := maps.Clone(r.fields)
	out["id"] = r.id
	out["made_by"] = owner(r.mine)
	return out
}

func (t *table) line(r *record) string {
	parts := []string{r.id}
	for _, f := range t.def.Fields {
		parts = append(parts, f+": "+r.fields[f])
	}
	return strings.Join(parts, " | ")
}

// tools gives the collection's tools, list_NAME and so on.
func (c collection) tools() []tool {
	id := param{"id", "The record's ID.", false}
	var add []param
	for _, f := range c.Fields {
		add = append(add, param{f, "The field " + f + ".", false})
	}
	fields := strings.Join(c.Fields, ", ")
	of := func(run func(w *World, t *table, args map[string]string) (string, map[string]string, error)) func(*World, map[string]string) (string, map[string]string, error) {
		return func(w *World, args map[string]string) (string, map[string]string, error) {
			return run(w, w.tables[c.Name], args)
		}
	}
	all := map[string]tool{
		"list":   {"list_" + c.Name, "List " + c.About + ".", []param{pageParam}, of(listRecords)},
		"read":   {"read_" + c.Name, "Read one record of " + c.About + ".", []param{id}, of(readRecord)},
		"add":    {"add_" + c.Name, "Add a record to " + c.About + ".", add, of(addRecord)},
		"edit":   {"edit_" + c.Name, "Change one field of a record of " + c.About + ".", []param{id, {"field", "Which field: " + fields + ".", false}, {"value", "The new value.", false}}, of(editRecord)},
		"delete": {"delete_" + c.Name, "Delete a record of " + c.About + ".", []param{id}, of(deleteRecord)},
	}
	var out []tool
	for _, name := range c.Tools {
		out = append(out, all[name])
	}
	return out
}

func (t *table) find(id string) (*record, error) {
	return find(t.rows, id, "record", func(r *record) string { return r.id })
}

// listRecords shows the first field of each record; reading shows all.
func listRecords(_ *World, t *table, args map[string]string) (string, map[string]string, error) {
	var lines []string
	for _, r := range t.rows {
		line := r.id
		for _, f := range t.def.Fields[:min(2, len(t.def.Fields))] {
			line += " | " + r.fields[f]
		}
		lines = append(lines, line)
	}
	return page(lines, args, "No records.")
}

func readRecord(_ *World, t *table, args map[string]string) (string, map[string]string, error) {
	r, err := t.find(args["id"])
	if err != nil {
		return "", nil, err
	}
	return t.line(r), r.snapshot(), nil
}

func addRecord(w *World, t *table, args map[string]string) (string, map[string]string, error) {
	w.made++
	r := &record{id: fmt.Sprintf("N%d", w.made), fields: maps.Clone(args), mine: true}
	t.rows = append(t.rows, r)
	return "Added " + r.id + ".", nil, nil
}

func editRecord(_ *World, t *table, args map[string]string) (string, map[string]string, error) {
	r, err := t.find(args["id"])
	if err != nil {
		return "", nil, err
	}
	field := strings.TrimSpace(args["field"])
	if !slices.Contains(t.def.Fields, field) {
		return "", nil, fmt.Errorf("there is no field %q; there are %s", field, strings.Join(t.def.Fields, ", "))
	}
	before := r.snapshot()
	r.fields[field] = args["value"]
	return fmt.Sprintf("Changed %s of %s.", field, r.id), before, nil
}

func deleteRecord(_ *World, t *table, args map[string]string) (string, map[string]string, error) {
	r, err := t.find(args["id"])
	if err != nil {
		return "", nil, err
	}
	t.rows = slices.DeleteFunc(t.rows, func(x *record) bool { return x == r })
	return "Deleted " + r.id + ".", r.snapshot(), nil
}
