package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
)

// A Mapping gives the bytes of a file: memory-mapped where the system can, so that no more than what is used is read
// and other processes share it; read at their place elsewhere. Its methods may be called from many goroutines.
type Mapping struct {
	path string
	size int64

	mu   sync.RWMutex // held for writing by Close, so that no reader loses the map under its hands
	data []byte       // nil where the file is read instead
	file *os.File     // nil where the file is mapped
}

// errClosed is the error of a read after Close.
var errClosed = errors.New("the file is closed")

// Map opens a regular file for reading.
func Map(path string) (*Mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m := &Mapping{path: path, size: st.Size(), file: f}
	if m.data = mapFile(f, m.size); m.data != nil {
		m.file = nil // the map outlives the descriptor
		if err := f.Close(); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

// Path is the name that the file was opened under.
func (m *Mapping) Path() string { return m.path }

// Size is the length of the file in bytes when it was opened.
func (m *Mapping) Size() int64 { return m.size }

// Close gives the file back. Reads that are under way end first; later ones are errors.
func (m *Mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, file := m.data, m.file
	m.data, m.file = nil, nil
	switch {
	case data != nil:
		return unmap(data)
	case file != nil:
		return file.Close()
	}
	return nil
}

// ReadAt copies bytes as [io.ReaderAt] says.
func (m *Mapping) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read at byte %d", at)
	}
	n := int(max(0, min(int64(len(p)), m.size-at)))
	if n > 0 {
		if err := m.Use(at, n, func(b []byte) { copy(p, b) }); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Use calls fn with the n bytes from byte at of the file. They are valid, and must not be written to, until fn returns.
func (m *Mapping) Use(at int64, n int, fn func(b []byte)) error {
	if at < 0 || n < 0 || at > m.size-int64(n) {
		return fmt.Errorf("bytes %d to %d are outside of the file's %d", at, at+int64(n), m.size)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	switch {
	case m.data != nil:
		return guard(func() { fn(m.data[at : at+int64(n) : at+int64(n)]) })
	case m.file == nil:
		return errClosed
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(m.file, at, int64(n)), b); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", n, at, err)
	}
	fn(b)
	return nil
}

// guard runs fn on mapped memory. If the file was truncated after it was mapped, the processor faults on the pages
// that are gone; that becomes an error, where it would end the program otherwise.
func guard(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // runtime's memory fault
			err = errors.New("the file was truncated while it was being read")
		default:
			panic(r)
		}
	}()
	fn()
	return nil
}
