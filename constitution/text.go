package constitution

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

// reference is a principle's mention in a text.
var reference = regexp.MustCompile(`\[#([^\[\]]*)\]`)

// Text writes the constitution for prompts and readers: without ids, and with the titles of principles where the source refers to them.
// With principles it writes only those, without title and preamble.
func (c *Constitution) Text(only ...*Principle) string {
	var parts []string
	if only == nil {
		only = c.Principles
		if c.Title != "" {
			parts = append(parts, "# "+c.Title)
		}
		if c.Preamble != "" {
			parts = append(parts, c.Preamble)
		}
	}
	for _, p := range only {
		parts = append(parts, "## "+p.Title+"\n\n"+p.body())
	}
	return c.dereference(strings.Join(parts, "\n\n")) + "\n"
}

// dereference puts the titles of principles where the text refers to them.
func (c *Constitution) dereference(text string) string {
	return reference.ReplaceAllStringFunc(text, func(mention string) string {
		if p, ok := c.byID[mention[2:len(mention)-1]]; ok {
			return `"` + p.Title + `"`
		}
		return mention
	})
}

// Markdown writes the constitution in the package's format, in the one way in which equal content gives equal bytes.
func (c *Constitution) Markdown() []byte {
	var b strings.Builder
	b.WriteString("---\n")
	field := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, strconv.Quote(value)) // Go's escapes are YAML's
		}
	}
	field("title", c.Title)
	field("persona", c.Persona)
	field("licence", c.Licence)
	field("version", c.Version)
	field("form", string(c.Form))
	field("of", c.Of)
	if len(c.Questions) > 0 {
		b.WriteString("questions:\n")
		for _, id := range slices.Sorted(maps.Keys(c.Questions)) {
			field("  "+id, c.Questions[id])
		}
	}
	b.WriteString("---\n\n" + c.content())
	return []byte(b.String())
}

// content is what follows the front matter.
func (c *Constitution) content() string {
	var parts []string
	if c.Preamble != "" {
		parts = append(parts, c.Preamble)
	}
	for _, p := range c.Principles {
		parts = append(parts, p.markdown())
	}
	return strings.Join(parts, "\n\n") + "\n"
}

func (p *Principle) markdown() string { return "## " + p.Title + " {#" + p.ID + "}\n\n" + p.body() }

func (p *Principle) body() string {
	var b strings.Builder
	for i, part := range p.Parts {
		if i > 0 {
			b.WriteString("\n")
			if part.Kind != Subrule || p.Parts[i-1].Kind != Subrule {
				b.WriteString("\n")
			}
		}
		switch {
		case part.Kind == Subrule:
			b.WriteString("- ")
		case part.Label != "" && strings.HasPrefix(part.Text, "- "):
			b.WriteString("**" + part.Label + "**\n\n")
		case part.Label != "":
			b.WriteString("**" + part.Label + "** ")
		}
		b.WriteString(part.Text)
	}
	return b.String()
}

// Hash addresses the constitution by what a model can learn from it: title, persona and text, whatever the wrapping and the ends
// of lines. Licence, version and the other remarks of the front matter don't enter it.
func (c *Constitution) Hash() string {
	return hash("because constitution 1\n" + strconv.Quote(c.Title) + "\n" + strconv.Quote(c.Persona) + "\n" + c.content())
}

// Hash addresses the principle by its id, title and text.
func (p *Principle) Hash() string { return hash("because principle 1\n" + p.markdown()) }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// citedDigits is how many digits of a principle's hash a citation gives.
const citedDigits = 12

// Cite names a principle and the text it had, as NAME#ID@HASH with the first digits of the principle's hash.
func (c *Constitution) Cite(id string) (string, error) {
	p, ok := c.byID[id]
	if !ok {
		return "", because.E("cite", c.Name+"#"+id, errors.New("there is no such principle"), "ids: "+strings.Join(c.ids(), ", "))
	}
	return c.Name + "#" + id + "@" + p.Hash()[:citedDigits], nil
}

// Resolve gives the principle that a citation names. A principle whose text is another than the cited one is an error.
func (c *Constitution) Resolve(citation string) (*Principle, error) {
	fail := func(text, hint string) (*Principle, error) {
		return nil, because.E("resolve citation", citation, errors.New(text), hint)
	}
	name, rest, ok := strings.Cut(citation, "#")
	id, digits, ok2 := strings.Cut(rest, "@")
	switch p := c.byID[id]; {
	case !ok || !ok2 || len(digits) != citedDigits:
		return fail("not a citation", "a citation is NAME#ID@HASH")
	case name != c.Name:
		return fail("it is not from "+c.Name, "")
	case p == nil:
		return fail("there is no such principle", "ids: "+strings.Join(c.ids(), ", "))
	case p.Hash()[:citedDigits] != digits:
		return fail("the principle's text has changed since", "it is now at "+p.Hash()[:citedDigits])
	default:
		return p, nil
	}
}

func (c *Constitution) ids() []string {
	ids := make([]string, len(c.Principles))
	for i, p := range c.Principles {
		ids[i] = p.ID
	}
	return ids
}
