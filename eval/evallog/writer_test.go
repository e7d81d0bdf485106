package evallog

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestConcurrent writes from many goroutines while the log is brought up to date and read.
func TestConcurrent(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart(), Every(time.Millisecond))
	ok(t, err)
	var wg sync.WaitGroup
	const workers, each = 8, 40
	for g := range workers {
		wg.Go(func() {
			for i := range each {
				if err := w.Sample(testSample(IntID(int64(g*each+i)), 1)); err != nil {
					t.Error(err)
				}
				if err := w.Sample(testSample(StringID("again"), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			r, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			rows, err := r.Summaries(0, 1000)
			if n, err2 := r.Len(); err != nil || err2 != nil || n != len(rows) {
				t.Error(n, len(rows), err, err2)
			}
			r.Close()
		}
	})
	wg.Wait()
	n := 0
	for _, err := range w.Summaries() {
		ok(t, err)
		n++
	}
	if n != workers*each+1 {
		t.Error(n)
	}
	ok(t, w.Finish(testFinish()))
	r := openLog(t, path)
	if n, err := r.Len(); err != nil || n != workers*each+1 {
		t.Error(n, err)
	}
}

// TestZip64 writes more members than the old zip format has room for, and reads them with the standard library too.
func TestZip64(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	const n = 70_000
	s := Sample{Epoch: 1, Input: Input{Text: "x"}, Target: One("y"), UUID: "u"}
	for i := range n {
		s.ID = IntID(int64(i))
		ok(t, w.Sample(&s))
	}
	ok(t, w.Finish(testFinish()))
	std, err := zip.OpenReader(path)
	ok(t, err)
	defer std.Close()
	r := openLog(t, path)
	if len(std.File) != len(r.members) || len(std.File) < n {
		t.Fatal(len(std.File), len(r.members))
	}
	for i, f := range std.File {
		if f.Name != r.members[i].name || int64(f.UncompressedSize64) != r.members[i].size {
			t.Fatal(f.Name, r.members[i])
		}
	}
	rows, err := r.Summaries(n-2, 10)
	ok(t, err)
	if len(rows) != 2 || rows[1].ID != IntID(n-1) {
		t.Error(rows)
	}
	if s, err := r.Sample(IntID(n/2), 1); err != nil || s.ID != IntID(n/2) {
		t.Error(err)
	}
}

// TestFarOffsets writes behind 4 GiB of nothing, where offsets need zip64.
func TestFarOffsets(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	ok(t, err)
	defer f.Close()
	p := new(packer)
	p.raw = []byte(`{"version":2,"eval":{"task":"t"},"plan":{}}`)
	m, b, err := p.pack(startName, deflate)
	ok(t, err)
	m.offset = 5 << 30
	_, err = f.WriteAt(b, m.offset)
	ok(t, err)
	at := m.offset + int64(len(b))
	directory := appendCentral(nil, &m)
	_, err = f.WriteAt(appendEnd(directory, 1, int64(len(directory)), at), at)
	ok(t, err)
	if r := openLog(t, f.Name()); r.Header().Eval.Task != "t" {
		t.Error(r.Header())
	}
	std, err := zip.OpenReader(f.Name())
	ok(t, err)
	defer std.Close()
	in, err := std.File[0].Open()
	ok(t, err)
	if text, err := io.ReadAll(in); err != nil || string(text) != string(p.raw) {
		t.Error(string(text), err)
	}
}

// full is a work file on a disk with little room.
type full struct {
	*os.File
	room int64
}

func (f *full) WriteAt(p []byte, off int64) (int, error) {
	n := min(int64(len(p)), max(0, f.room-off))
	k, err := f.File.WriteAt(p[:n], off)
	if err == nil && n < int64(len(p)) {
		err = syscall.ENOSPC
	}
	return k, err
}

func TestDiskFull(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	ok(t, w.Sample(testSample(IntID(1), 1)))
	room := func(bytes int64) {
		w.mu.Lock()
		w.file = &full{w.part, w.size + bytes}
		w.mu.Unlock()
	}
	room(500)
	err = w.Sample(testSample(IntID(2), 1))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "2, epoch 1") {
		t.Error(err)
	}
	room(500)
	if err := w.Finish(testFinish()); !errors.Is(err, syscall.ENOSPC) {
		t.Error("finish", err)
	}
	room(1 << 20)
	ok(t, w.Sample(testSample(IntID(3), 1)))
	room(600) // enough for the journal, not for what follows
	if err := w.Finish(testFinish()); !errors.Is(err, syscall.ENOSPC) {
		t.Error("finish", err)
	}
	room(1 << 20)
	ok(t, w.Close())
	w, done, err := Resume(path, testStart())
	ok(t, err)
	if d := cmp.Diff(Done{Key{IntID(1), 1}: false, Key{IntID(3), 1}: false}, done, noRaw); d != "" {
		t.Error(d)
	}
	ok(t, w.Finish(testFinish()))
	if n, err := openLog(t, path).Len(); n != 2 || err != nil {
		t.Error(n, err)
	}
}

func TestBadSamples(t *testing.T) {
	path := logPath(t)
	w, err := Create(path, testStart())
	ok(t, err)
	defer w.Close()
	for name, change := range map[string]func(s *Sample){
		"id of at least one":                 func(s *Sample) { s.ID = StringID("") },
		"none of them NUL":                   func(s *Sample) { s.ID = StringID("a\x00b") },
		"epoch from 1":                       func(s *Sample) { s.Epoch = 0 },
		"metadata: ":                         func(s *Sample) { s.Metadata = []byte(`{"a":}`) },
		"scores: judge: value: ":             func(s *Sample) { s.Scores["judge"] = Score{Value: []byte(`1 2`)} },
		"events: [0]: the event has no body": func(s *Sample) { s.Events = []Event{{}} },
		"is too large":                       func(s *Sample) { s.ID = StringID(strings.Repeat("x", 70000)) },
	} {
		s := testSample(IntID(1), 1)
		change(s)
		if err := w.Sample(s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Finish(Finish{Status: "done"}); err == nil {
		t.Error("an unknown status")
	}
}

// TestHeaderBytes pins how a header is written.
func TestHeaderBytes(t *testing.T) {
	path := logPath(t)
	write(t, path, nil, testSample(IntID(1), 1))
	r := openLog(t, path)
	got := string(r.Header().Raw) + "\n"
	want, err := os.ReadFile("testdata/header.json")
	if err != nil || got != string(want) {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	// The same log has the same bytes.
	again := logPath(t)
	write(t, again, nil, testSample(IntID(1), 1))
	a, err1 := os.ReadFile(path)
	b, err2 := os.ReadFile(again)
	if err1 != nil || err2 != nil || string(a) != string(b) {
		t.Error("two logs differ", err1, err2)
	}
}

// TestMemory counts what the writer keeps of a sample.
func TestMemory(t *testing.T) {
	x := newIndex()
	const n = 100_000
	for i := range n {
		x.add(&member{name: fmt.Sprintf("samples/%d_epoch_1.json", i)})
	}
	// 40 bytes for the entry, the name, and its place in the map; slices and maps grow by doubling at worst.
	if bytes := cap(x.entries)*40 + cap(x.names) + n*2*16; bytes > 160*n {
		t.Error(bytes / n)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		if got, there := x.find(fmt.Sprintf("samples/%d_epoch_1.json", i)); !there || got != i {
			t.Error(i, got, there)
		}
	}
}
