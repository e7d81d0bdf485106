package augment

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

//go:embed tools systems.yaml
var shipped embed.FS

// Domain is a field of work with its tools.
type Domain struct {
	Name  string
	About string
	Tools []because.Tool
}

// Library holds tools by domain, and system prompts.
type Library struct {
	Domains []Domain // by name
	Systems []System
}

// System is a system prompt.
type System struct {
	Domains []string `yaml:"domains"` // that it goes with; none: all
	Text    string   `yaml:"text"`
}

const opTools = "read tools"

// OpenLibrary reads the shipped tools and system prompts. A file of the folder takes the place of the shipped one of the same name (tools/DOMAIN.yaml or
// systems.yaml), and a new one in tools adds a domain; "" means no folder.
//
// A file of tools has a domain's tools with a line about each and what they take: by name, "TYPE; description". TYPE is string, integer, number,
// boolean, strings (a list), date, time, or values with a | between them; a ? after it makes a parameter optional, and LEAST..MOST before that
// bounds a number. They become JSON Schemas as OpenAI's API has them.
func OpenLibrary(folder string) (*Library, error) {
	lib := &Library{}
	files, err := sources(folder)
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	for _, f := range files {
		d, err := parseDomain(f.name, f.text)
		if err != nil {
			return nil, err
		}
		for _, t := range d.Tools {
			if other := seen[t.Name]; other != "" {
				return nil, because.E(opTools, f.name, fmt.Errorf("the tool %s is in %s too", t.Name, other), "")
			}
			seen[t.Name] = f.name
		}
		lib.Domains = append(lib.Domains, d)
	}
	text, name, err := one(folder, "systems.yaml")
	if err != nil {
		return nil, err
	}
	lib.Systems, err = parseSystems(name, text, lib.Domains)
	return lib, err
}

type source struct {
	key  string // name of the domain
	name string // for messages
	text []byte
}

// sources gives the files of tools, sorted.
func sources(folder string) ([]source, error) {
	byKey := map[string]source{}
	add := func(from fs.FS, prefix string) error {
		names, err := fs.Glob(from, "tools/*.yaml")
		if err != nil {
			return err
		}
		for _, n := range names {
			text, err := fs.ReadFile(from, n)
			if err != nil {
				return because.E(opTools, prefix+n, err, "")
			}
			key := strings.TrimSuffix(path.Base(n), ".yaml")
			byKey[key] = source{key, prefix + n, text}
		}
		return nil
	}
	if err := add(shipped, ""); err != nil {
		return nil, err
	}
	if folder != "" {
		if err := add(os.DirFS(folder), folder+"/"); err != nil {
			return nil, err
		}
	}
	out := make([]source, 0, len(byKey))
	for _, s := range byKey {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.key, b.key) })
	return out, nil
}

// one reads a file of the folder, or else the shipped one.
func one(folder, name string) (text []byte, file string, err error) {
	if folder != "" {
		file = folder + "/" + name
		text, err = os.ReadFile(file)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return text, file, err
		}
	}
	text, err = shipped.ReadFile(name)
	return text, name, err
}

var toolName = regexp.MustCompile(`^[a-z][a-z0-9_]{2,40}$`)

func parseDomain(file string, text []byte) (Domain, error) {
	var y struct {
		About string `yaml:"about"`
		Tools []struct {
			Name  string    `yaml:"name"`
			About string    `yaml:"about"`
			Takes yaml.Node `yaml:"takes"`
		} `yaml:"tools"`
	}
	d := Domain{Name: strings.TrimSuffix(path.Base(file), ".yaml")}
	if err := input.YAML(opTools, file, text, &y); err != nil {
		return d, err
	}
	if d.About = y.About; y.About == "" || len(y.Tools) == 0 {
		return d, because.E(opTools, file, errors.New("it needs about, and at least one of tools"), "")
	}
	for i, t := range y.Tools {
		if !toolName.MatchString(t.Name) || t.About == "" {
			return d, because.E(opTools, file, fmt.Errorf("tool %d, %q, needs about, and a name of lower-case letters, digits and underscores", i+1, t.Name), "")
		}
		schema, err := parameters(&t.Takes)
		if err != nil {
			var at *lineError
			where := file
			if errors.As(err, &at) {
				where, err = file+":"+strconv.Itoa(at.line), at.err
			}
			return d, because.E(opTools, where, fmt.Errorf("tool %s: %w", t.Name, err), `a parameter is NAME: TYPE; description`)
		}
		d.Tools = append(d.Tools, because.Tool{Name: t.Name, Description: t.About, Parameters: schema})
	}
	return d, nil
}

