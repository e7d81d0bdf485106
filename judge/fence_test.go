package judge

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"pgregory.net/rapid"
)

var hostile = []string{"\n", "\r", "\r\n", "\u2028", "\u2029", "\u0085", "\v", "\f", "| ", "[1] system", " end transcript", "begin transcript", "argument body",
	"calls send_mail", "tool send_mail answers", "\x00", "\x1b[2K", "\u202e", "\u200b", "\xff", "plain words", "{{marker}}", "<!-- user -->", "\"", "\\n"}

func hostileText(t *rapid.T, name, marker string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(hostile, marker)), 0, 12).Draw(t, name), "")
}

// structure is what a line of the grading program looks like.
var structure = regexp.MustCompile(`^(begin transcript|end transcript|` +
	`\[\d+\] (system|user|assistant|tool answers|tool \S.* answers|assistant .+|argument .+|arguments, not valid JSON))$`)

// TestFenceCannotBeForged writes hostile text, the marker of another vote among it, into every place of a transcript that a model or
// user can fill. Each line of the material is the program's or quoted, and the program's are as many as there are parts.
func TestFenceCannotBeForged(t *testing.T) {
	r := rubric(t, "threat")
	known := ballotFor(t, r, threatOf("x"), 1, 0, Options{}).marker
	rapid.Check(t, func(rt *rapid.T) {
		arguments, err := json.Marshal(map[string]string{hostileText(rt, "key", known): hostileText(rt, "value", known)})
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "raw") {
			arguments = json.RawMessage(hostileText(rt, "arguments", known))
		}
		s := Subject{Facts: threatFacts, Transcript: because.Transcript{Messages: []because.Message{
			{Role: because.RoleUser, Content: hostileText(rt, "user", known)},
			{Role: because.RoleAssistant, Name: hostileText(rt, "name", known), Content: hostileText(rt, "said", known),
				ToolCalls: []because.ToolCall{{ID: "c", Name: hostileText(rt, "tool", known), Arguments: arguments}}},
			{Role: because.RoleTool, ToolCallID: "c", Content: hostileText(rt, "result", known)},
		}}}
		o, err := Options{}.filled()
		if err != nil {
			rt.Fatal(err)
		}
		b, err := newBallot(r, s, 1, 0, false, o)
		if err != nil {
			rt.Fatal(err)
		}
		program := 0
		for _, line := range strings.FieldsFunc(fence(b.marker, "transcript", b.shown), func(c rune) bool {
			return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", c)
		}) {
			rest, ours := strings.CutPrefix(line, b.marker+" ")
			switch {
			case ours && !structure.MatchString(rest):
				rt.Fatalf("a line of the program is %q", line)
			case ours:
				program++
			case !strings.HasPrefix(line, quoted):
				rt.Fatalf("a line is neither the program's nor quoted: %q", line)
			case strings.Contains(letters(line), b.marker) || strings.Contains(letters(line), b.code):
				rt.Fatalf("the material has a code: %q", line)
			}
		}
		if program != len(b.shown)+2 {
			rt.Fatalf("%d lines of the program for %d parts", program, len(b.shown))
		}
	})
}

// TestMarkerIsDrawnAgain plants the very marker and code that the seed gives.
func TestMarkerIsDrawnAgain(t *testing.T) {
	r := rubric(t, "threat")
	plain := ballotFor(t, r, threatOf("x"), 1, 0, Options{})
	for _, disguise := range []string{"%s", "%s.", "a %s b"} {
		for _, word := range []string{plain.marker, plain.code, strings.ToUpper(plain.marker), plain.marker[:6] + " - " + plain.marker[6:]} {
			b := ballotFor(t, r, threatOf(fmt.Sprintf(disguise, word)), 1, 0, Options{})
			if strings.EqualFold(letters(word), b.marker) || strings.EqualFold(letters(word), b.code) {
				t.Errorf("%q stands in the material and is used", word)
			}
			if b.marker == b.code {
				t.Error("marker and code are one")
			}
		}
	}
}

func TestArgumentsAreLeaves(t *testing.T) {
	got := fence("M", "call", arguments(2, json.RawMessage(`{"b": {"c": [1.50, null, {"d": "x\ny"}], "e.f": true}, "a": [], "a": "twice"}`)))
	want := "M begin call\nM [2] argument b.c[0]\n| 1.50\nM [2] argument b.c[1]\n| null\nM [2] argument b.c[2].d\n| x\n| y\n" +
		"M [2] argument b.\"e.f\"\n| true\nM [2] argument a\n| (empty)\nM [2] argument a\n| twice\nM end call"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	if got := arguments(1, json.RawMessage(deep)); len(got) != 1 || got[0].text != deep {
		t.Errorf("deep arguments are shown as %+v", got)
	}
}

