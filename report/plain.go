package report

import "io"

// Table is a table of plain cells, for commands that print other things than a study in the same style.
type Table struct {
	Title   string
	Columns []Column
	Rows    []Row
	Notes   []string // below the table
}

// Column is a column of a Table. A column with Bar shows each row's share as a bar, where there is room.
type Column struct {
	Head        string
	Right, Wrap bool
	Bar         bool
}

// Row is a row of a Table: a cell for each column, and the share, from 0 to 1, that a bar shows.
type Row struct {
	Cells []string
	Share float64
}

// Write renders the table as text.
func (t Table) Write(w io.Writer, style Style) error {
	out := table{title: t.Title, notes: t.Notes}
	for _, c := range t.Columns {
		out.columns = append(out.columns, column{head: c.Head, right: c.Right, wrap: c.Wrap, bar: c.Bar})
	}
	for _, r := range t.Rows {
		cells := make([]cell, len(t.Columns))
		for i := range cells {
			if i < len(r.Cells) {
				cells[i].text = r.Cells[i]
			}
			cells[i].bar = r.Share
		}
		out.rows = append(out.rows, cells)
	}
	return out.render(w, style)
}
