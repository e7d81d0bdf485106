package store

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// checkpointSize is that of a small model's weights, in bytes.
const checkpointSize = 2 << 20

// benchStore gives a locked store.
func benchStore(b *testing.B) *Store {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.TryLock(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Unlock() })
	return s
}

// checkpoint gives a fill function for weights that differ by n, and a tokenizer that never differs.
func checkpoint(n int) func(string) error {
	return func(dir string) error {
		weights := binary.LittleEndian.AppendUint64(bytes.Repeat([]byte{7}, checkpointSize-8), uint64(n))
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), bytes.Repeat([]byte("t"), 50<<10), 0o600); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "model.safetensors"), weights, 0o600)
	}
}

func BenchmarkPutCheckpoint(b *testing.B) {
	s := benchStore(b)
	b.SetBytes(checkpointSize)
	for n := 0; b.Loop(); n++ {
		if _, err := s.Put(b.Context(), checkpoint(n)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenCheckpoint(b *testing.B) {
	s := benchStore(b)
	id, err := s.Put(b.Context(), checkpoint(0))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(checkpointSize)
	for b.Loop() {
		if _, err := s.Open(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupCheckpoint(b *testing.B) {
	s := benchStore(b)
	id, err := s.Put(b.Context(), checkpoint(0))
	if err != nil {
		b.Fatal(err)
	}
	key, payload, err := s.Key("inputs")
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Record(key, payload, id, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok, err := s.Lookup(b.Context(), key, false); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
