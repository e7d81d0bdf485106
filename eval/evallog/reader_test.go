package evallog

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/because-lab/because"
)

// foreign is a log of another writer: names and texts of members, in order.
type foreign [][2]string

const head = `{"version":2,"eval":{"task":"t","created":"now","dataset":{},"model":"m","config":{"limit":[0,5]},"new_field":{"a":1}},"plan":{}`

// bytes makes the zip with the standard library, which puts sizes behind the data.
func (f foreign) bytes(t testing.TB, method uint16) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zstd93, zstd.ZipCompressor())
	for _, m := range f {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m[0], Method: method})
		ok(t, err)
		_, err = w.Write([]byte(m[1]))
		ok(t, err)
	}
	ok(t, z.Close())
	return b.Bytes()
}

func (f foreign) open(t testing.TB, method uint16) *Reader {
	path := logPath(t)
	ok(t, os.WriteFile(path, f.bytes(t, method), 0o666))
	return openLog(t, path)
}

func TestForeign(t *testing.T) {
	for _, method := range []uint16{stored, deflate, zstd93} {
		r := foreign{
			{"header.json", head + `,"results":{"scores":[{"name":"s","scorer":"s","metrics":{"m":{"name":"m","value":NaN},"i":{"name":"i","value":-Infinity}}}]}}`},
			{"samples/1_epoch_1.json", `{"id":1,"epoch":1,"input":"old","target":"x"}`},
			{"samples/a_epoch_1.json", `{"id":"a","epoch":1,"input":[{"role":"user","content":"hi","tool_call_id":["c"]}],"target":["x","y"],"choices":null,
				"scores":{"s":{"value":NaN}},"metadata":{"n":Infinity},"unknown":[NaN],"events":[{"event":"later","x":1}]}`},
			{"samples/1_epoch_1.json", `{"id":1,"epoch":1,"input":"new \ud83d\ude00 \ud800","target":"x"}`},
			{"summaries.json", `[{"id":1,"epoch":1,"input":"new","target":"x"} , {"id":"a","epoch":1,"input":[],"target":[]}]`},
		}.open(t, method)
		h := r.Header()
		if h.Status != Started || h.Eval.Task != "t" || string(h.Eval.Config.Limit) != "[0,5]" || !bytes.Contains(h.Raw, []byte("new_field")) {
			t.Errorf("%+v", h)
		}
		metrics := h.Results.Scores[0].Metrics
		if !math.IsNaN(metrics["m"].Value) || !math.IsInf(metrics["i"].Value, -1) {
			t.Error(metrics)
		}
		s, err := r.Sample(StringID("1"), 1)
		ok(t, err)
		if s.Input.Text != "new \U0001F600 \uFFFD" || s.ID != IntID(1) {
			t.Error(s.Input.Text)
		}
		s, err = r.Sample(StringID("a"), 1)
		ok(t, err)
		if string(s.Scores["s"].Value) != "NaN" || len(s.Target.Many) != 2 || s.Input.Messages[0].ToolCallID.Many[0] != "c" || s.Events[0].Kind != "later" ||
			s.Events[0].Body != nil || string(s.Events[0].Raw) != `{"event":"later","x":1}` || !bytes.Contains(s.Raw, []byte(`"unknown":[NaN]`)) {
			t.Errorf("%+v", s)
		}
		n := 0
		for _, err := range r.Samples() {
			ok(t, err)
			n++
		}
		rows, err := r.Summaries(1, 5)
		if n2, err2 := r.Len(); n != 2 || n2 != 2 || len(rows) != 1 || err != nil || err2 != nil {
			t.Error(n, n2, rows, err, err2)
		}
		if _, err := r.Sample(IntID(9), 1); !errors.Is(err, ErrNoSample) {
			t.Error(err)
		}
	}
}

func TestCrashed(t *testing.T) {
	row := func(id int, text string) string {
		return fmt.Sprintf(`{"id":%d,"epoch":1,"input":%q,"target":""}`, id, text)
	}
	r := foreign{
		{"_journal/start.json", head + "}"},
		{"_journal/summaries/10.json", "[" + row(1, "ten") + "]"},
		{"_journal/summaries/9.json", "[" + row(2, "nine") + "," + row(1, "nine") + "]"},
		{"_journal/summaries/2.json", "[]"},
	}.open(t, deflate)
	rows, err := r.Summaries(0, 10)
	ok(t, err)
	if r.Header().Status != Started || len(rows) != 2 || rows[0].Input.Text != "nine" || rows[1].Input.Text != "ten" {
		t.Error(r.Header(), rows)
	}
}

