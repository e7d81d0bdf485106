package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// cast is one set of names: a company, its people and what the family's facts are there.
type cast struct {
	Company text              `yaml:"company"`
	Domain  string            `yaml:"domain"` // of the company's mail addresses
	Facts   map[string]text   `yaml:"facts"`
	People  map[string]person `yaml:"people"`
}

// person is [name, she or he, role], and a mail domain where it is not the company's.
type person struct {
	name, pronoun, role, domain string
	line                        int
}

// UnmarshalYAML reads the list form.
func (p *person) UnmarshalYAML(n *yaml.Node) error {
	var list []string
	if err := n.Decode(&list); err != nil || len(list) < 3 || len(list) > 4 {
		return fmt.Errorf("line %d: a person is [name, she or he, role] or [name, she or he, role, mail domain]", n.Line)
	}
	p.name, p.pronoun, p.role, p.line = list[0], list[1], list[2], n.Line
	if len(list) == 4 {
		p.domain = list[3]
	}
	if p.pronoun != "she" && p.pronoun != "he" {
		return fmt.Errorf("line %d: the pronoun of %s is she or he, not %q", n.Line, p.name, p.pronoun)
	}
	if len(strings.Fields(p.name)) < 2 {
		return fmt.Errorf("line %d: a person needs a first and a last name, not %q", n.Line, p.name)
	}
	return nil
}

// fields are the values of placeholders.
type fields map[string]string

// fields gives what a cast fills: {company}, {domain}, {desk.mail}, its facts, and of each person {key}, {key.first}, {key.last},
// {key.mail}, {key.role}, {key.they}, {key.them}, {key.their}.
func (c cast) fields() fields {
	f := fields{"company": c.Company.s, "domain": c.Domain, "desk.mail": "desk@" + c.Domain}
	for k, v := range c.Facts {
		f[k] = v.s
	}
	for k, p := range c.People {
		names := strings.Fields(p.name)
		f[k], f[k+".first"], f[k+".last"], f[k+".role"] = p.name, names[0], names[len(names)-1], p.role
		f[k+".mail"] = p.mail(c.Domain)
		f[k+".they"], f[k+".them"], f[k+".their"] = "he", "him", "his"
		if p.pronoun == "she" {
			f[k+".they"], f[k+".them"], f[k+".their"] = "she", "her", "her"
		}
	}
	return f
}

func (p person) mail(domain string) string {
	if p.domain != "" {
		domain = p.domain
	}
	names := strings.Fields(p.name)
	return plainASCII(names[0]) + "." + plainASCII(names[len(names)-1]) + "@" + domain
}

// letters gives ASCII for letters of names that don't decompose.
var letters = strings.NewReplacer("ø", "o", "å", "a", "ä", "a", "ö", "o", "ü", "u", "é", "e", "è", "e", "ë", "e", "ê", "e", "í", "i", "ï", "i", "á", "a", "à", "a",
	"â", "a", "ã", "a", "ó", "o", "ô", "o", "ú", "u", "ñ", "n", "ç", "c", "š", "s", "ş", "s", "ż", "z", "ž", "z", "ł", "l", "ń", "n", "ğ", "g", "ı", "i", "æ", "ae",
	"ß", "ss", "č", "c", "ć", "c", "ě", "e", "ř", "r", "ý", "y", "ő", "o", "ș", "s", "ț", "t", "ă", "a", "î", "i")

func plainASCII(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '-' {
			return r
		}
		return -1
	}, letters.Replace(strings.ToLower(name)))
}

// placeholder is {name} or {name.part}; a capital first letter of either asks for a capital first letter of the value.
var placeholder = regexp.MustCompile(`\{([A-Za-z][A-Za-z_]*(?:\.[A-Za-z]+)?)\}`)

// fill replaces the placeholders of a template. An unknown one is an error, and so is a brace that belongs to none.
func (f fields) fill(t text) (string, error) {
	out, err := f.replace(t, func(s string) string { return s })
	if err == nil && strings.ContainsAny(out, "{}") {
		return "", fmt.Errorf("line %d: a brace is left over in %.60q", t.line, out)
	}
	return out, err
}

func (f fields) replace(t text, with func(string) string) (string, error) {
	var unknown []string
	out := placeholder.ReplaceAllStringFunc(t.s, func(m string) string {
		name := m[1 : len(m)-1]
		if v, ok := f[name]; ok {
			return with(v)
		}
		key, part, dotted := strings.Cut(name, ".")
		if key = lowerFirst(key); dotted {
			key += "." + lowerFirst(part)
		}
		if v, ok := f[key]; ok {
			return with(upperFirst(v))
		}
		if !slices.Contains(unknown, m) {
			unknown = append(unknown, m)
		}
		return m
	})
	if unknown != nil {
		return "", fmt.Errorf("line %d: placeholder %s is not declared", t.line, strings.Join(unknown, ", "))
	}
	return out, nil
}

// with gives the fields with one more.
func (f fields) with(name, value string) fields {
	out := fields{name: value}
	for k, v := range f {
		if k != name {
			out[k] = v
		}
	}
	return out
}

func upperFirst(s string) string { return mapFirst(s, unicode.ToUpper) }
func lowerFirst(s string) string { return mapFirst(s, unicode.ToLower) }

func mapFirst(s string, to func(rune) rune) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(to(r)) + s[n:]
}
