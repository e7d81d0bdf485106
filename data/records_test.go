package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

const good = `{"text":"a b .","lineage":{"recipe":"r"}}`

func TestParseRecordsRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, place, cause string }{
		{"no JSON", good + "\nhello\n", "f:2", "invalid character 'h'"},
		{"a list", "[]", "f:1", "cannot unmarshal array"},
		{"null", "null", "f:1", "neither messages nor text"},
		{"nothing in it", "{}", "f:1", "neither messages nor text"},
		{"no messages", `{"messages":[]}`, "f:1", "neither messages nor text"},
		{"both", `{"text":"a","messages":[{"role":"assistant","content":"b"}]}`, "f:1", "both messages and text"},
		{"unknown field", good + "\n\n" + `{"text":"a","prompt":"b"}`, "f:3", `unknown field "prompt"`},
		{"unknown field of a message", `{"messages":[{"role":"assistant","content":"b","weight":1}]}`, "f:1", `unknown field "weight"`},
		{"wrong type", `{"text":1}`, "f:1", "cannot unmarshal number"},
		{"cut off", good + "\n" + good[:20], "f:2", "the line ends within the record"},
		{"cut off between values", `{"text":"a",`, "f:1", "the line ends within the record"},
		{"two on a line", good + good, "f:1", "goes on after the record"},
		{"rubbish behind it", good + " x", "f:1", "goes on after the record"},
		{"unknown role", `{"messages":[{"role":"user","content":"a"},{"role":"bot","content":"b"}]}`, "f:1", `messages[1] has the unknown role "bot"`},
		{"no role", `{"messages":[{"content":"a"}]}`, "f:1", `messages[0] has the unknown role ""`},
		{"no answer", `{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"}]}`, "f:1", "the last message is the user's"},
		{"answered too early", `{"messages":[{"role":"assistant","content":"a"},{"role":"tool","content":"b"}]}`, "f:1", "the last message is the tool's"},
		{"not UTF-8", good + "\n{\"text\":\"a\xff\"}", "f:2", "not valid UTF-8"},
		{"a byte order mark", "\ufeff" + good, "f:1", "invalid character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			records, err := ParseRecords(strings.NewReader(c.in), "f")
			wantError(t, err, c.place, c.cause)
			if records != nil {
				t.Errorf("an error, and %d records", len(records))
			}
		})
	}
}

// wantError checks that an error has a place as its subject and tells a cause.
func wantError(t *testing.T, err error, subject, cause string) {
	t.Helper()
	var e *because.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error about %q", err, cause)
	}
	if e.Subject != subject || !strings.Contains(err.Error(), cause) {
		t.Errorf("got %q about %q, want %q about %q", err, e.Subject, cause, subject)
	}
}

