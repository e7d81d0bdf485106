package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

// save writes the checkpoint of a model to a new folder.
func save(t *testing.T, m *llama.Model, jinja string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkpoint")
	c := &weights.Checkpoint{Model: m, Tokenizer: newTokenizer(t), ChatTemplate: jinja, Special: weights.Special{EOS: "<end>"}}
	if err := weights.Save(dir, c); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpen(t *testing.T) {
	before := newModel(t, nil)
	m, err := Open(save(t, before.Llama(), RoleTemplate("max").Jinja()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Template() != RoleTemplate("max") || m.EndToken() != 0 {
		t.Errorf("template %+v, end token %d", m.Template(), m.EndToken())
	}
	asked := requests(5)
	for i := range asked {
		asked[i].As = "eve"
	}
	if want, got := generate(t, before, 1, asked), generate(t, m, 1, asked); !cmp.Equal(want, got) {
		t.Error("the checkpoint gives other answers than the model that was saved")
	}
}

// The name of a model is that of its weights: it does not change with the folder, which is the machine's business.
func TestNameIsOfTheWeights(t *testing.T) {
	engine := newModel(t, nil).Llama()
	name := func() string {
		m, err := Open(save(t, engine, RoleTemplate("ava").Jinja()), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m.Name()
	}
	first, again := name(), name()
	if first != again || !regexp.MustCompile(`^local/[0-9a-f]{12}$`).MatchString(first) {
		t.Errorf("names %q and %q", first, again)
	}
	engine.Tensors()[3].Data[5] += 0.25
	if name() == first {
		t.Error("other weights have the same name")
	}
}

func TestOpenRefuses(t *testing.T) {
	engine := newModel(t, nil).Llama()
	jinja := RoleTemplate("ava").Jinja()
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"missing", os.RemoveAll, "no such file"},
		{"no weights", remove("model.safetensors"), "model.safetensors"},
		{"weights cut off", cut("model.safetensors", 0.9), "model.safetensors"},
		{"header cut off", cut("model.safetensors", 0.01), "model.safetensors"},
		{"empty weights", cut("model.safetensors", 0), "model.safetensors"},
		{"no config", remove("config.json"), "config.json"},
		{"config cut off", cut("config.json", 0.5), "config.json"},
		{"another size", replace("config.json", `"hidden_size": 16`, `"hidden_size": 32`), "config.json asks for"},
		{"no tokenizer", remove("tokenizer.json"), "it has no tokenizer.json"},
		{"tokenizer cut off", cut("tokenizer.json", 0.5), "tokenizer.json"},
		{"no template", remove("tokenizer_config.json"), "has no chat template"},
		{"template cut off", cut("tokenizer_config.json", 0.5), "tokenizer_config.json"},
		{"foreign template", replace("tokenizer_config.json", "for m in messages", "for m in messages[1:]"), "its chat template is not one of the organism's"},
		{"another end marker", replace("tokenizer.json", `"<end>"`, `"<eot>"`), "<end>"},
	} {
		dir := save(t, engine, jinja)
		if err := c.damage(dir); err != nil {
			t.Fatal(err)
		}
		m, err := Open(dir, nil)
		if err == nil {
			t.Errorf("%s: it opened", c.name)
			continue
		}
		var e *because.Error
		if m != nil || !errors.As(err, &e) || e.Op != "open model" || e.Subject != dir || !strings.Contains(err.Error(), c.want) || because.Hint(err) == "" {
			t.Errorf("%s: got %q, hint %q; want %q", c.name, err, because.Hint(err), c.want)
		}
		if c.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the cause is lost", c.name)
		}
	}
}

func remove(name string) func(dir string) error {
	return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
}

func cut(name string, share float64) func(dir string) error {
	return change(name, func(text string) (string, bool) { return text[:int(share*float64(len(text)))], true })
}

func replace(name, old, new string) func(dir string) error {
	return change(name, func(text string) (string, bool) {
		return strings.ReplaceAll(text, old, new), strings.Contains(text, old)
	})
}

func change(name string, f func(text string) (string, bool)) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed, ok := f(string(text))
		if !ok {
			return errors.New(name + " does not hold what should be changed")
		}
		return os.WriteFile(path, []byte(changed), 0o666)
	}
}
