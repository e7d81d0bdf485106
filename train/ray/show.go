package ray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/storage"
)

// OutOf gives the URI of a job's results, empty for a job that is not because's.
func OutOf(d Details) string { return d.Metadata[metaOut] }

// Show makes a sink that reports steps as training in this process does, and hands warnings on.
func Show(report because.Progress, warn func(message string)) Sink {
	steps := 0
	return func(events []Event) error {
		for _, e := range events {
			switch {
			case e.Kind == EventStart:
				steps = e.Steps
				report(float64(e.Step), float64(steps), "steps", "")
			case e.Kind == EventStep && e.Metric != nil:
				m := e.Metric
				note := fmt.Sprintf("loss %.4f, %.0f tokens/s", m.Loss, m.Rate)
				if m.Reward != nil {
					note = fmt.Sprintf("reward %.3f, %.0f tokens/s", *m.Reward, m.Rate)
				}
				report(float64(m.Step), float64(steps), "steps", note)
			case e.Kind == EventWarning:
				warn(e.Message)
			}
		}
		return nil
	}
}

// sendable is how large a file may be to be sent along with a job, in bytes.
const sendable = 20 << 20

// PutData gives the name under which a file is sent along with a job, or the URI under which it was put into the storage, and its SHA-256.
func PutData(ctx context.Context, file, under string) (where, sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", "", because.E("send data", file, err, "")
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", "", because.E("send data", file, err, "")
	}
	if n <= sendable {
		return "data.jsonl", hex.EncodeToString(h.Sum(nil)), nil
	}
	store, err := storage.Open(ctx, under)
	if err != nil {
		return "", "", err
	}
	return store.PutBlob(ctx, file)
}

// PutModel puts a checkpoint's folder into a storage, below the given URI, unless it is there already, and gives its own URI. It is named after its contents.
func PutModel(ctx context.Context, dir, under string, report because.Progress) (string, error) {
	m, err := storage.Describe(ctx, dir)
	if err != nil {
		return "", err
	}
	sum, err := m.Sum()
	if err != nil {
		return "", because.E("upload model", dir, err, "")
	}
	root, err := storage.Open(ctx, under)
	if err != nil {
		return "", err
	}
	store, err := root.Join("models/" + sum[:16])
	if err != nil {
		return "", err
	}
	if _, err := store.PutDir(ctx, dir, report); err != nil {
		return "", err
	}
	return store.URI(""), nil
}
