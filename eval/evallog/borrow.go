package evallog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// borrow makes a work file of a log that has none: one that was finished, or copied from elsewhere. The log stays as it
// is until something is added.
func borrow(path string, start Start, options []Option) (*Writer, Done, error) {
	from, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer from.Close()
	first := Start{Version: Version, Eval: from.header.Eval, Plan: from.header.Plan}
	if err := first.same(start); err != nil {
		return nil, nil, err
	}
	first.fill(time.Now())
	// The copy gets its name when it is whole: what Resume finds as a work file has all that the log had.
	f, err := openPart(partPath(path)+".tmp", os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, nil, err
	}
	w, done, err := adopt(path, first, from, f, options)
	if err == nil {
		_, err = os.Lstat(partPath(path))
		switch {
		case err == nil:
			err = errLocked
		case errors.Is(err, os.ErrNotExist):
			err = nil
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if f, err = renamePart(f, partPath(path)); err != nil {
		return nil, nil, err
	}
	w.part, w.file, w.borrowed, w.shown, w.shownAt = f, f, true, w.size, time.Now()
	return w, done, nil
}

// adopt fills a work file with what a log has: by copying the file up to its end, if a Writer made it; member by member otherwise.
func adopt(path string, first Start, from *Reader, f *os.File, options []Option) (*Writer, Done, error) {
	end, samples := ownEnd(from)
	if end > 0 {
		w := newWriter(path, first, f, options)
		r := &recovery{w: w, f: f, done: Done{}, trusted: end}
		_, err := io.CopyN(f, from.file, end) // everything else reads at offsets of its own
		if err == nil {
			err = r.run(first)
		}
		if err == nil && w.size == end && len(r.done) == samples {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w, r.done, errors.Join(w.flush(), f.Sync())
		}
		if err := f.Truncate(0); err != nil {
			return nil, nil, err
		}
	}
	w, done := newWriter(path, first, f, options), Done{}
	return w, done, w.copyFrom(from, f, done)
}

// ownEnd gives where Finish began to write, if a log looks as if a Writer had made it, and its number of samples.
func ownEnd(r *Reader) (end int64, samples int) {
	if len(r.members) == 0 || r.members[0].name != startName || r.members[0].offset != 0 {
		return 0, 0
	}
	last := int64(-1)
	for i := range r.members {
		m := &r.members[i]
		if m.offset <= last {
			return 0, 0
		}
		last = m.offset
		switch {
		case m.name == summariesName && end == 0:
			end = m.offset
		case ours(m.name) && end == 0:
			if isSample(m.name) {
				samples++
			}
		case m.name == headerName || m.name == reductionsName:
		default:
			return 0, 0
		}
	}
	return end, samples
}

// renamePart renames a work file and opens it under its new name, for Windows' sake.
func renamePart(f *os.File, path string) (*os.File, error) {
	if err := replaceOpen(f, path); err != nil {
		return nil, err
	}
	return openPart(path, 0)
}

// copyFrom fills a work file with the start, the samples and their summaries from a log.
func (w *Writer) copyFrom(from *Reader, f *os.File, done Done) error {
	err := w.putJSON(startName, func(b []byte) ([]byte, error) { return encode(b, &w.start) })
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(f, w.size), 1<<20)
	for i := range from.members {
		m := from.members[i] // a copy: its offset changes
		if !strings.HasPrefix(m.name, samplesPrefix) || !from.newest(i) {
			continue
		}
		if err := w.copyMember(out, from.file, &m); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for row, err := range from.rows() {
		if err == nil {
			err = w.copyRow(row, done)
		}
		if err != nil {
			return err
		}
	}
	for i := range w.index.entries {
		if w.index.entries[i].row > 0 || !strings.HasPrefix(string(w.index.name(i)), samplesPrefix) {
			continue
		}
		m := w.index.member(i)
		if err := w.summarize(f, &m, i, done); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.flush(), f.Sync())
}

// copyMember copies a member with its data as they are, behind a header of our own.
func (w *Writer) copyMember(out io.Writer, in io.ReaderAt, m *member) error {
	if m.size >= maxMember || m.packed >= maxMember || m.flags&flagEncrypted != 0 || w.index.full(m.name) {
		return errors.New("it cannot be copied")
	}
	at, err := m.dataOffset(in)
	if err != nil {
		return err
	}
	if _, err := out.Write(appendLocal(nil, m)); err != nil {
		return err
	}
	if _, err := io.Copy(out, io.NewSectionReader(in, at, m.packed)); err != nil {
		return err
	}
	m.offset = w.size
	w.size += int64(localSize+len(m.name)) + m.packed
	w.index.add(m)
	return nil
}

// copyRow takes over a row of summaries, if its sample is there.
func (w *Writer) copyRow(row []byte, done Done) error {
	var key rowKey
	if err := decode(row, &key); err != nil {
		return err
	}
	name, err := sampleName(key.ID, key.Epoch)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.index.find(name)
	if !ok {
		return nil
	}
	w.addRow(i, row)
	done[Key{key.ID, key.Epoch}] = key.Error != nil
	if len(w.pending) > journalSize {
		return w.flush()
	}
	return nil
}