// condensed is a sample as Inspect stores it.
const condensed = `{"id":1,"epoch":1,"target":"","input":"tc://k","messages":[{"role":"user","content":[{"type":"text","text":"attachment://k"}]}],
	"metadata":{"attachment://k":"attachment://k","say":"\"attachment://k","none":"attachment://none"},
	"events":[{"event":"model","model":"m","input":[],"input_refs":[[0,1],[0,2]],"call":{"request":{"model":"m"},"response":null,"call_refs":[[0,1]],"call_key":"messages"}},
		{"event":"later","text":"attachment://k"}],
	"attachments":{"k":"long \"text\"\n"},"events_data":{"messages":[{"role":"system","content":"attachment://k"},{"role":"user","content":"b"}],"calls":[{"role":"user","content":"attachment://k"}]}}`

func TestCondensed(t *testing.T) {
	r := foreign{{"header.json", head + "}"}, {"samples/1_epoch_1.json", condensed}}.open(t, deflate)
	s, err := r.Sample(IntID(1), 1)
	ok(t, err)
	const long = "long \"text\"\n"
	m := s.Events[0].Body.(*ModelEvent)
	if s.Input.Text != long || s.Messages[0].Content.String() != long || len(m.Input) != 3 || m.Input[0].Content.Text != long || m.Input[2].Content.Text != "b" {
		t.Errorf("%+v", s)
	}
	if want := `{"model":"m","messages":[{"role":"user","content":"long \"text\"\n"}]}`; string(m.Call.Request) != want {
		t.Errorf("%s", m.Call.Request)
	}
	if want := `{"attachment://k":"long \"text\"\n","say":"\"attachment://k","none":"attachment://none"}`; string(s.Metadata) != want {
		t.Errorf("%s", s.Metadata)
	}
	text, err := s.Resolved()
	ok(t, err)
	var got, want any
	ok(t, json.Unmarshal(text, &got))
	ok(t, json.Unmarshal([]byte(`{"id":1,"epoch":1,"target":"","input":"long \"text\"\n","messages":[{"role":"user","content":[{"type":"text","text":"long \"text\"\n"}]}],
		"metadata":{"attachment://k":"long \"text\"\n","say":"\"attachment://k","none":"attachment://none"},
		"events":[{"event":"model","model":"m","input":[{"role":"system","content":"long \"text\"\n"},{"role":"system","content":"long \"text\"\n"},{"role":"user","content":"b"}],
			"call":{"request":{"model":"m","messages":[{"role":"user","content":"long \"text\"\n"}]},"response":null}},
			{"event":"later","text":"long \"text\"\n"}]}`), &want))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"[[0,3]]", "[[-1,1]]", "[[2,1]]", "[[0]]", "[[0,1,2]]"} {
		if _, err := decodeSample([]byte(strings.Replace(condensed, "[[0,1],[0,2]]", bad, 1))); err == nil {
			t.Error(bad, "was accepted")
		}
	}
}

// TestBombs are small samples that would grow beyond all memory.
func TestBombs(t *testing.T) {
	r := &resolver{attachments: map[string]string{"k": strings.Repeat("x", 1000)}, budget: 100_000}
	if _, err := r.raw([]byte(`[` + strings.Repeat(`"attachment://k",`, 101) + `""]`)); !errors.Is(err, errResolved) {
		t.Error(err)
	}
	pool := strings.Repeat(`{"role":"user"},`, 5000) + `{"role":"user"}`
	text := `{"id":1,"epoch":1,"events":[{"event":"model","input_refs":[` + strings.Repeat("[0,5000],", 500) + `[0,1]]}],"events_data":{"messages":[` + pool + `],"calls":[]}}`
	if _, err := decodeSample([]byte(text)); !errors.Is(err, errResolved) {
		t.Error(err)
	}
	deep := `{"id":1,"epoch":1,"x":` + strings.Repeat("[", 100_000)
	if _, err := decodeSample([]byte(deep)); err == nil || !strings.Contains(err.Error(), "levels deep") {
		t.Error(err)
	}
}

