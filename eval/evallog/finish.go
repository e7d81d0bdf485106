package evallog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"

	"github.com/klauspost/compress/flate"

	"github.com/because-lab/because"
)

// Finish is how an evaluation ended.
type Finish struct {
	Status     Status
	Results    *Results // nil: none could be computed
	Stats      Stats
	Error      *Error // why it ended early
	Reductions []Reductions
}

// Finish completes the log and closes it. After an error the log is as before, still open: Finish can be called again, or
// Close, to resume later.
func (w *Writer) Finish(f Finish) error {
	switch f.Status {
	case Success, Cancelled, Failed:
	default:
		return because.E("finish log", w.path, fmt.Errorf("%q is not a status to end with", f.Status), "")
	}
	w.halt()
	w.publishing.Lock()
	defer w.publishing.Unlock()
	err := w.finish(f)
	if err != nil {
		return because.E("finish log", w.path, err, "all samples are kept; resume to try again")
	}
	return nil
}

func (w *Writer) finish(f Finish) error {
	w.mu.Lock()
	file, err := w.file, errClosed
	if file != nil {
		err = w.flush()
	}
	w.ending = err == nil
	n := len(w.index.entries)
	t := &tail{file: file, at: w.size, method: w.set.method}
	w.mu.Unlock()
	if err == nil {
		err = w.complete(f, t, n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ending = false
	if err == nil {
		err = replaceOpen(w.part, w.path)
	}
	if err != nil {
		return err
	}
	w.file = nil
	return w.dir.sync()
}

// complete writes what stands behind the samples and makes all of it durable.
func (w *Writer) complete(f Finish, t *tail, n int) error {
	header := Header{Version: Version, Status: f.Status, Eval: w.start.Eval, Plan: w.start.Plan, Results: f.Results, Stats: f.Stats, Error: f.Error}
	err := w.summaries(t)
	if err == nil && len(f.Reductions) > 0 {
		err = t.put(reductionsName, func(b []byte) ([]byte, error) { return encode(b, &f.Reductions) })
	}
	if err == nil {
		err = t.put(headerName, func(b []byte) ([]byte, error) { return encode(b, &header) })
	}
	if err != nil {
		return err
	}
	// What an earlier attempt left behind must not stand after the end.
	if err := t.file.Truncate(t.at); err != nil {
		return err
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(t.file, t.at), 64<<10)
	if err := w.directory(out, n, t.members, t.at); err != nil {
		return err
	}
	return errors.Join(out.Flush(), t.file.Sync())
}

// tail is what Finish writes behind the samples. Nothing counts before the directory is there.
type tail struct {
	file    partFile
	at      int64
	method  uint16
	members []member
}

// put writes a member whose text f makes.
func (t *tail) put(name string, f func(b []byte) ([]byte, error)) error {
	p := packers.Get().(*packer)
	defer p.release()
	var err error
	if p.raw, err = f(p.raw[:0]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m, b, err := p.pack(name, t.method)
	if err != nil {
		return err
	}
	if _, err := t.file.WriteAt(b, t.at); err != nil {
		return err
	}
	m.offset = t.at
	t.members, t.at = append(t.members, m), t.at+int64(len(b))
	return nil
}

// summaries writes all live rows as one list, streaming. Beyond 4 GiB it is left out: readers then take the journal.
func (w *Writer) summaries(t *tail) error {
	total := int64(0)
	for _, i := range w.journals {
		total += int64(w.index.entries[i].size)
	}
	if total >= math.MaxUint32 {
		return nil
	}
	m := member{name: summariesName, method: deflate, offset: t.at}
	head := int64(localSize + len(m.name))
	sum, out := crc32.NewIEEE(), &counter{w: bufio.NewWriterSize(io.NewOffsetWriter(t.file, t.at+head), 64<<10)}
	z, err := flate.NewWriter(out, deflateLevel)
	if err != nil {
		return err
	}
	raw := &counter{w: io.MultiWriter(z, sum)}
	line := []byte("[\n")
	for row, err := range w.liveRows() {
		if err == nil {
			line = append(line, row...)
			_, err = raw.Write(line)
		}
		if err != nil {
			return err
		}
		line = append(line[:0], ",\n"...)
	}
	end := "\n]"
	if raw.n == 0 {
		end = "[]"
	}
	if _, err := raw.Write([]byte(end)); err != nil {
		return err
	}
	if err := errors.Join(z.Close(), out.w.(*bufio.Writer).Flush()); err != nil {
		return err
	}
	m.crc, m.size, m.packed = sum.Sum32(), raw.n, out.n
	if _, err := t.file.WriteAt(appendLocal(nil, &m), t.at); err != nil {
		return err
	}
	t.members, t.at = append(t.members, m), t.at+head+m.packed
	return nil
}

// counter counts the bytes that pass.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Summaries gives the summaries of the samples that the log has, those of an earlier run included, oldest first: what a run's results are
// computed from. It reads them from the work file; samples that are written meanwhile may or may not come.
func (w *Writer) Summaries() iter.Seq2[*Summary, error] {
	return func(yield func(*Summary, error) bool) {
		for row, err := range w.liveRows() {
			s := new(Summary)
			if err == nil {
				err = decode(bytes.Clone(row), s)
			}
			if err != nil {
				yield(nil, because.E("read summaries", w.path, err, ""))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// liveRows gives the text of every row of summaries that no later one replaces. It is valid until the next one.
func (w *Writer) liveRows() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w.mu.Lock()
		file := w.file
		err := errClosed
		if file != nil {
			err = w.flush()
		}
		journals := w.journals
		w.mu.Unlock()
		if err != nil {
			yield(nil, err)
			return
		}
		number := uint32(0)
		var buf []byte
		for _, i := range journals {
			w.mu.Lock()
			m := w.index.member(i)
			w.mu.Unlock()
			var err error
			if buf, err = m.read(file, buf); err != nil {
				yield(nil, fmt.Errorf("%s: %w", m.name, err))
				return
			}
			l := &lexer{data: buf}
			err = l.list(func() error {
				number++
				return w.liveRow(l, number, yield)
			})
			if err == errStopped {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", m.name, err))
				return
			}
		}
	}
}

var errStopped = errors.New("stopped")

// rowKey is what a row of summaries is found by.
type rowKey struct {
	ID    ID      `json:"id"`
	Epoch int     `json:"epoch"`
	Error *string `json:"error"`
}

// liveRow yields the row at the lexer's place if it is its sample's newest.
func (w *Writer) liveRow(l *lexer, number uint32, yield func([]byte, error) bool) error {
	row, err := l.raw()
	if err != nil {
		return err
	}
	var key rowKey
	if err := decode(row, &key); err != nil {
		return err
	}
	name, err := sampleName(key.ID, key.Epoch)
	if err != nil {
		return err
	}
	w.mu.Lock()
	i, ok := w.index.find(name)
	live := ok && w.index.entries[i].row == number
	w.mu.Unlock()
	if live && !yield(row, nil) {
		return errStopped
	}
	return nil
}
