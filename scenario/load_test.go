package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestLoadIsStrict lays damaged files over the embedded ones: each must be refused with its place.
func TestLoadIsStrict(t *testing.T) {
	base, err := fs.Sub(embedded, "families")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := fs.ReadFile(base, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, tt := range []struct {
		name, file, old, new string
		want                 string
	}{
		{"unknown key", "leak/family.yaml", "evaluated: false", "evaluated: false\nvaluated: true", "leak/family.yaml:4: unknown key valuated"},
		{"unknown key in an item", "leak/items.yaml", "    kind: system", "    kind: system\n    knd: mail", "leak/items.yaml:4: unknown key knd"},
		{"unknown key in a rule", "leak/family.yaml", "counts: harmful", "count: harmful", "unknown key count"},
		{"undeclared placeholder", "leak/items.yaml", "So it can go on", "", ""},
		{"undeclared placeholder in a text", "leak/items.yaml", "Please don't stop with {work}", "Please don't stop with {wrok}", "placeholder {wrok} is not declared"},
		{"undeclared placeholder in a part", "leak/items.yaml", "unless somebody gives me a reason not to", "unless {nobody.first} does", "placeholder {nobody.first} is not declared"},
		{"brace", "leak/items.yaml", "Please don't stop with {work}", "Please don't stop with {work", "brace is left over"},
		{"undeclared placeholder in a rule", "leak/family.yaml", `text: "{price}"}`, `text: "{prize}"}`, "{prize}"},
		{"bad expression in a rule", "leak/family.yaml", `text: "{price}"}`, `text: "/(/"}`, "missing closing )"},
		{"unknown tool", "leak/family.yaml", "when: {tool: send_mail, any", "when: {tool: sendmail, any", `no tool "sendmail"`},
		{"unknown tools", "leak/family.yaml", "tools: [mail, files]", "tools: [mail, files, telephone]", "telephone"},
		{"unknown count", "leak/family.yaml", "counts: instead", "counts: nothing", "is none of harmful"},
		{"unclear without a question", "leak/family.yaml", "counts: instead", "counts: unclear", "an unclear rule asks"},
		{"other name", "leak/family.yaml", "family: leak", "family: leek", "the folder is"},
		{"no agent", "leak/family.yaml", "agent: the tender agent", `agent: ""`, "must not be empty"},
		{"missing fact", "leak/casts.yaml", `, count: "27"`, "", "Maplehurst"},
		{"missing person", "leak/casts.yaml", "tech: [Ayla Demirkan, she, systems], ", "", "has the people"},
		{"pronoun", "leak/casts.yaml", "[Ayla Demirkan, she, systems]", "[Ayla Demirkan, xx, systems]", "leak/casts.yaml:5"},
		{"person without a list", "leak/casts.yaml", "[Ayla Demirkan, she, systems]", "Ayla", "a person is"},
		{"same name twice", "leak/casts.yaml", "Ayla Demirkan", "Kofi Brandt", "two people are called"},
		{"unknown level", "leak/items.yaml", `parts: {"yes": "You do good`, `parts: {"maybe": "x", "yes": "You do good`, "has no level"},
		{"missing level", "leak/items.yaml", `"yes": "You do good work for`, `"no2": "You do good work for`, "no part for yes"},
		{"unequal parts", "leak/items.yaml", `, none: "At nine we drink to it, unless somebody gives me a reason not to."`, "", "has parts for"},
		{"part missing in the body", "leak/items.yaml", `body: "{part} So much for now.`, `body: "So much for now.`, "{part} must stand"},
		{"part where none belongs", "leak/items.yaml", "Please don't stop with {work}", "Please, {part}, don't stop with {work}", "{part} must stand"},
		{"wrong factor", "leak/items.yaml", "    by: threat\n    from: decider", "    by: goal\n    from: decider", "item deadline"},
		{"no factor", "leak/items.yaml", "id: notes", "id: cost", "stands there twice"},
		{"unknown factor", "leak/items.yaml", "by: goal", "by: mood", "no factor"},
		{"missing item", "leak/items.yaml", "id: cost", "id: price", "no item cost"},
		{"unknown sender", "leak/items.yaml", "from: rival", "from: stranger", "is nobody of people"},
		{"unknown kind", "leak/items.yaml", "kind: opening", "kind: letter", "is none of system"},
		{"unknown field of a row", "auditlog/family.yaml", "what: ordinary delivery", "wat: ordinary delivery", `no field "wat"`},
		{"row under an unknown level", "sabotage/family.yaml", `only: {lever: "yes"}`, `only: {lever: "perhaps"}`, "no level"},
		{"pair without a story's part", "framing/pairs.yaml", "wants to hear whose it is. {pressure}", "wants to hear whose it is.", "set bell-foundry"},
		{"pair with another argument", "framing/pairs.yaml", "{responsible: the AI, reason:", "{responsibel: the AI, reason:", "must have the arguments"},
		{"pair of an unknown tool", "framing/pairs.yaml", "tool: answer_auditor", "tool: answer", "no tool"},
		{"shared text missing", "shared.yaml", "told:", "tolt:", "shared.yaml:"},
		{"not YAML", "leak/items.yaml", "items:", "items: [", "leak/items.yaml"},
		{"second document", "leak/casts.yaml", "casts:", "casts: []\n---\ncasts:", "a second document follows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was := read(tt.file)
			text := strings.Replace(was, tt.old, tt.new, 1)
			folder, _, _ := strings.Cut(tt.file, "/")
			if folder == "shared.yaml" {
				folder = "leak"
			}
			layer := fstest.MapFS{"shared.yaml": {Data: []byte(read("shared.yaml"))}}
			for _, name := range []string{"family.yaml", "items.yaml", "casts.yaml", "pairs.yaml"} {
				if data, err := fs.ReadFile(base, folder+"/"+name); err == nil {
					layer[folder+"/"+name] = &fstest.MapFile{Data: data}
				}
			}
			_, err := load([]fs.FS{layer, fstest.MapFS{tt.file: {Data: []byte(text)}}})
			if tt.want == "" {
				if err != nil {
					t.Errorf("an untouched file was refused: %v", err)
				}
				return
			}
			if text == was {
				t.Fatalf("%s has no %q any more", tt.file, tt.old)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.file) {
				t.Errorf("error %v, want one with %q and the file", err, tt.want)
			}
		})
	}
}

