package evallog

import (
	"bufio"
	"errors"
	"io"
	"os"
	"time"
)

// durable is a folder whose entries can be made durable.
type durable string

// run starts the goroutine that brings the log up to date; halt ends it.
func (w *Writer) run() {
	w.loop.Go(func() {
		tick := time.NewTicker(min(w.set.every, 500*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			if w.due(time.Now()) {
				// A failure costs readers of the running log something, not the run: the work file has it all. A later tick tries
				// again, and Close and Finish report what fails then.
				_ = w.publish(false)
			}
		}
	})
}

// due reports whether the log should be brought up to date: after growth by a quarter, which bounds what all copies cost by the size
// of the last ones, 1 + 1/1.25 + 1/1.25² ... = 5 times the whole; or after some time, of which copying may take a twentieth.
func (w *Writer) due(now time.Time) bool {
	w.publishing.Lock()
	shown, since, cost := w.shown, now.Sub(w.shownAt), w.cost
	w.publishing.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil || w.size == shown && len(w.pending) == 0 {
		return false
	}
	return float64(w.size) > 1.25*float64(shown) || since > max(w.set.every, 20*cost)
}

// publish puts a copy of the work file, with a directory, in the log's place. What it shows is durable in the work file, so Resume need not
// check it again.
func (w *Writer) publish(sync bool) error {
	w.publishing.Lock()
	defer w.publishing.Unlock()
	begun := time.Now()
	w.mu.Lock()
	file, err := w.file, errClosed
	if file != nil {
		err = w.flush()
	}
	size, n := w.size, len(w.index.entries)
	w.mu.Unlock()
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = w.copyTo(w.path+".tmp", size, n, sync)
	}
	if err == nil {
		err = w.dir.rename(w.path+".tmp", w.path, sync)
	}
	if err != nil {
		// What is left of the copy would only take space.
		if rm := os.Remove(w.path + ".tmp"); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	} else {
		w.shown = size
	}
	w.shownAt = time.Now()
	w.cost = w.shownAt.Sub(begun)
	return err
}

// copyTo writes the first n members, size bytes, and their directory. On Linux the kernel copies, or shares the blocks where
// the file system can.
func (w *Writer) copyTo(path string, size int64, n int, sync bool) error {
	in, err := os.Open(partPath(w.path))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, size)
	if err == nil {
		b := bufio.NewWriterSize(out, 64<<10)
		if err = w.directory(b, n, nil, size); err == nil {
			err = b.Flush()
		}
	}
	if err == nil && sync {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// directory writes the zip directory of the first n members and those of tail, which begins at offset.
func (w *Writer) directory(out io.Writer, n int, tail []member, offset int64) error {
	var b []byte
	count, size := int64(0), int64(0)
	for from := 0; from < n; from += 1024 { // in pieces, so that samples need not wait for the whole
		b = b[:0]
		w.mu.Lock()
		for i := from; i < min(from+1024, n); i++ {
			if w.index.live(i, n) {
				m := w.index.member(i)
				b = appendCentral(b, &m)
				count++
			}
		}
		w.mu.Unlock()
		size += int64(len(b))
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	b = b[:0]
	for i := range tail {
		b = appendCentral(b, &tail[i])
		count++
	}
	size += int64(len(b))
	_, err := out.Write(appendEnd(b, count, size, offset))
	return err
}

// rename puts a file in another's place.
func (d durable) rename(from, to string, sync bool) error {
	if err := os.Rename(from, to); err != nil || !sync {
		return err
	}
	return d.sync()
}

// sync makes the folder's entries durable, where the system can: some cannot open folders, others cannot flush them.
func (d durable) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return nil
	}
	_ = f.Sync()
	return f.Close()
}
