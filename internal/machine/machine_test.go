package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCores(t *testing.T) {
	if usable, present := Cores(); usable < 1 || present < 1 {
		t.Errorf("got %d of %d cores", usable, present)
	}
}

func TestFreeDisk(t *testing.T) {
	dir := t.TempDir()
	here, err := FreeDisk(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no answer")
	}
	if err != nil || here == 0 {
		t.Fatalf("got %d, %v", here, err)
	}
	if _, err := FreeDisk(filepath.Join(dir, "not", "there", "yet")); err != nil {
		t.Errorf("a folder to be made: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FreeDisk(filepath.Join(file, "below")); err == nil {
		t.Error("a folder below a file: no error")
	}
}

func TestParseMeminfo(t *testing.T) {
	m, err := parseMeminfo(strings.NewReader("MemTotal:       1024 kB\nMemFree: 1 kB\nMemAvailable:   512 kB\n"))
	if err != nil || m != (Memory{Total: 1 << 20, Available: 512 << 10}) {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, bad := range []string{"", "MemTotal: many kB\n", "MemAvailable: 1 kB\n"} {
		if _, err := parseMeminfo(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestContainerLimit(t *testing.T) {
	host := Memory{Total: 1000, Available: 800}
	tests := []struct {
		limit, used uint64
		want        Memory
	}{
		{0, 0, host},
		{2000, 100, host},
		{500, 100, Memory{500, 400}},
		{500, 600, Memory{500, 0}},
		{900, 10, Memory{900, 800}},
	}
	for _, test := range tests {
		if got := host.limited(test.limit, test.used); got != test.want {
			t.Errorf("limit %d, used %d: got %+v, want %+v", test.limit, test.used, got, test.want)
		}
	}
}

func TestReadCgroup(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if limit, used := readCgroup(dir); limit != 0 || used != 0 {
		t.Errorf("no group: got %d, %d", limit, used)
	}
	write("memory.max", "4096\n")
	write("memory.current", "1024\n")
	if limit, used := readCgroup(dir); limit != 4096 || used != 1024 {
		t.Errorf("got %d, %d", limit, used)
	}
	write("memory.max", "max\n")
	if limit, _ := readCgroup(dir); limit != 0 {
		t.Errorf("no limit: got %d", limit)
	}
}
