package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/because-lab/because"
)

// Result is what one computation produced.
type Result struct {
	Key      string            `json:"key"`      // hash of Payload
	Payload  json.RawMessage   `json:"payload"`  // the inputs that were hashed, canonical JSON
	Artifact string            `json:"artifact"` // ID of the output
	Output   Manifest          `json:"output"`   // its files
	By       map[string]string `json:"by"`       // who made it, when, where; no part of its identity
}

// envelope is the form of a result on disk: the sum guards the exact bytes of the result.
type envelope struct {
	Result json.RawMessage `json:"result"`
	Sum    string          `json:"sum"`
}

// Record notes that the computation with this key and payload (see Key) produced an artifact that is in the store. It
// replaces what was noted before; a different artifact under an equal key is reported to Options.Warn, since
// computations are meant to be reproducible. The process must hold the lock.
func (s *Store) Record(key string, payload []byte, artifact string, by map[string]string) error {
	const op = "record result"
	if err := s.writable(op); err != nil {
		return err
	}
	if keyOf(payload) != key {
		return because.E(op, short(key), errors.New("the key is not the payload's hash"), "")
	}
	m, err := s.Manifest(artifact)
	if err != nil {
		return err
	}
	if old, err := s.Result(key); err == nil && old.Artifact != artifact {
		s.opt.Warn(because.E(op, by["step"], fmt.Errorf("equal inputs (key %s) gave artifact %s before and %s now",
			short(key), short(old.Artifact), short(artifact)), "the step is not reproducible"))
	}
	inner, err := json.Marshal(Result{Key: key, Payload: payload, Artifact: artifact, Output: m, By: by})
	if err != nil {
		return because.E(op, short(key), err, "")
	}
	sum := sha256.Sum256(inner)
	text := fmt.Appendf(nil, "{\"result\":%s,\"sum\":%q}\n", inner, hex.EncodeToString(sum[:]))
	return s.writeFile(s.resultPath(key), text)
}

// Result reads what is noted under a key, without looking at the artifact. The error is fs.ErrNotExist where there is
// nothing, and a DamageError where the entry is altered.
func (s *Store) Result(key string) (*Result, error) {
	if !isHash(key) {
		return nil, because.E("read result", key, errors.New("not a key"), "")
	}
	path := s.resultPath(key)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, because.E("read result", short(key), err, "")
	case err != nil:
		return nil, readFault(path, err)
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, damage(path, "%v", err)
	}
	if sum := sha256.Sum256(e.Result); hex.EncodeToString(sum[:]) != e.Sum {
		return nil, damage(path, "its sum does not match")
	}
	var r Result
	if err := json.Unmarshal(e.Result, &r); err != nil {
		return nil, damage(path, "%v", err)
	}
	if r.Key != key || keyOf(r.Payload) != key || !isHash(r.Artifact) {
		return nil, damage(path, "it belongs to another key")
	}
	return &r, nil
}

// Lookup gives the artifact that the computation with this key produced. An entry whose result or artifact is damaged
// counts as absent and is reported to Options.Warn. Sizes and the contents of files up to 1 MiB are always compared;
// full compares every byte. The error tells of files that can't be read for reasons that a rebuild would not cure.
func (s *Store) Lookup(ctx context.Context, key string, full bool) (artifact string, ok bool, err error) {
	r, err := s.Result(key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err == nil {
		err = s.check(ctx, r.Artifact, full || s.opt.Verify)
	}
	switch {
	case isDamage(err):
		s.opt.Warn(because.E("look up result", short(key), err, "it will be rebuilt"))
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return r.Artifact, true, nil
}

// Payload gives the inputs that were hashed into a key, canonical JSON; ok is false where nothing whole is noted.
func (s *Store) Payload(key string) (payload []byte, ok bool, err error) {
	r, err := s.Result(key)
	switch {
	case errors.Is(err, fs.ErrNotExist), isDamage(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return r.Payload, true, nil
}
