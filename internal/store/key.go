package store

import (
	"crypto/sha256"
	"encoding/hex"
)

// keySalt separates keys of this version of the scheme from any other use of SHA-256.
const keySalt = "because key 1\n"

// Key gives the key of a computation, the SHA-256 of its canonically encoded inputs in hexadecimal, together with the
// encoding itself. It fails where Encode does.
func (s *Store) Key(inputs any) (key string, payload []byte, err error) {
	payload, err = Encode(inputs)
	if err != nil {
		return "", nil, err
	}
	return keyOf(payload), payload, nil
}

// keyOf hashes an encoded payload.
func keyOf(payload []byte) string {
	h := sha256.New()
	h.Write([]byte(keySalt))
	h.Write(payload)
	return hex.EncodeToString(h.Sum(nil))
}