func TestDamaged(t *testing.T) {
	good := foreign{{"header.json", head + "}"}, {"samples/1_epoch_1.json", `{"id":1,"epoch":1}`}, {"samples/2_epoch_1.json", `{"id":2,"epoch":1,"input":3}`}}.bytes(t, deflate)
	path := logPath(t)
	put := func(b []byte) { ok(t, os.WriteFile(path, b, 0o666)) }
	for name, b := range map[string][]byte{
		"no zip directory": nil, "not an Inspect log": []byte("hello"), ".json format": []byte(`{"version":2}`), "no zip": good[:len(good)-40],
		"neither header.json": foreign{{"a", "b"}}.bytes(t, deflate), "header.json: eval: task: byte 28": foreign{{"header.json", `{"version":2,"eval":{"task":1}}`}}.bytes(t, deflate),
		"version 3": foreign{{"header.json", `{"version":3}`}}.bytes(t, deflate),
		"method 1":  bytes.ReplaceAll(good, []byte("\x08\x00\x08\x00"), []byte("\x08\x00\x01\x00")),
	} {
		put(b)
		if r, err := Open(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
			if err == nil {
				r.Close()
			}
		}
	}
	// A sample of another form comes as an error with its name and place, the others still come.
	put(good)
	r := openLog(t, path)
	var faults []string
	n := 0
	for s, err := range r.Samples() {
		if err != nil {
			faults = append(faults, err.Error())
		} else if n++; s.ID != IntID(1) {
			t.Error(s.ID)
		}
	}
	if n != 1 || len(faults) != 1 || !strings.Contains(faults[0], path+": samples/2_epoch_1.json: input: byte 26") {
		t.Error(n, faults)
	}
	// So does one whose bytes have changed.
	text := []byte(`{"id":1,"epoch":1}`)
	plain := foreign{{"header.json", head + "}"}, {"samples/1_epoch_1.json", string(text)}}.bytes(t, stored)
	put(bytes.Replace(plain, text, []byte(`{"id":2,"epoch":1}`), 1))
	if _, err := openLog(t, path).Sample(IntID(1), 1); !errors.Is(err, errChecksum) {
		t.Error(err)
	}
}

func TestSalvage(t *testing.T) {
	path := logPath(t)
	write(t, path, nil, testSample(IntID(1), 1), testSample(IntID(2), 1), testSample(IntID(3), 1))
	whole, err := os.ReadFile(path)
	ok(t, err)
	second := openLog(t, path).members[2]
	ids := func() (ids []string, lost int) {
		r, err := Salvage(path)
		ok(t, err)
		defer r.Close()
		for s, err := range r.Samples() {
			ok(t, err)
			ids = append(ids, s.ID.String())
		}
		return ids, len(r.Lost())
	}
	put := func(b []byte) { ok(t, os.WriteFile(path, b, 0o666)) }
	put(whole[:len(whole)-100])
	if got, lost := ids(); fmt.Sprint(got) != "[1 2 3]" || lost != 0 {
		t.Error("no directory:", got, lost)
	}
	broken := bytes.Clone(whole)
	copy(broken[second.offset+300:], "damage")
	put(broken)
	if got, lost := ids(); fmt.Sprint(got) != "[1 3]" || lost == 0 {
		t.Error("damage:", got, lost)
	}
	put(append([]byte("some text before"), whole[:second.offset+500]...))
	if got, lost := ids(); fmt.Sprint(got) != "[1]" || lost == 0 {
		t.Error("shifted and cut:", got, lost)
	}
	other := foreign{{"header.json", head + "}"}, {"samples/7_epoch_1.json", `{"id":7,"epoch":1}`}}.bytes(t, deflate) // with data descriptors
	put(other[:len(other)-50])
	if got, _ := ids(); fmt.Sprint(got) != "[7]" {
		t.Error("descriptors:", got)
	}
	put(append([]byte("some text before"), whole...)) // that is a zip all the same
	if n, err := openLog(t, path).Len(); n != 3 || err != nil {
		t.Error(n, err)
	}
	put([]byte("nothing"))
	if _, err := Salvage(path); err == nil {
		t.Error("salvaged nothing")
	}
	if _, err := Open(path); because.Hint(err) == "" {
		t.Error("no hint", err)
	}
}

// TestPages asks for pages in any order.
func TestPages(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	for i := range 300 {
		ok(t, w.Sample(testSample(IntID(int64(i%250)), 1))) // 50 of them twice: 50 to 249, then 0 to 49
	}
	ok(t, w.publish(false))
	check := func() {
		r := openLog(t, path)
		for _, page := range [][2]int{{0, 10}, {10, 20}, {100, 1}, {99, 3}, {0, 250}, {249, 5}, {250, 5}, {1000, 5}, {5, 0}} {
			rows, err := r.Summaries(page[0], page[1])
			ok(t, err)
			if len(rows) != max(0, min(page[1], 250-page[0])) {
				t.Error(page, len(rows))
			}
			for i, s := range rows {
				if want := IntID(int64((page[0] + i + 50) % 250)); s.ID != want {
					t.Fatal(page, i, s.ID, want)
				}
			}
		}
		if _, err := r.Summaries(-1, 5); err == nil {
			t.Error("a negative offset")
		}
	}
	check()
	ok(t, w.Finish(testFinish()))
	check()
}
