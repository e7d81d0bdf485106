package evallog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// Done says which samples a resumed log has; the value is true for those that ended in an error.
type Done map[Key]bool

// Resume goes on with a log that was killed, closed or finished. It refuses one that was begun with another task, model, dataset or
// configuration (see Start) and names the field; the log keeps its first ids and time. Of a killed log, a member that was being
// written is cut off. The error's cause is os.ErrNotExist where there is no log.
func Resume(path string, start Start, options ...Option) (*Writer, Done, error) {
	w, done, err := resume(path, start, options)
	if err != nil {
		return nil, nil, because.E("resume log", path, err, hintFor(err))
	}
	return w, done, nil
}

func resume(path string, start Start, options []Option) (*Writer, Done, error) {
	w, done, err := resumePart(path, start, options)
	if errors.Is(err, os.ErrNotExist) {
		w, done, err = borrow(path, start, options)
	}
	if err != nil {
		return nil, nil, err
	}
	w.run()
	return w, done, nil
}

// resumePart goes on with the work file of a run that has not ended.
func resumePart(path string, start Start, options []Option) (*Writer, Done, error) {
	f, err := openPart(partPath(path), 0)
	if err != nil {
		return nil, nil, err
	}
	w := newWriter(path, start, f, options)
	r := &recovery{w: w, f: f, done: Done{}, trusted: publishedEnd(path)}
	if err := r.run(start); err != nil {
		f.Close()
		return nil, nil, err
	}
	return w, r.done, nil
}

// publishedEnd gives how much of the work file the log of a running evaluation shows, which is durable; 0 if that cannot be said.
func publishedEnd(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	members, err := readDirectory(f, info.Size())
	if err != nil {
		return 0
	}
	end := int64(0)
	for i := range members {
		if members[i].name == headerName {
			return 0 // the finished log that the work file was made from
		}
		end = max(end, members[i].offset+1)
	}
	return end
}

// recovery reads a work file, member by member.
type recovery struct {
	w       *Writer
	f       *os.File
	done    Done
	trusted int64 // members that begin before need no check of their data
	buf     []byte
	bare    []int // samples without a row of summaries so far
}

func (r *recovery) run(start Start) error {
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r.f, 0, info.Size()), 1<<20)
	for r.w.size < info.Size() {
		m, n, ok := nextLocal(in, r.w.size, info.Size())
		if !ok || !ours(m.name) {
			break // torn, or what Finish had begun to write
		}
		if r.w.size == 0 {
			err := r.begin(&m, start)
			if err != nil {
				return err
			}
		} else if ok, err := r.take(&m); err != nil {
			return err
		} else if !ok {
			break
		}
		r.w.size += n
	}
	if r.w.size == 0 {
		return fmt.Errorf("the work file %s is damaged at its start", r.f.Name())
	}
	if err := r.w.file.Truncate(r.w.size); err != nil {
		return err
	}
	return r.summarize()
}

// nextLocal reads a local header at offset and passes over its data. It fails on what is not there in whole.
func nextLocal(in *bufio.Reader, offset, end int64) (m member, n int64, ok bool) {
	b, err := in.Peek(localSize)
	if err != nil || le.Uint32(b) != localMark || le.Uint16(b[6:])&flagDescriptor != 0 {
		return m, 0, false
	}
	m = member{
		flags: le.Uint16(b[6:]), method: le.Uint16(b[8:]), crc: le.Uint32(b[14:]),
		packed: int64(le.Uint32(b[18:])), size: int64(le.Uint32(b[22:])), offset: offset,
	}
	head := localSize + int(le.Uint16(b[26:])) + int(le.Uint16(b[28:]))
	if n = int64(head) + m.packed; n > end-offset {
		return m, 0, false
	}
	if b, err = in.Peek(head); err != nil {
		return m, 0, false
	}
	m.name = string(b[localSize : localSize+int(le.Uint16(b[26:]))])
	for left := n; left > 0; {
		k, err := in.Discard(int(min(left, math.MaxInt32)))
		if left -= int64(k); err != nil {
			return m, 0, false
		}
	}
	return m, n, true
}

// ours reports whether a member belongs before the end of a log.
func ours(name string) bool {
	return name == startName || strings.HasPrefix(name, journalPrefix) || strings.HasPrefix(name, samplesPrefix)
}

// begin reads what the log began with and compares.
func (r *recovery) begin(m *member, start Start) error {
	text, err := m.read(r.f, nil)
	if m.name != startName || err != nil {
		return errors.Join(fmt.Errorf("the work file %s is damaged at its start", r.f.Name()), err)
	}
	var first Start
	if err := decode(text, &first); err != nil {
		return fmt.Errorf("%s: %w", startName, err)
	}
	if err := first.same(start); err != nil {
		return err
	}
	first.fill(time.Now())
	r.w.start = first
	r.w.index.add(m)
	return nil
}

// take notes a member; not ok is one that was torn.
func (r *recovery) take(m *member) (ok bool, err error) {
	journal := strings.HasPrefix(m.name, journalPrefix)
	if journal || m.offset >= r.trusted {
		text, err := m.read(r.f, r.buf)
		if err != nil {
			return false, nil
		}
		r.buf = text
		if journal {
			if err := r.journal(text); err != nil {
				return false, fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	i := r.w.index.add(m)
	switch {
	case journal:
		r.w.journals = append(r.w.journals, i)
	case m.name != startName:
		r.bare = append(r.bare, i)
	}
	return true, nil
}

// journal notes the rows of samples, all of which stand before it.
func (r *recovery) journal(text []byte) error {
	l := &lexer{data: text}
	r.bare = r.bare[:0]
	return l.list(func() error {
		var key rowKey
		if err := scanInto(l, &key); err != nil {
			return err
		}
		r.w.rows++
		name, err := sampleName(key.ID, key.Epoch)
		if err != nil {
			return err
		}
		if i, ok := r.w.index.find(name); ok {
			r.w.index.entries[i].row = r.w.rows
			r.done[Key{key.ID, key.Epoch}] = key.Error != nil
		}
		return nil
	})
}

// summarize makes the rows that were not yet in the work file.
func (r *recovery) summarize() error {
	for _, i := range r.bare {
		m := r.w.index.member(i)
		if err := r.w.summarize(r.f, &m, i, r.done); err != nil {
			return err
		}
	}
	return nil
}

// summarize adds a row for the sample in member m of a file, entry i here.
func (w *Writer) summarize(f io.ReaderAt, m *member, i int, done Done) error {
	text, err := m.read(f, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	s, err := decodeSample(text)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	summary := Summarize(s)
	row, err := encode(nil, &summary)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addRow(i, row)
	done[Key{s.ID, s.Epoch}] = s.Error != nil
	if len(w.pending) > journalSize {
		return w.flush()
	}
	return nil
}