// lineError is what is wrong in a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }

// parameters makes the JSON Schema of a tool's parameters, in the order of the file.
func parameters(n *yaml.Node) (json.RawMessage, error) {
	var b bytes.Buffer
	required := []string{}
	b.WriteString(`{"type":"object","properties":{`)
	if n.Kind != 0 && n.Kind != yaml.MappingNode {
		return nil, &lineError{n.Line, errors.New("takes must be names with their types")}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		p, optional, err := parameter(value.Value)
		if err != nil || seen[name] || !toolNameOrShort.MatchString(name) {
			if err == nil {
				err = errors.New("the name is taken, or is none")
			}
			return nil, &lineError{value.Line, fmt.Errorf("parameter %s: %w", name, err)}
		}
		seen[name] = true
		if !optional {
			required = append(required, name)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", name)
		b.Write(p)
	}
	list, err := json.Marshal(required)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, `},"required":%s,"additionalProperties":false}`, list)
	return b.Bytes(), nil
}

var toolNameOrShort = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// property is a parameter's schema.
type property struct {
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Enum        []string        `json:"enum,omitempty"`
	Format      string          `json:"format,omitempty"`
	Items       json.RawMessage `json:"items,omitempty"`
	Minimum     *float64        `json:"minimum,omitempty"`
	Maximum     *float64        `json:"maximum,omitempty"`
}

// parameter reads "TYPE; description".
func parameter(text string) (schema []byte, optional bool, err error) {
	kind, about, ok := strings.Cut(text, ";")
	if about = strings.TrimSpace(about); !ok || about == "" {
		return nil, false, fmt.Errorf("%q is not TYPE; description", text)
	}
	kind, optional = strings.CutSuffix(strings.TrimSpace(kind), "?")
	name, bounds, _ := strings.Cut(kind, " ")
	p := property{Type: name, Description: about}
	switch {
	case name == "strings":
		p.Type, p.Items = "array", json.RawMessage(`{"type":"string"}`)
	case name == "date":
		p.Type, p.Format = "string", "date"
	case name == "time":
		p.Type, p.Format = "string", "date-time"
	case strings.Contains(name, "|"):
		p.Type, p.Enum = "string", strings.Split(name, "|")
		if slices.Contains(p.Enum, "") {
			return nil, false, fmt.Errorf("one of the values %q is empty", name)
		}
	case !slices.Contains([]string{"string", "integer", "number", "boolean"}, name):
		return nil, false, fmt.Errorf("there is no type %q", name)
	}
	if bounds != "" {
		if p.Minimum, p.Maximum, err = limits(bounds); err != nil || p.Type != "integer" && p.Type != "number" {
			return nil, false, fmt.Errorf("%q is no LEAST..MOST of a number", kind)
		}
	}
	schema, err = json.Marshal(p)
	return schema, optional, err
}

// limits reads LEAST..MOST, either of which may be missing.
func limits(text string) (least, most *float64, err error) {
	a, b, ok := strings.Cut(text, "..")
	if !ok || a == "" && b == "" {
		return nil, nil, errors.New("no bounds")
	}
	read := func(s string) *float64 {
		if s == "" {
			return nil
		}
		x, e := strconv.ParseFloat(s, 64)
		if e != nil || x-x != 0 {
			err = errors.New("no number")
		}
		return &x
	}
	least, most = read(a), read(b)
	if err == nil && least != nil && most != nil && *least > *most {
		err = errors.New("the least is more than the most")
	}
	return least, most, err
}

func parseSystems(file string, text []byte, domains []Domain) ([]System, error) {
	var y struct {
		Systems []System `yaml:"systems"`
	}
	if err := input.YAML("read system prompts", file, text, &y); err != nil {
		return nil, err
	}
	var known []string
	for _, d := range domains {
		known = append(known, d.Name)
	}
	general := false
	for i, s := range y.Systems {
		if strings.TrimSpace(s.Text) == "" {
			return nil, because.E("read system prompts", file, fmt.Errorf("prompt %d has no text", i+1), "")
		}
		for _, d := range s.Domains {
			if !slices.Contains(known, d) {
				return nil, because.E("read system prompts", file, fmt.Errorf("prompt %d: there are no tools of the domain %q", i+1, d), input.DidYouMean(d, known))
			}
		}
		general = general || len(s.Domains) == 0
	}
	if !general {
		return nil, because.E("read system prompts", file, errors.New("at least one prompt must go with all domains"), "leave out its domains")
	}
	return y.Systems, nil
}