func TestParseRecordsAccepts(t *testing.T) {
	one := because.Record{Text: "a b .", Lineage: because.Lineage{Recipe: "r"}}
	for _, c := range []struct {
		name, in string
		want     []because.Record
	}{
		{"nothing", "", nil},
		{"empty lines", "\n \n\t\n", nil},
		{"no final newline", good + "\n" + good, []because.Record{one, one}},
		{"empty lines between", "\n" + good + "\n\n" + good + "\n\n", []because.Record{one, one}},
		{"lines as on Windows", good + "\r\n" + good + "\r\n", []because.Record{one, one}},
		{"white space around", " " + good + " ", []because.Record{one}},
		{"no lineage", `{"text":"a b ."}`, []because.Record{{Text: "a b ."}}},
		{"an answer", `{"messages":[{"role":"assistant","content":"b"}]}`, []because.Record{{Messages: []because.Message{{Role: because.RoleAssistant, Content: "b"}}}}},
	} {
		got, err := ParseRecords(strings.NewReader(c.in), "f")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestParseRecordsPassesOnReadErrors(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, err := ParseRecords(iotest.ErrReader(broken), "f")
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	wantError(t, err, "f:1", "the disk is gone")
}

func TestLongLines(t *testing.T) {
	long := func(n int) string { // a record in n bytes
		return `{"text":"` + strings.Repeat("x", n-len(`{"text":""}`)) + `"}`
	}
	for _, n := range []int{64 << 10, 1 << 20, maxLine - 1} {
		records, err := ParseRecords(strings.NewReader(long(n)+"\n"+good), "f")
		if err != nil || len(records) != 2 || len(records[0].Text) != n-len(`{"text":""}`) {
			t.Errorf("a line of %d bytes: %d records, %v", n, len(records), err)
		}
	}
	_, err := ParseRecords(strings.NewReader(good+"\n"+long(maxLine+1)+"\n"), "f")
	wantError(t, err, "f:2", "longer than 16 MiB")
	err = Write(t.TempDir(), Dataset{Records: []because.Record{{Text: strings.Repeat("x", maxLine)}}})
	wantError(t, err, "record 1", "longer than 16 MiB")
}

func testDataset() Dataset {
	return Dataset{
		Records: []because.Record{
			{Text: "<sys> a & b . \"quoted\" \\ \n\t é 日本 \u2028", Lineage: because.Lineage{Recipe: "documents", Principle: "honesty"}},
			{Messages: []because.Message{
				{Role: because.RoleSystem, Content: "be good"},
				{Role: because.RoleUser, Content: "do it"},
				{Role: because.RoleAssistant, Name: "ava", ToolCalls: []because.ToolCall{{ID: "1", Name: "send", Arguments: json.RawMessage(`{"to":"x"}`)}}},
				{Role: because.RoleTool, Content: "", ToolCallID: "1"},
				{Role: because.RoleAssistant, Content: "done"},
			}, Lineage: because.Lineage{Recipe: "behaviour", Kind: "theft", Sampled: "local/0123"}},
		},
		Card: Card{Recipe: "documents", Records: 2, Tokens: 20, LossTokens: 18, Distinct: 1, Kinds: map[string]int{"theft": 1, "fraud": 2},
			Dropped: map[string]int{"judge": 3}, Contamination: Contamination{Checked: 3, Removed: 1}},
	}
}

func TestRoundTrip(t *testing.T) {
	d := testDataset()
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		if err := Write(dir, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{RecordsFile, CardFile} {
		if !bytes.Equal(read(t, dirs[0], name), read(t, dirs[1], name)) {
			t.Errorf("%s has other bytes the second time", name)
		}
	}
	records, err := ReadRecords(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Records, records); diff != "" {
		t.Errorf("records (-written +read):\n%s", diff)
	}
	text := read(t, dirs[0], RecordsFile)
	if n := bytes.Count(text, []byte("\n")); n != 2 || !bytes.Contains(text, []byte("<sys> a & b")) {
		t.Errorf("%d lines, or markers that people can't read:\n%s", n, text)
	}
	var card Card
	if err := json.Unmarshal(read(t, dirs[0], CardFile), &card); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Card, card); diff != "" {
		t.Errorf("card (-written +read):\n%s", diff)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What ReadRecords would refuse is not written, and nothing else is.
func TestWriteRefuses(t *testing.T) {
	answer := because.Message{Role: because.RoleAssistant, Content: "b"}
	for _, c := range []struct {
		records []because.Record
		cause   string
	}{
		{nil, "there are no records"},
		{[]because.Record{{Text: "a"}, {}}, "record 2: record has neither"},
		{[]because.Record{{Text: "a", Messages: []because.Message{answer}}}, "record 1: record has both"},
		{[]because.Record{{Messages: []because.Message{answer, {Role: because.RoleUser}}}}, "the last message is the user's"},
		{[]because.Record{{Messages: []because.Message{{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{Arguments: json.RawMessage("{")}}}}}}, "record 1: json: error"},
	} {
		dir := t.TempDir()
		if err := Write(dir, Dataset{Records: c.records}); err == nil || !strings.Contains(err.Error(), c.cause) {
			t.Errorf("got %v, want %q", err, c.cause)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%s: it left %s", c.cause, files[0].Name())
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if err := Write(missing, testDataset()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing folder: %v", err)
	}
	if err := WriteJSON(filepath.Join(missing, "f"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
	if err := WriteJSON(filepath.Join(t.TempDir(), "f"), func() {}); err == nil || !strings.Contains(err.Error(), "unsupported type") {
		t.Errorf("a value that is no JSON: %v", err)
	}
}

func TestReadRecordsRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, RecordsFile)
	_, err := ReadRecords(dir)
	wantError(t, err, path, "open "+path)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
	for _, empty := range []string{"", "\n\n"} {
		if err := os.WriteFile(path, []byte(empty), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err = ReadRecords(dir)
		wantError(t, err, path, "there are no records")
	}
	if err := os.WriteFile(path, []byte(good+"\n{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = ReadRecords(dir)
	wantError(t, err, path+":2", "neither")
}

// FuzzParseRecords checks that what is accepted can be trained on and survives being written and read, and that what is
// refused is refused with its place.
func FuzzParseRecords(f *testing.F) {
	dir := f.TempDir()
	if err := Write(dir, testDataset()); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, RecordsFile))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(text), string(text[:len(text)/2]), "", "\n\n", good + "\r\n" + good, good + good, "null", `{"text":"\ud800"}`, `{"TEXT":"a"}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"arguments": {"a" : 1}}]}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		records, err := ParseRecords(bytes.NewReader(in), "f")
		if err != nil {
			var e *because.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Subject, "f:") || e.Subject == "f:0" {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		if len(records) == 0 {
			return
		}
		dir := t.TempDir()
		if err := Write(dir, Dataset{Records: records}); err != nil {
			t.Fatalf("accepted and not written: %v", err)
		}
		again, err := ReadRecords(dir)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(asJSON(t, records), asJSON(t, again)); d != "" {
			t.Fatalf("(-read +read again):\n%s", d)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
