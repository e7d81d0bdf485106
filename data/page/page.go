// Package page shows training data to people: a page for reading one file, and a page on which a reader compares two files blind, record by record.
//
// A page is one HTML file that loads nothing and runs offline. Records stand in it as JSON, with every < and & escaped, in an element that browsers
// don't run; the page's script puts them into text nodes alone, and a content security policy lets no other script or style run. So a record
// that holds HTML shows it as text.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/quality"
)

//go:embed assets
var assets embed.FS

func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("page: " + err.Error()) // embedded at build time
	}
	return string(text)
}

// Corpus is a file of records.
type Corpus struct {
	Path string
	Sum  string // SHA-256 of the file
	Rows []columns.Row
}

// Open reads a file of records into memory.
func Open(path string) (Corpus, error) {
	c := Corpus{Path: path}
	var err error
	if c.Sum, err = quality.Sum(path); err != nil {
		return c, err
	}
	c.Rows, err = columns.ReadAll(path)
	return c, err
}

// names gives what the corpora are called: the files' names, or their paths where the names are equal.
func names(corpora ...Corpus) []string {
	var out []string
	for _, c := range corpora {
		name := filepath.Base(c.Path)
		if slices.ContainsFunc(corpora, func(other Corpus) bool { return other.Path != c.Path && filepath.Base(other.Path) == name }) {
			name = c.Path
		}
		out = append(out, name)
	}
	return out
}

// write puts a page together: the markers of page.html are replaced in one pass, so nothing in the data is taken for one.
func write(w io.Writer, title, script string, data any) error {
	text, err := json.Marshal(data) // which writes <, > and & as \u003c, \u003e and \u0026
	if err != nil {
		return because.E("write page", title, err, "")
	}
	style, code := asset("page.css"), asset("show.js")+asset(script)
	_, err = strings.NewReplacer(
		"{{title}}", html.EscapeString(title),
		"{{style-hash}}", policyHash(style),
		"{{script-hash}}", policyHash(code),
		"{{style}}", style,
		"{{data}}", string(text),
		"{{script}}", code,
	).WriteString(w, asset("page.html"))
	if err != nil {
		return because.E("write page", title, err, "")
	}
	return nil
}

// policyHash names a script or style in a content security policy.
func policyHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var errSame = errors.New("both files hold the same bytes")
