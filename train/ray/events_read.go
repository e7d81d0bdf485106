package ray

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"
)

// reader takes a job's log in pieces, as they come, and tells events from other lines. The log may be read again from its start as often as is needed: an
// event that was given once is not given again.
type reader struct {
	partial []byte
	seed    maphash.Seed
	seen    map[uint64]bool // hashes of the events given
	tail    tail
	failed  *Event // the engine's last error since it last began
	done    *Result
	started bool
}

func newReader() *reader {
	return &reader{seed: maphash.MakeSeed(), seen: map[uint64]bool{}}
}

// restart says that the log comes from its start again.
func (r *reader) restart() { r.partial, r.tail = nil, tail{} }

// take gives the new events of a piece of the log.
func (r *reader) take(piece []byte) []Event {
	var events []Event
	for {
		n := bytes.IndexByte(piece, '\n')
		if n < 0 {
			r.partial = append(r.partial, piece...)
			return events
		}
		line := piece[:n]
		if len(r.partial) > 0 {
			line = append(r.partial, line...)
			r.partial = r.partial[:0]
		}
		events = r.line(events, line)
		piece = piece[n+1:]
	}
}

// end takes what is left of a log that is whole.
func (r *reader) end() []Event {
	line := r.partial
	r.partial = nil
	if len(line) == 0 {
		return nil
	}
	return r.line(nil, line)
}

func (r *reader) line(events []Event, line []byte) []Event {
	line = bytes.TrimRight(line, "\r")
	text, ok := bytes.CutPrefix(line, []byte(EventMark))
	if !ok {
		r.tail.add(string(line))
		return events
	}
	sum := maphash.Bytes(r.seed, text)
	if r.seen[sum] {
		return events
	}
	r.seen[sum] = true
	e, err := parseEvent(text)
	if err != nil {
		e = Event{Kind: EventWarning, Message: "the engine printed an event that cannot be read: " + err.Error()}
		r.tail.add(string(line))
	}
	r.note(e)
	return append(events, e)
}

// parseEvent reads an event's JSON. Fields that are not known are left out, so that an engine may say more than a client asks for.
func parseEvent(text []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	switch {
	case e.Kind == "":
		return e, fmt.Errorf("it has no kind")
	case e.Kind == EventStep && (e.Metric == nil || e.Metric.Step < 1):
		return e, fmt.Errorf("a step without its number")
	case e.Kind == EventDone && e.Result == nil:
		return e, fmt.Errorf("an end without result")
	}
	return e, nil
}

// note keeps what the job's end is told by. An engine that begins again has got over its error.
func (r *reader) note(e Event) {
	switch e.Kind {
	case EventStart:
		r.started, r.failed, r.done = true, nil, nil
	case EventError:
		r.failed = &e
	case EventDone:
		r.done = e.Result
	}
}

// tail keeps the last lines of a log that are not events.
type tail struct{ lines []string }

const tailLines, tailWidth = 400, 2000

func (t *tail) add(line string) {
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:] // a bar that was drawn over itself
	}
	t.lines = append(t.lines, clip(line, tailWidth))
	if len(t.lines) >= 2*tailLines {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-tailLines:]...)
	}
}
