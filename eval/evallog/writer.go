package evallog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/because-lab/because"
)

// Names of a log's members.
const (
	startName      = "_journal/start.json"
	journalPrefix  = "_journal/summaries/"
	samplesPrefix  = "samples/"
	summariesName  = "summaries.json"
	reductionsName = "reductions.json"
	headerName     = "header.json"
)

// journalSize is the size in bytes at which the summaries that have gathered go into the work file: some hundred of them.
const journalSize = 128 << 10

var errClosed = errors.New("the log is closed")

// Writer writes a log. Its methods can be called from many goroutines at once.
type Writer struct {
	path  string
	start Start
	set   settings
	dir   durable

	mu       sync.Mutex // guards what follows
	part     *os.File   // the work file
	file     partFile   // what it is read and written through; nil once closed
	size     int64      // of the work file's whole members; what may lie behind is torn
	index    *index
	journals []int  // entries that hold rows of summaries, in order
	pending  []byte // rows that are not in the work file yet: "[row,row"
	rows     uint32 // rows so far, pending ones included
	borrowed bool   // made from a finished log, and nothing added to it yet
	ending   bool   // Finish is at work: nothing can be added

	publishing sync.Mutex // held by whoever publishes
	shown      int64      // size of the work file that the log shows
	shownAt    time.Time
	cost       time.Duration // of publishing last

	stop chan struct{}
	loop sync.WaitGroup
}

// partFile is a work file.
type partFile interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// settings are what Options set.
type settings struct {
	method uint16
	every  time.Duration
}

// Option changes how a log is written; none changes what it says.
type Option func(*settings)

// WithZstd compresses members with Zstandard, as Inspect does. The default is deflate, which every unzip reads; see BenchmarkPack for
// what the two cost.
func WithZstd() Option { return func(s *settings) { s.method = zstd93 } }

// Every sets how often the log is brought up to date at most, unless it grows fast; the default is 5 seconds.
func Every(d time.Duration) Option { return func(s *settings) { s.every = d } }

func partPath(path string) string { return path + ".part" }

// Create begins a log, in a folder that exists. Its name should end in .eval. It refuses to overwrite one; ids and the time of creation
// are filled in where start has none.
func Create(path string, start Start, options ...Option) (*Writer, error) {
	w, err := create(path, start, options)
	if err != nil {
		return nil, because.E("create log", path, err, hintFor(err))
	}
	return w, nil
}

// hintFor says what to do about an error of Create or Resume.
func hintFor(err error) string {
	switch {
	case errors.Is(err, errLocked):
		return "wait for the other process to end, or choose another file"
	case errors.Is(err, os.ErrExist):
		return "resume it, or choose another file"
	case errors.Is(err, errDiffers):
		return "run with the settings that the log began with, or choose another file"
	}
	return ""
}

func create(path string, start Start, options []Option) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("the log %w", os.ErrExist)
	}
	f, err := openPart(partPath(path), os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("the work file of a run that has not ended %w: %s", os.ErrExist, f.Name()))
	}
	start.fill(time.Now())
	w := newWriter(path, start, f, options)
	err = w.putJSON(startName, func(b []byte) ([]byte, error) { return encode(b, &start) })
	if err == nil {
		err = w.publish(false)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	w.run()
	return w, nil
}

func newWriter(path string, start Start, f *os.File, options []Option) *Writer {
	w := &Writer{path: path, start: start, part: f, file: f, index: newIndex(), stop: make(chan struct{}), set: settings{method: deflate, every: 5 * time.Second}}
	for _, o := range options {
		o(&w.set)
	}
	w.dir = durable(filepath.Dir(path))
	return w
}

var errLocked = errors.New("another process writes this log")

// openPart opens a work file and makes this process its only writer.
func openPart(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o666)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w (%w)", errLocked, err)
	}
	// The file may have been finished and renamed since it was opened: such a lock guards nothing.
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, errLocked
	}
	return f, nil
}

// Start gives what the log began with; of a resumed log, what it began with at first.
func (w *Writer) Start() Start { return w.start }

