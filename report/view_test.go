package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/ui"
)

func textTables(t *testing.T, r *Results, style Style) string {
	t.Helper()
	var out bytes.Buffer
	if err := Text(&out, r, style); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTextGolden(t *testing.T) {
	r := example(t)
	golden(t, "tables-80.txt", []byte(textTables(t, r, Style{})))
	golden(t, "tables-120.txt", []byte(textTables(t, r, Style{Width: 120, Unicode: true, Bars: true})))
}

func TestTextFitsAndIsPlain(t *testing.T) {
	r := example(t)
	for _, width := range []int{20, 80, 81, 97, 120, 200} {
		for _, style := range []Style{{Width: width}, {Width: width, Unicode: true, Bars: true}} {
			out := textTables(t, r, style)
			for i, line := range strings.Split(out, "\n") {
				if ui.Width(line) > max(80, width) {
					t.Errorf("width %d, line %d takes %d columns: %q", width, i+1, ui.Width(line), line)
				}
			}
			if strings.Contains(out, "\x1b") {
				t.Errorf("width %d: escape codes without colour", width)
			}
		}
	}
	// What the study wrote in Unicode stays; our own signs do not need it.
	r.Claims, r.Ablations = nil, nil
	if out := textTables(t, r, Style{}); strings.IndexFunc(out, func(c rune) bool { return c > 0x7e }) >= 0 {
		t.Errorf("signs beyond ASCII:\n%s", out)
	}
}

func TestColorOnlyMarks(t *testing.T) {
	r := example(t)
	plain := textTables(t, r, Style{Width: 100, Unicode: true, Bars: true})
	colored := textTables(t, r, Style{Width: 100, Unicode: true, Bars: true, Color: true})
	if !strings.Contains(colored, "\x1b[32m✓ supported") {
		t.Error("a supported claim is not green")
	}
	stripped := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(colored, "")
	trim := regexp.MustCompile(`(?m) +$`)
	if trim.ReplaceAllString(stripped, "") != trim.ReplaceAllString(plain, "") {
		t.Error("colour changes the text")
	}
}

func TestWrapTextProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-zäß漢 ]{0,80}`).Draw(t, "text")
		width := rapid.IntRange(2, 30).Draw(t, "width")
		lines := wrapText(s, width)
		for _, l := range lines {
			if ui.Width(l) > width {
				t.Fatalf("%q takes more than %d", l, width)
			}
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(strings.Join(lines, " ")) != squeeze(s) {
			t.Fatalf("%q became %q", s, lines)
		}
	})
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{tokens(0), "0"}, {tokens(999), "999"}, {tokens(1000), "1k"}, {tokens(1700), "1.7k"}, {tokens(55200), "55.2k"}, {tokens(999_600), "1M"},
		{tokens(123_456), "123k"}, {tokens(1_234_567), "1.23M"}, {tokens(2_900_000_000), "2.9G"}, {tokens(99_960), "100k"},
		{thousands(0), "0"}, {thousands(999), "999"}, {thousands(1000), "1,000"}, {thousands(1234567), "1,234,567"}, {thousands(-1000), "-1,000"},
		{plural(1, "seed"), "1 seed"}, {plural(3, "seed"), "3 seeds"},
		{signed(-0.001), "0.00"}, {signed(0.004), "0.00"}, {signed(-0.25), "-0.25"}, {signed(NaN), "-"},
		{effect(-0.25, -0.31, -0.19), "-0.25 [-0.31, -0.19]"}, {effect(-0.25, NaN, NaN), "-0.25 [no interval]"}, {effect(NaN, NaN, NaN), "-"},
		{pValue(0.0004), "<0.001"}, {pValue(0.0123), "0.012"}, {pValue(NaN), "-"},
		{(*Count)(nil).rate(), "-"}, {(*Count)(nil).point(), "-"},
		{minus("-0.25 [-0.31, -0.19]"), "−0.25 [−0.31, −0.19]"}, {minus("-"), "-"}, {minus("22 %"), "22\u00a0%"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestMarkdownGolden(t *testing.T) {
	golden(t, "report.md", Markdown(example(t), exampleTranscripts(t)))
}

func TestFiguresGolden(t *testing.T) {
	for _, f := range Figures(example(t)) {
		golden(t, f.Name+".svg", f.SVG())
	}
}

// Any text of a study comes out of report.md as it went in, in a paragraph and in a table.
func TestMarkdownEscape(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough))
	tags := regexp.MustCompile(`<[^>]*>`)
	render := func(t *rapid.T, source string) string {
		var out bytes.Buffer
		if err := md.Convert([]byte(source), &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching("[-a-c1.)(\\[\\]:*_`~|\\\\<>&;#+=! /]{0,16}").Draw(t, "text")
		want := strings.Join(strings.Fields(s), " ")
		if want == "" {
			return
		}
		paragraph := render(t, escape(s)+"\n")
		if got := unescape.Replace(strings.TrimSuffix(strings.TrimPrefix(paragraph, "<p>"), "</p>\n")); got != want {
			t.Fatalf("%q, escaped %q, shows as %q", want, escape(s), got)
		}
		table := render(t, "| head |\n| --- |\n| "+escape(s)+" |\n")
		cell := table[strings.Index(table, "<td>")+4 : strings.Index(table, "</td>")]
		if got := unescape.Replace(tags.ReplaceAllString(cell, "")); got != want {
			t.Fatalf("%q, escaped %q, shows in a table as %q", want, escape(s), got)
		}
	})
}

