package ray

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// metricsName is the file of a step a line, as local training names it.
const metricsName = "metrics.jsonl"

// Recorder keeps the metrics of a job's steps in metrics.jsonl of a folder, in the form in which local training writes them. Its Record is a Sink. Steps
// given again, by a later Follow or a later attempt of the job, take the place of those it has; so the file is that of one run however often it was begun. One
// process at a time may record into a folder.
type Recorder struct {
	path  string
	file  *os.File
	lines [][]byte // the file's, in the order of their steps
	steps []int
}

// NewRecorder opens the recorder of a folder, which must exist. What an earlier one has left stays; a line that was cut off by a kill is dropped.
func NewRecorder(dir string) (*Recorder, error) {
	r := &Recorder{path: filepath.Join(dir, metricsName)}
	text, err := os.ReadFile(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, r.fault("read", r.path, err)
	}
	end := 0
	for n := 1; ; n++ {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			break
		}
		line := text[end : end+i+1]
		var m Metric
		if err := json.Unmarshal(line, &m); err != nil || m.Step < 1 || len(r.steps) > 0 && m.Step <= r.steps[len(r.steps)-1] {
			return nil, r.fault("read", fmt.Sprintf("%s:%d", r.path, n), fmt.Errorf("not the line of a later step (%v)", err))
		}
		r.lines, r.steps = append(r.lines, line), append(r.steps, m.Step)
		end += i + 1
	}
	if r.file, err = os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return nil, r.fault("write", r.path, err)
	}
	if err = r.file.Truncate(int64(end)); err == nil {
		_, err = r.file.Seek(int64(end), 0)
	}
	if err != nil {
		r.file.Close()
		return nil, r.fault("write", r.path, err)
	}
	return r, nil
}

// Record writes the steps among some events. The file is whole after each call.
func (r *Recorder) Record(events []Event) error {
	var added bytes.Buffer
	rewrite := false
	for _, e := range events {
		if e.Kind != EventStep || e.Metric == nil {
			continue
		}
		line, err := json.Marshal(e.Metric)
		if err != nil {
			return r.fault("write", r.path, err)
		}
		line = append(line, '\n')
		if n := len(r.steps); n == 0 || e.Metric.Step > r.steps[n-1] {
			r.lines, r.steps = append(r.lines, line), append(r.steps, e.Metric.Step)
			added.Write(line)
			continue
		}
		rewrite = r.replace(e.Metric.Step, line) || rewrite
	}
	if rewrite {
		return r.rewrite()
	}
	if added.Len() == 0 {
		return nil
	}
	if _, err := r.file.Write(added.Bytes()); err != nil {
		return r.fault("write", r.path, err)
	}
	return nil
}

// replace puts a line in the place of an earlier one of its step, or between those of others. It tells whether that changed anything.
func (r *Recorder) replace(step int, line []byte) bool {
	i, found := slices.BinarySearch(r.steps, step)
	switch {
	case found && bytes.Equal(r.lines[i], line):
		return false
	case found:
		r.lines[i] = line
	default:
		r.steps = slices.Insert(r.steps, i, step)
		r.lines = slices.Insert(r.lines, i, line)
	}
	return true
}

// rewrite writes the whole file anew and goes on at its end.
func (r *Recorder) rewrite() error {
	f, err := whole.Create(r.path)
	if err != nil {
		return r.fault("write", r.path, err)
	}
	defer f.Abort()
	w := bufio.NewWriter(f)
	for _, line := range r.lines {
		w.Write(line) // Flush tells
	}
	if err := w.Flush(); err != nil {
		return r.fault("write", r.path, err)
	}
	if err := r.file.Close(); err != nil { // before the rename, which Windows refuses otherwise
		return r.fault("write", r.path, err)
	}
	if err := f.Commit(); err != nil {
		return r.fault("write", r.path, err)
	}
	if r.file, err = os.OpenFile(r.path, os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return r.fault("write", r.path, err)
	}
	return nil
}

// Close ends the recording.
func (r *Recorder) Close() error {
	if err := errors.Join(r.file.Sync(), r.file.Close()); err != nil {
		return r.fault("write", r.path, err)
	}
	return nil
}

func (r *Recorder) fault(what, subject string, err error) error {
	return because.E("record training: "+what, subject, err, "")
}
