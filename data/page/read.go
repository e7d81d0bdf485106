package page

import (
	"fmt"
	"io"

	"github.com/because-lab/because/data/quality"
)

// Options say what a page shows.
type Options struct {
	Number   int // records or pairs on the page, drawn by Seed; 0: all records, or 50 pairs
	Seed     uint64
	Question string // of a blind page: what the reader judges by; "": DefaultQuestion
}

// reading is the data of a page for reading.
type reading struct {
	File    string   `json:"file"`
	About   string   `json:"about"`
	Records []record `json:"records"`
}

// Read writes a page for reading a corpus, in the file's order.
func Read(w io.Writer, c Corpus, o Options) error {
	name := names(c)[0]
	data := reading{File: name, About: amount(len(c.Rows), "record")}
	rows := quality.Draw(len(c.Rows), o.Number, o.Seed)
	if len(rows) < len(c.Rows) {
		data.About = fmt.Sprintf("%d of %d records, drawn by seed %d", len(rows), len(c.Rows), o.Seed)
	}
	for _, i := range rows {
		data.Records = append(data.Records, whole(i+1, c.Rows[i]))
	}
	return write(w, name, "read.js", data)
}
