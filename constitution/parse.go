package constitution

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// Load reads a constitution from a file.
func Load(path string) (*Constitution, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, because.E("read constitution", path, err, "")
	}
	return Parse(path, text)
}

// Parse reads a constitution. The name is the file's, and part of every error; its last element without extension becomes
// the constitution's Name. The first fault found is the error, with its line.
func Parse(name string, text []byte) (*Constitution, error) {
	base := filepath.Base(name)
	c := &Constitution{Name: strings.TrimSuffix(base, filepath.Ext(base)), file: name, front: map[string]int{}, byID: map[string]*Principle{}}
	c.index = sync.OnceValue(c.makeIndex)
	if f := c.parse(text); f != nil {
		return nil, because.E("read constitution", fmt.Sprintf("%s:%d", name, f.line), f.err, f.hint)
	}
	return c, nil
}

func (c *Constitution) parse(text []byte) *fault {
	if f := checkEncoding(text); f != nil {
		return f
	}
	lines := strings.Split(newlines.Replace(string(text)), "\n")
	front, rest, number, f := splitFront(lines)
	if f != nil {
		return f
	}
	if f := c.readFront(front); f != nil {
		return f
	}
	blocks, f := splitBlocks(rest, number)
	if f != nil {
		return f
	}
	blocks, f = c.readPreamble(blocks)
	if f != nil {
		return f
	}
	if len(blocks) == 0 {
		return faultf(1, "a principle begins with a heading such as ## Keep promises {#promises}", "no principles")
	}
	for len(blocks) > 0 {
		n := 1
		for n < len(blocks) && blocks[n].kind != heading {
			n++
		}
		if f := c.readPrinciple(blocks[:n]); f != nil {
			return f
		}
		blocks = blocks[n:]
	}
	return c.checkQuestions()
}

// newlines ends every line as Unix does.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// checkEncoding refuses everything but UTF-8 text without a byte order mark, and says what it seems to be.
func checkEncoding(text []byte) *fault {
	const hint = "save it as UTF-8 without a byte order mark"
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return faultf(1, hint, "it begins with a UTF-8 byte order mark")
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return faultf(1, hint, "it is in UTF-16")
	case len(bytes.TrimSpace(text)) == 0:
		return faultf(1, "", "it is empty")
	}
	line := 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return faultf(line, hint, "byte %#02x is not UTF-8", text[i])
		case r == 0:
			return faultf(line, hint, "a zero byte: UTF-16 without a mark, or no text at all")
		case r == '\n':
			line++
		case unicode.IsControl(r) && !unicode.IsSpace(r):
			return faultf(line, "remove it", "control character %U", r)
		}
		i += size
	}
	return nil
}

// readPreamble reads what stands before the first principle and gives the rest.
func (c *Constitution) readPreamble(blocks []block) ([]block, *fault) {
	if len(blocks) > 0 && blocks[0].kind == heading && blocks[0].level == 1 {
		if c.Title != "" && c.Title != blocks[0].text {
			return nil, faultf(blocks[0].line, "let the heading and the front matter agree, or leave one out", "the title differs from the front matter's")
		}
		c.Title, blocks = blocks[0].text, blocks[1:]
	}
	n := 0
	for n < len(blocks) && blocks[n].kind != heading {
		if m, _, f := readMark(blocks[n]); f != nil || m != "" {
			return nil, faultf(blocks[n].line, "reasons and cases belong to a principle, after its heading", "a reason or case before the first principle")
		}
		n++
	}
	c.Preamble = joinBlocks(blocks[:n])
	return blocks[n:], nil
}

// checkQuestions finds questions whose principle doesn't exist.
func (c *Constitution) checkQuestions() *fault {
	var worst *fault
	for id := range c.Questions {
		line := c.front["questions."+id]
		if _, ok := c.byID[id]; !ok && (worst == nil || line < worst.line) {
			worst = faultf(line, "the keys are ids of principles", "questions: there is no principle %q", id)
		}
	}
	return worst
}