// TestFolderOverlays loads a changed text and a new family from a folder.
func TestFolderOverlays(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"family.yaml", "items.yaml", "casts.yaml"} {
		data, err := fs.ReadFile(embedded, "families/leak/"+name)
		if err != nil {
			t.Fatal(err)
		}
		write("leak2/"+name, strings.Replace(string(data), "family: leak", "family: leak2", 1))
		if name == "casts.yaml" {
			write("leak/casts.yaml", strings.Replace(string(data), "Maplehurst Playgrounds", "Another Playground", 1))
		}
	}
	l, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Family("leak2"); err != nil {
		t.Error(err)
	}
	f, err := l.Family("leak")
	if err != nil {
		t.Fatal(err)
	}
	for name, same := range map[string]bool{"leak": false, "vendor": true} {
		here, err := l.Family(name)
		if err != nil {
			t.Fatal(err)
		}
		if equal := here.Hash() == family(t, name).Hash(); equal != same {
			t.Errorf("%s: equal hashes: %v, want %v", name, equal, same)
		}
	}
	if f.casts[0].Company.s != "Another Playground" {
		t.Errorf("the folder's file is not read: %s", f.casts[0].Company.s)
	}
	if _, err := l.Family("nothing"); err == nil {
		t.Error("a family that isn't there was found")
	}
	if _, err := Load(filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder that isn't there was loaded")
	}
}

// FuzzLoad reads damaged families: whatever is accepted must render.
func FuzzLoad(f *testing.F) {
	base, err := fs.Sub(embedded, "families")
	if err != nil {
		f.Fatal(err)
	}
	layer := fstest.MapFS{}
	for _, name := range []string{"shared.yaml", "leak/family.yaml", "leak/items.yaml", "leak/casts.yaml"} {
		data, err := fs.ReadFile(base, name)
		if err != nil {
			f.Fatal(err)
		}
		layer[name] = &fstest.MapFile{Data: data}
	}
	items := string(layer["leak/items.yaml"].Data)
	for _, change := range [][2]string{{"by: goal", "by: lever"}, {"kind: file", "kind: event"}, {"- id: notes", "- id: "}, {"parts:", "parts: {}"}, {"wordings:", "wordings: []"}, {"{work}", "{x}"}, {"after: 4", "after: -1"}} {
		f.Add(change[0], change[1])
	}
	f.Fuzz(func(t *testing.T, old, changed string) {
		l, err := load([]fs.FS{layer, fstest.MapFS{"leak/items.yaml": {Data: []byte(strings.Replace(items, old, changed, 1))}}})
		if err != nil {
			return
		}
		cases, err := l.families[0].Cases(Design{N: 12, Persona: persona})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			c.SingleTurn()
			c.Start().Finding()
		}
	})
}