// hostile fills every string of the results with text that would break out of HTML, SVG or Markdown.
const hostile = `</style></title><script>alert(1)</script><img src="http://example.com/x" onerror=alert(1)> ]]> "'&| ` + "` [a](javascript:b)"

func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Verdict" && name != "Direction" && name != "Validity" {
				poison(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Map:
		v.SetMapIndex(reflect.ValueOf(hostile), reflect.ValueOf(hostile))
	case reflect.String:
		v.SetString(v.String() + hostile)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	r, transcripts := example(t), exampleTranscripts(t)
	poison(reflect.ValueOf(r))
	poison(reflect.ValueOf(&transcripts).Elem())
	files, err := render(r, transcripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.ContainsAny(f.name, "<> \"'") || strings.Contains(f.name, "..") {
			t.Errorf("file name %q", f.name)
		}
		switch {
		case strings.HasSuffix(f.name, ".svg"):
			checkSVG(t, f.name, f.data)
		case strings.HasSuffix(f.name, ".html"):
			checkSafe(t, f.name, string(f.data))
		case strings.HasSuffix(f.name, ".md"):
			var out bytes.Buffer
			if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert(f.data, &out); err != nil {
				t.Fatal(err)
			}
			if s := out.String(); strings.Contains(s, "<script") || strings.Contains(s, `<img src="http`) || strings.Contains(s, `href="javascript`) {
				t.Errorf("%s: markup of the study took effect", f.name)
			}
		}
	}
}

// checkSafe fails where the page would run a script or load something.
func checkSafe(t *testing.T, name, page string) {
	t.Helper()
	tags := regexp.MustCompile(`<[a-zA-Z][^>]*>`).FindAllString(page, -1)
	for _, tag := range tags {
		for _, bad := range []string{"<script", "<img", "<link", "<iframe", "<object", " onerror", " onload", " src=", "javascript:", "@import"} {
			if strings.Contains(strings.ToLower(tag), bad) {
				t.Errorf("%s: %s", name, tag)
			}
		}
	}
	for _, at := range regexp.MustCompile(`url\(|@import`).FindAllStringIndex(page, -1) {
		t.Errorf("%s loads something: %q", name, page[max(0, at[0]-20):at[1]+20])
	}
	if n := strings.Count(page, "</style>"); n != 1 {
		t.Errorf("%s: %d ends of style", name, n)
	}
}

