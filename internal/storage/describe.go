package storage

import (
	"context"

	"github.com/because-lab/because"
)

// Describe gives the manifest of a folder of this machine, as PutDir would store it.
func Describe(ctx context.Context, dir string) (Manifest, error) {
	m, err := describeDir(ctx, dir)
	if err != nil {
		return Manifest{}, because.E("describe folder", dir, err, "")
	}
	return m, nil
}

// Sum is the SHA-256 of the manifest, in hex: it names what a folder holds.
func (m Manifest) Sum() (string, error) {
	text, err := m.Encode()
	if err != nil {
		return "", err
	}
	return sumOf(text), nil
}

// SumOf is the SHA-256 of a text, in hex, as Put takes it.
func SumOf(text []byte) string { return sumOf(text) }
