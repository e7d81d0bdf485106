package quality

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/because-lab/because"
)

// Sum gives the SHA-256 of a file, in hexadecimal, by which a card or a page knows whose records it is about.
func Sum(path string) (string, error) {
	h := sha256.New()
	f, err := os.Open(path)
	if err == nil {
		_, err = io.Copy(h, f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", because.E("read file", path, err, "")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Draw chooses limit of n rows at random by a seed and gives them in the file's order, counted from 0; all where limit is 0 or n or more.
// Each row has its own draw, so a larger limit keeps what a smaller one chose, and what is paid for it.
func Draw(n, limit int, seed uint64) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	if limit <= 0 || limit >= n {
		return rows
	}
	lots := make([][sha256.Size]byte, n)
	for i := range lots {
		lots[i] = sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte("draw rows\x00"), seed), uint64(i)))
	}
	slices.SortFunc(rows, func(a, b int) int { return bytes.Compare(lots[a][:], lots[b][:]) })
	rows = rows[:limit]
	slices.Sort(rows)
	return rows
}