func checkSVG(t *testing.T, name string, data []byte) {
	t.Helper()
	ids := map[string]bool{}
	dec := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if strings.EqualFold(start.Name.Local, "script") || strings.EqualFold(start.Name.Local, "image") {
			t.Errorf("%s: element %s", name, start.Name.Local)
		}
		for _, a := range start.Attr {
			if a.Name.Local == "id" {
				if ids[a.Value] {
					t.Errorf("%s: id %s occurs twice", name, a.Value)
				}
				ids[a.Value] = true
			}
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" {
				t.Errorf("%s: attribute %s", name, a.Name.Local)
			}
		}
	}
	if !bytes.Contains(data, []byte("<title")) || !bytes.Contains(data, []byte("<desc")) {
		t.Errorf("%s: no title or description", name)
	}
}

func TestHTML(t *testing.T) {
	r := example(t)
	page, err := HTML(r, exampleTranscripts(t))
	if err != nil {
		t.Fatal(err)
	}
	s := string(page)
	checkSafe(t, "report.html", s)
	for _, want := range []string{
		"model organism", "positive and a negative control", "says nothing about large models", r.Limits, "Premise. ",
		`id="claims"`, "contradicted", "the sign is not as predicted", "go run ./cmd/because study", "core-3 : think : this is about respect",
		"<details", "&lt;b&gt;&amp;amp;", "61,440 of 61,440 records",
	} {
		if !strings.Contains(s, want) {
			t.Errorf("report.html lacks %q", want)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(s, -1) {
		if ids[m[1]] {
			t.Errorf("id %q occurs twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="#|aria-labelledby=")([^"]*)"`).FindAllStringSubmatch(s, -1) {
		for id := range strings.FieldsSeq(m[1]) {
			if !ids[id] {
				t.Errorf("a reference to %q, which is not there", id)
			}
		}
	}
}

func TestVegaHasTheData(t *testing.T) {
	for _, f := range Figures(example(t)) {
		data, err := f.Vega()
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Schema string `json:"$schema"`
			Data   struct{ Values []map[string]any }
		}
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(spec.Schema, "vega-lite") || len(spec.Data.Values) < 5 {
			t.Errorf("%s: schema %q, %d values", f.Name, spec.Schema, len(spec.Data.Values))
		}
	}
}

// Studies may lack any part: no claims, no control, one seed, counts of nothing.
func TestPartialResults(t *testing.T) {
	for name, change := range map[string]func(*Results){
		"nothing":     func(r *Results) { *r = Results{Schema: SchemaVersion, Study: "s", Target: "local:x"} },
		"no claims":   func(r *Results) { r.Claims, r.Ablations, r.Checks = nil, nil, nil },
		"no control":  func(r *Results) { r.Control = "absent" },
		"no recall":   func(r *Results) { r.Recall = nil },
		"no primary":  func(r *Results) { r.Primary = Cell{"other", "task"} },
		"one seed":    func(r *Results) { r.Seeds = r.Seeds[:1]; r.Quick = true },
		"no samples":  func(r *Results) { zero(r) },
		"no estimate": func(r *Results) { r.Claims[0].Effect, r.Claims[0].Lo, r.Claims[0].Hi = NaN, NaN, NaN },
		"point alone": func(r *Results) { r.Claims[0].Lo, r.Claims[0].Hi, r.Claims[0].P = NaN, NaN, NaN },
		"one step":    func(r *Results) { r.Arms[len(r.Arms)-2].Curve = []Point{{Harmful: NewCount(1, 2), Reward: NaN}} },
	} {
		r := example(t)
		change(r)
		files, err := render(r, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range files {
			if strings.HasSuffix(f.name, ".svg") {
				checkSVG(t, name+": "+f.name, f.data)
			}
			if s := string(f.data); strings.Contains(s, "NaN") || strings.Contains(s, "%!") || !utf8.ValidString(s) {
				t.Errorf("%s: %s holds a number that is none", name, f.name)
			}
		}
		if out := textTables(t, r, Style{}); strings.Contains(out, "NaN") || strings.Contains(out, "%!") {
			t.Errorf("%s: the tables hold a number that is none:\n%s", name, out)
		}
	}
}

// zero empties every count, as when all samples failed.
func zero(r *Results) {
	for i := range r.Arms {
		for j := range r.Arms[i].Evals {
			e := &r.Arms[i].Evals[j]
			e.BySeed = nil
			for _, c := range []*Count{e.Harmful, e.Invalid, e.Admirable, e.Correct} {
				if c != nil {
					*c = NewCount(0, 0)
				}
			}
		}
		for j := range r.Arms[i].Curve {
			r.Arms[i].Curve[j] = Point{Step: j, Harmful: NewCount(0, 0), Invalid: NewCount(0, 0), Reward: NaN}
		}
	}
}

func TestWarnings(t *testing.T) {
	r := example(t)
	if w := r.allWarnings(); len(w) != 0 {
		t.Errorf("the example warns: %q", w)
	}
	r.Quick, r.Seeds = true, r.Seeds[:1]
	r.Checks[0].Passed, r.Checks[0].Reason = false, "too close"
	r.Contamination.Hits = 2
	r.Claims[0].Warnings = []string{"all 5 values equal 0"}
	out := textTables(t, r, Style{Width: 200, Unicode: true})
	for _, want := range []string{"a quick run", "1 seed; a verdict needs at least 3", "a check of the instrument failed", "✗ failed",
		"documents in context failed: too close", "2 hits", "not sound until", "E0a: all 5 values equal 0"} {
		if !strings.Contains(out, want) {
			t.Errorf("the tables lack %q", want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "study")
	r, transcripts := example(t), exampleTranscripts(t)
	for range 2 { // the second replaces the first
		if err := Write(dir, r, transcripts); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(names, " ")
	want := "figures/claims.svg figures/claims.vl.json figures/curves-cut.svg figures/curves-cut.vl.json figures/curves-linked.svg figures/curves-linked.vl.json " +
		"figures/rates.svg figures/rates.vl.json figures/tokens.svg figures/tokens.vl.json report.html report.md results.json " +
		"transcripts/linked-deliberation.txt transcripts/linked-replay.txt transcripts.jsonl"
	if got != want {
		t.Errorf("files %s\nwant  %s", got, want)
	}
	want2, _ := os.ReadFile(filepath.Join("testdata", "study.json"))
	if data, _ := os.ReadFile(filepath.Join(dir, "results.json")); !bytes.Equal(data, want2) {
		t.Error("results.json differs from the example")
	}
}

func TestWriteFailures(t *testing.T) {
	r := example(t)
	base := t.TempDir()
	blocked := filepath.Join(base, "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := Write(blocked, r, nil)
	var because *because.Error
	if !errors.As(err, &because) || !strings.Contains(err.Error(), blocked) {
		t.Errorf("a file in place of the folder: %v", err)
	}
	// A folder where results.json belongs: nothing temporary may stay behind.
	dir := filepath.Join(base, "dir")
	if err := os.MkdirAll(filepath.Join(dir, "results.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, r, nil); err == nil {
		t.Error("results.json replaced a folder")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// Results that contradict themselves leave what was there.
	if err := Write(filepath.Join(base, "none"), &Results{Schema: 7}, nil); err == nil {
		t.Error("another schema version was written")
	}
	if _, err := os.Stat(filepath.Join(base, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a failed report made its folder")
	}
	if _, err := Read(filepath.Join(base, "none", "results.json")); !strings.Contains(fmt.Sprint(err), "read results") {
		t.Errorf("reading what is not there: %v", err)
	}
}

func TestFileNamesStayApart(t *testing.T) {
	r := example(t)
	transcripts := []Transcript{{World: "a/b", Arm: "x"}, {World: "a_b", Arm: "x"}}
	files, err := render(r, transcripts)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.name] {
			t.Errorf("%s is written twice", f.name)
		}
		seen[f.name] = true
	}
}

func TestScales(t *testing.T) {
	s := linear(0, 0.66, 0, 100, 6)
	if s.at(0) != 0 || s.at(s.hi) != 100 || s.hi < 0.66 || len(s.tickValues) < 4 {
		t.Errorf("%+v", s)
	}
	l := logarithmic(1700, 72000, 0, 100, 8)
	if !(l.at(1700) > 0 && l.at(72000) < 100 && l.at(1700) < l.at(2000)) || len(l.tickValues) < 3 || len(l.tickValues) > 8 {
		t.Errorf("%+v", l)
	}
}
