package model

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// answerLog keeps answers in files that only grow, NUMBER.answers: each process that adds answers has one of its own, so that processes
// share a folder without locks. An index in memory, some 60 bytes an answer, says where each lies; it is read from the records' heads
// when the log is opened. Of several answers under one key the last counts.
//
// The other form that was tried, a file for each answer under folders of its hash's digits, spent most of its time on creating files: several
// tenths of a millisecond of CPU time each on one machine's disk, where an append with all around it took less than 0.05 ms. It also
// takes a block of disk for each answer.
//
// A record is added by one write, and is not synced: that would cost more time than the rest of a request's work. What a crash leaves
// half-written, and whatever else is damaged, fails its checksum and counts as missing; the records after it are found by their
// mark. No file is kept open.
type answerLog struct {
	dir string

	mu    sync.Mutex
	index map[shortKey]place
	files []string // of the index's places
	own   int      // file that is added to; -1: none yet
}

// shortKey is enough of a key to find a record, which holds all of it.
type shortKey [16]byte

// place is where a record lies.
type place struct {
	file   int32
	length uint32 // bytes of its content
	offset int64
}

// A record is its head and its content. The head is a mark, the content's length, the key, the first half of the SHA-256 of key and content,
// and a CRC-32C of all this, by which a head is told from what only looks like one.
const (
	recordMark = "\x00\xfbaA"
	headSize   = 4 + 4 + 32 + 16 + 4
	mostBytes  = 1 << 28 // of a content
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOf(key [32]byte, content []byte) []byte {
	h := sha256.New()
	h.Write(key[:])
	h.Write(content)
	return h.Sum(nil)[:16]
}

// head writes the head of a record.
func head(key [32]byte, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(recordMark), uint32(len(content)))
	b = append(append(b, key[:]...), sumOf(key, content)...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHead gives what a head says, and whether it is one.
func readHead(b []byte) (key [32]byte, length uint32, ok bool) {
	if len(b) < headSize || string(b[:4]) != recordMark || binary.LittleEndian.Uint32(b[headSize-4:]) != crc32.Checksum(b[:headSize-4], castagnoli) {
		return key, 0, false
	}
	length = binary.LittleEndian.Uint32(b[4:])
	return [32]byte(b[8:40]), length, length <= mostBytes
}

// openLog reads the index of a folder. A folder that does not exist is empty.
func openLog(dir string) (*answerLog, error) {
	l := &answerLog{dir: dir, index: map[shortKey]place{}, own: -1}
	entries, err := os.ReadDir(dir) // sorted, and numbers have leading zeros
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".answers" {
			continue
		}
		if err := l.scan(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// scan adds a file's records to the index.
func (l *answerLog) scan(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	l.files = append(l.files, path)
	r := bufio.NewReaderSize(f, 1<<20)
	offset := int64(0)
	for {
		b, err := r.Peek(headSize)
		if len(b) < headSize {
			if err == io.EOF {
				return nil
			}
			return err
		}
		skip := headSize
		if key, length, ok := readHead(b); ok {
			l.index[shortKey(key[:16])] = place{int32(len(l.files) - 1), length, offset}
			skip += int(length)
		} else if skip = bytes.Index(b[1:], []byte(recordMark[:1])) + 1; skip == 0 {
			skip = headSize
		}
		n, err := r.Discard(skip)
		if offset += int64(n); err == io.EOF {
			return nil // the last record is cut, which reading it will tell
		} else if err != nil {
			return err
		}
	}
}

// errDamaged marks a record whose checksum is wrong.
var errDamaged = errors.New("the answer is damaged")

// read gives the content that is kept under a key, fs.ErrNotExist, or errDamaged; what is damaged is no longer found.
func (l *answerLog) read(key [32]byte) ([]byte, error) {
	l.mu.Lock()
	at, ok := l.index[shortKey(key[:16])]
	path := ""
	if ok {
		path = l.files[at.file]
	}
	l.mu.Unlock()
	if !ok {
		return nil, fs.ErrNotExist
	}
	content, err := readRecord(path, at, key)
	if err != nil {
		l.mu.Lock()
		if l.index[shortKey(key[:16])] == at {
			delete(l.index, shortKey(key[:16]))
		}
		l.mu.Unlock()
		return nil, fmt.Errorf("%s, byte %d: %w", path, at.offset, err)
	}
	return content, nil
}

// readRecord reads and checks one record.
func readRecord(path string, at place, key [32]byte) (content []byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file is gone", errDamaged) // not the answer that never was
	} else if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, headSize+int(at.length))
	if _, err := f.ReadAt(b, at.offset); err == io.EOF {
		return nil, fmt.Errorf("%w: the file is cut", errDamaged)
	} else if err != nil {
		return nil, err
	}
	content = b[headSize:]
	found, length, ok := readHead(b)
	if !ok || found != key || length != at.length || !bytes.Equal(b[40:56], sumOf(key, content)) {
		return nil, errDamaged
	}
	return content, nil
}

// write adds a content under a key.
func (l *answerLog) write(key [32]byte, content []byte) error {
	if len(content) > mostBytes {
		return fmt.Errorf("it has %d bytes, more than %d", len(content), mostBytes)
	}
	record := append(head(key, content), content...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.own < 0 {
		if err := l.create(); err != nil {
			return err
		}
	}
	offset, err := appendTo(l.files[l.own], record)
	if err != nil {
		l.own = -1 // what follows half a record would be hard to find
		return err
	}
	l.index[shortKey(key[:16])] = place{int32(l.own), uint32(len(content)), offset}
	return nil
}

// create makes this process's file, with a number higher than all that there are. The lock must be held.
func (l *answerLog) create() error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	n := 1
	if len(l.files) > 0 {
		if _, err := fmt.Sscanf(filepath.Base(l.files[len(l.files)-1]), "%d.answers", &n); err != nil {
			return fmt.Errorf("%s is not called NUMBER.answers", l.files[len(l.files)-1])
		}
		n++
	}
	for ; ; n++ {
		path := filepath.Join(l.dir, fmt.Sprintf("%06d.answers", n))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue // another process was faster
		} else if err != nil {
			return err
		}
		l.own, l.files = len(l.files), append(l.files, path)
		return f.Close()
	}
}

// appendTo adds a record to the end of a file that must be there, and gives where it begins.
func appendTo(path string, record []byte) (offset int64, err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if offset, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	_, err = f.Write(record)
	return offset, err
}
