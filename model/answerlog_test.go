package model

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file of answers holds, it can be opened; each record in it is given back whole or is damaged; and more can be added.
func FuzzAnswerLog(f *testing.F) {
	one, two := [32]byte{1}, [32]byte{2}
	a := append(head(one, []byte("first")), "first"...)
	b := append(head(two, []byte("second")), "second"...)
	f.Add(append(append([]byte(nil), a...), b...), 5)
	f.Add(append([]byte(recordMark+"junk"), b...), 1)
	f.Add(append(append([]byte(nil), a[:len(a)-2]...), b...), 0)
	f.Add([]byte(nil), 0)
	f.Fuzz(func(t *testing.T, text []byte, flip int) {
		if flip > 0 && flip < len(text) {
			text[flip] ^= 1
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "000007.answers"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := openLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range [][32]byte{one, two} {
			_, indexed := l.index[shortKey(key[:16])]
			got, err := l.read(key)
			switch {
			case err == nil && !bytes.Contains(text, append(head(key, got), got...)):
				t.Errorf("%q is not in the file", got)
			case err != nil && indexed && !errors.Is(err, errDamaged):
				t.Errorf("%v", err)
			case err != nil && bytes.Equal(text, append(append([]byte(nil), a...), b...)):
				t.Errorf("of a whole file: %v", err)
			}
		}
		if err := l.write(one, []byte("again")); err != nil {
			t.Fatal(err)
		}
		l, err = openLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.read(one); string(got) != "again" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "000008.answers")); err != nil {
			t.Error(err)
		}
	})
}