// sampleName gives the name of a sample's member.
func sampleName(id ID, epoch int) (string, error) {
	if id.text == "" || strings.ContainsRune(id.text, 0) || epoch < 1 {
		return "", fmt.Errorf("sample %q, epoch %d: an id of at least one character, none of them NUL, and an epoch from 1 are needed", id.text, epoch)
	}
	return samplesPrefix + strings.ToValidUTF8(id.text, "\uFFFD") + "_epoch_" + strconv.Itoa(epoch) + ".json", nil
}

// Sample adds a finished sample and its summary. On return it is in the work file and outlives a kill. A sample of the same id
// and epoch takes the earlier one's place. Where s, its messages or its events have no id, one is written; s stays as it is.
func (w *Writer) Sample(s *Sample) error {
	err := w.sample(s)
	if err != nil {
		return because.E("write sample", fmt.Sprintf("%s, epoch %d, to %s", s.ID, s.Epoch, w.path), err, "what the log has so far is kept; free some space if the disk is full, and resume")
	}
	return nil
}

func (w *Writer) sample(s *Sample) error {
	name, err := sampleName(s.ID, s.Epoch)
	if err != nil {
		return err
	}
	s = s.filled(w.start.Eval.EvalID)
	p := packers.Get().(*packer)
	defer p.release()
	if p.raw, err = encode(p.raw[:0], s); err != nil {
		return err
	}
	m, b, err := p.pack(name, w.set.method)
	if err != nil {
		return err
	}
	summary := Summarize(s)
	if p.raw, err = encode(p.raw[:0], &summary); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i, err := w.put(&m, b)
	if err != nil {
		return err
	}
	w.addRow(i, p.raw)
	if len(w.pending) > journalSize {
		return w.flush()
	}
	return nil
}

// put appends a whole member to the work file, in one write. The caller holds mu.
func (w *Writer) put(m *member, b []byte) (int, error) {
	switch {
	case w.file == nil:
		return 0, errClosed
	case w.ending:
		return 0, errors.New("the log is being finished")
	case w.index.full(m.name):
		return 0, errors.New("the log is full")
	}
	if n, err := w.file.WriteAt(b, w.size); err != nil || n < len(b) {
		return 0, errors.Join(err, fmt.Errorf("%d of %d bytes written", n, len(b)))
	}
	m.offset = w.size
	w.size += int64(len(b))
	w.borrowed = false
	return w.index.add(m), nil
}

// addRow notes the summary of the sample in entry i. The caller holds mu.
func (w *Writer) addRow(i int, row []byte) {
	open := byte(',')
	if len(w.pending) == 0 {
		open = '['
	}
	w.pending = append(append(w.pending, open), row...)
	w.rows++
	w.index.entries[i].row = w.rows
}

// flush puts the pending rows into the work file. The caller holds mu.
func (w *Writer) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	p := packers.Get().(*packer)
	defer p.release()
	p.raw = append(append(p.raw[:0], w.pending...), ']')
	m, b, err := p.pack(journalPrefix+strconv.Itoa(len(w.journals)+1)+".json", w.set.method)
	if err != nil {
		return err
	}
	i, err := w.put(&m, b)
	if err != nil {
		return err
	}
	w.journals = append(w.journals, i)
	w.pending = w.pending[:0]
	return nil
}

// putJSON appends a member whose text f makes.
func (w *Writer) putJSON(name string, f func(b []byte) ([]byte, error)) error {
	p := packers.Get().(*packer)
	defer p.release()
	var err error
	if p.raw, err = f(p.raw[:0]); err != nil {
		return err
	}
	m, b, err := p.pack(name, w.set.method)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.put(&m, b)
	return err
}

// Close ends writing. A log that Finish has not ended stays as one of a run in progress and can be resumed.
func (w *Writer) Close() error {
	w.halt()
	w.mu.Lock()
	closed, borrowed := w.file == nil, w.borrowed
	w.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if !borrowed {
		err = w.publish(true)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err = errors.Join(err, w.file.Truncate(w.size), w.file.Sync(), w.file.Close())
	w.file = nil
	if borrowed {
		err = errors.Join(err, os.Remove(partPath(w.path))) // the finished log still says all of it
	}
	if err != nil {
		return because.E("close log", w.path, err, "")
	}
	return nil
}

// halt stops the goroutine that publishes and waits for it.
func (w *Writer) halt() {
	w.mu.Lock()
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.mu.Unlock()
	w.loop.Wait()
}
