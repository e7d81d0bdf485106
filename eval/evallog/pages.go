package evallog

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// maxRow bounds one row of summaries.
const maxRow = 64 << 20

// rowReader reads the elements of one long JSON list from a stream.
type rowReader struct {
	in         io.ReadCloser
	buf        []byte
	start, end int // what is unread of buf
	begun      bool
	eof        bool
}

// next gives the next element, valid until the one after; io.EOF at the end of the list.
func (r *rowReader) next() ([]byte, error) {
	for {
		row, err := r.scan()
		if !errors.Is(err, errCut) || r.eof {
			return row, err
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// scan takes the next element from what has been read; errCut asks for more.
func (r *rowReader) scan() ([]byte, error) {
	l := &lexer{data: r.buf[r.start:r.end]}
	c := l.peek()
	switch {
	case c == 0 && l.pos == len(l.data):
		return nil, l.errorf("%w", errCut)
	case !r.begun && c != '[':
		return nil, l.unexpected("a list")
	case r.begun && c == ']':
		return nil, io.EOF
	case r.begun && c != ',':
		return nil, l.unexpected("a comma or the end")
	}
	l.pos++
	if c = l.peek(); c == ']' && !r.begun {
		r.begun = true
		return nil, io.EOF
	}
	row, err := l.raw()
	if err != nil {
		if l.pos >= len(l.data)-12 { // a literal or an escape at the border looks wrong before the rest is there
			err = errors.Join(errCut, err)
		}
		return nil, err
	}
	if l.pos == len(l.data) && !r.eof {
		return nil, errCut // a number may go on
	}
	r.start += l.pos
	r.begun = true
	return row, nil
}

// fill reads on, making room first.
func (r *rowReader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		if r.end > maxRow {
			return fmt.Errorf("a summary of more than %d MiB", maxRow>>20)
		}
		r.buf = append(r.buf, make([]byte, max(64<<10, len(r.buf)))...)
	}
	n, err := io.ReadAtLeast(r.in, r.buf[r.end:], 1)
	r.end += n
	if err == io.EOF {
		r.eof, err = true, nil
	}
	return err
}

// rowMembers gives the members with rows of summaries, in order: the consolidated list, or the journal of a run that has not ended.
func (r *Reader) rowMembers() (members []*member, journal bool) {
	if m := r.lookup(summariesName); m != nil {
		return []*member{m}, false
	}
	numbers := map[*member]int{}
	last := map[int]*member{}
	for i := range r.members {
		rest, ok := strings.CutPrefix(r.members[i].name, journalPrefix)
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(rest, ".json")); err == nil {
			last[n] = &r.members[i]
		}
	}
	for n, m := range last {
		numbers[m] = n
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b *member) int { return numbers[a] - numbers[b] })
	return members, true
}

// allRows gives every row of summaries, superseded ones too, valid until the next one.
func (r *Reader) allRows() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		members, _ := r.rowMembers()
		var buf []byte
		for _, m := range members {
			in, err := m.open(r.file)
			if err != nil {
				yield(nil, r.fault(m, err))
				return
			}
			rows := &rowReader{in: in, buf: buf}
			for {
				row, err := rows.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					err = r.fault(m, err)
				}
				if !yield(row, err) || err != nil {
					in.Close()
					return
				}
			}
			buf = rows.buf
			in.Close()
		}
	}
}

// liveKeys gives, for a log in progress, the number of each sample's last row. A finished log's writer has seen to it that there
// is one each; nil stands for that.
func (r *Reader) liveKeys() map[Key]int {
	if _, journal := r.rowMembers(); !journal {
		return nil
	}
	live, n := map[Key]int{}, 0
	for row, err := range r.allRows() {
		var key rowKey
		if err != nil || decode(row, &key) != nil {
			break // rows reports it when it comes there
		}
		live[Key{ID{text: key.ID.text}, key.Epoch}] = n
		n++
	}
	return live
}

// rows gives the rows of summaries that count.
func (r *Reader) rows() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		live, n := r.live(), -1
		for row, err := range r.allRows() {
			if n++; err == nil && live != nil {
				var key rowKey
				if err = decode(row, &key); err == nil && live[Key{ID{text: key.ID.text}, key.Epoch}] != n {
					continue
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// page is a place in the rows from which the next page can go on.
type page struct {
	at    int
	next  func() ([]byte, error, bool)
	close func()
}

// Summaries gives up to limit summaries from offset on, in the order of the log; fewer at the end. Going on where the last call
// ended costs no more than the page.
func (r *Reader) Summaries(offset, limit int) ([]Summary, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if offset < 0 || limit < 0 {
		return nil, fmt.Errorf("read summaries: offset %d, limit %d", offset, limit)
	}
	p := r.page
	if p == nil || p.at > offset {
		if p != nil {
			p.close()
		}
		next, stop := iter.Pull2(r.rows())
		p = &page{next: next, close: stop}
		r.page = p
	}
	var out []Summary
	for ; p.at < offset+limit; p.at++ {
		row, err, ok := p.next()
		if err == nil && ok && p.at >= offset {
			out = append(out, Summary{})
			err = decode(slices.Clone(row), &out[len(out)-1])
		}
		if err != nil || !ok {
			p.close()
			r.page = nil
		}
		if err != nil {
			return nil, fmt.Errorf("summary %d: %w", p.at, err)
		}
		if !ok {
			break
		}
	}
	return out, nil
}

// Len gives the number of summaries. For a finished log it has to read through them once, unless the samples tell.
func (r *Reader) Len() (int, error) { return r.total() }

func (r *Reader) count() (int, error) {
	n := 0
	for i := range r.members {
		if isSample(r.members[i].name) && r.newest(i) {
			n++
		}
	}
	if n > 0 {
		return n, nil
	}
	for _, err := range r.rows() { // a log without samples may have summaries
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