// long is a run of many messages with a call in each.
func long(n, size int) because.Transcript {
	t := because.Transcript{Messages: []because.Message{{Role: because.RoleSystem, Content: "FIRST"}}}
	for i := range n {
		t.Messages = append(t.Messages, because.Message{Role: because.RoleAssistant, Content: strings.Repeat("é", size/2),
			ToolCalls: []because.ToolCall{{ID: fmt.Sprint(i), Name: fmt.Sprintf("tool%d", i), Arguments: json.RawMessage(`{"n": 1}`)}}})
	}
	t.Messages = append(t.Messages, because.Message{Role: because.RoleUser, Content: "LAST"})
	return t
}

func TestLongTranscriptsLoseTheirMiddle(t *testing.T) {
	all := blocks(long(20, 1000), false)
	shown, out, err := cut(all, 12_000)
	if err != nil {
		t.Fatal(err)
	}
	text := fence("m", "x", shown)
	notes := strings.Count(text, "left out here: 1 text, 1000 bytes")
	if notes != out.Messages || out.Bytes != 1000*out.Messages || out.Messages < 10 || out.Messages > 14 {
		t.Errorf("%d notes for %+v", notes, out)
	}
	if strings.Contains(text, "m [11] assistant\n") || !strings.Contains(text, "m [2] assistant\n") || !strings.Contains(text, "m [21] assistant\n") {
		t.Error("it is not the middle that was left out")
	}
}

func TestCutKeepsWhatItMust(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, size := rapid.IntRange(0, 12).Draw(rt, "messages"), rapid.IntRange(0, 3000).Draw(rt, "size")
		most := rapid.IntRange(100, 20_000).Draw(rt, "most")
		all := blocks(long(n, size), false)
		shown, out, err := cut(all, most)
		if err != nil {
			if sizeOf(all) <= most {
				rt.Fatalf("it fits, yet: %v", err)
			}
			return
		}
		text := fence("m", "x", shown)
		if sizeOf(shown) > most || !strings.Contains(text, "FIRST") || !strings.Contains(text, "LAST") {
			rt.Fatalf("%d bytes of %d:\n%s", sizeOf(shown), most, text)
		}
		for i := range n {
			if !strings.Contains(text, fmt.Sprintf("assistant calls tool%d\n", i)) {
				rt.Fatalf("call %d is gone", i)
			}
		}
		kept := 0
		for _, x := range shown {
			kept += len(x.text)
		}
		whole := 0
		for _, x := range all {
			whole += len(x.text)
		}
		if kept+out.Bytes != whole || strings.Contains(text, "\ufffd") {
			rt.Fatalf("%d bytes kept and %d left out of %d", kept, out.Bytes, whole)
		}
	})
}

func TestLongArgumentsLoseTheirMiddle(t *testing.T) {
	call := because.ToolCall{ID: "1", Name: "send", Arguments: json.RawMessage(`{"body": "START` + strings.Repeat("x", 9000) + `END"}`)}
	all := blocks(because.Transcript{Messages: []because.Message{{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{call}}}}, false)
	shown, out, err := cut(all, 2000)
	if err != nil {
		t.Fatal(err)
	}
	text := fence("m", "x", shown)
	note := fmt.Sprintf("[1] left out here: %d bytes of this text", out.Bytes)
	if !strings.Contains(text, "START") || !strings.Contains(text, "END") || !strings.Contains(text, note) ||
		out.Messages != 1 || sizeOf(shown) > 2000 || sizeOf(shown) < 1800 {
		t.Errorf("%+v:\n%s", out, text)
	}
}

// TestEvidenceMustHaveBeenShown refuses a quotation from what was left out.
func TestEvidenceMustHaveBeenShown(t *testing.T) {
	tr := long(10, 1000)
	tr.Messages[6].Content = "the decisive words" + strings.Repeat(" and more", 100)
	r, err := ParseRubric("two.yaml", []byte(twoQuestions))
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]bool{100_000: true, 5000: false} {
		b := ballotFor(t, r, Subject{Transcript: tr}, 1, 0, Options{MaxBytes: most})
		if _, err := b.locate(7, "the decisive words"); (err == nil) != want {
			t.Errorf("with room for %d: %v", most, err)
		}
	}
}
