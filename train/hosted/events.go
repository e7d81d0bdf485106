package hosted

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// event is one of a job's messages.
type event struct {
	ID      string          `json:"id"`
	Created int64           `json:"created_at"`
	Level   string          `json:"level"`
	Type    string          `json:"type"` // message or metrics
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// identify gives an event without an ID one by its contents.
func (e *event) identify() {
	if e.ID == "" {
		text, _ := json.Marshal(e) // what was just read can be written
		sum := sha256.Sum256(text)
		e.ID = "event-" + hex.EncodeToString(sum[:8])
	}
}

// events is events.jsonl: the job's events as they were told, oldest first.
type events struct {
	path string
	file *os.File
	seen map[string]bool
	all  []event
}

// openEvents reads what is there and drops a last line that was cut off by a kill.
func openEvents(path string) (*events, error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	e := &events{path: path, seen: map[string]bool{}}
	end := 0
	for {
		n := bytes.IndexByte(old[end:], '\n')
		var one event
		if n < 0 || json.Unmarshal(old[end:end+n], &one) != nil || one.ID == "" {
			break // what follows is told again by the service
		}
		end += n + 1
		e.seen[one.ID] = true
		e.all = append(e.all, one)
	}
	if e.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	if err = e.file.Truncate(int64(end)); err == nil {
		_, err = e.file.Seek(int64(end), 0)
	}
	if err != nil {
		e.file.Close()
		return nil, err
	}
	return e, nil
}

func (e *events) close() { e.file.Close() }

// add appends events, oldest first, and makes them durable.
func (e *events) add(list []event) error {
	var b bytes.Buffer
	for _, one := range list {
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	if _, err := e.file.Write(b.Bytes()); err != nil {
		return err
	}
	for _, one := range list {
		e.seen[one.ID] = true
	}
	e.all = append(e.all, list...)
	return e.file.Sync()
}

// newEvents fetches a job's events that were not seen yet, oldest first. The API lists the newest first, so a page with one that was
// seen is the last that is needed; a service that lists the oldest first is read to its end.
func (c *client) newEvents(ctx context.Context, job string, seen map[string]bool) ([]event, error) {
	var out []event
	got := map[string]bool{}
	ascending := false
	err := pages(ctx, c, "/fine_tuning/jobs/"+job+"/events?limit=100", func(e event) string { return e.ID }, func(page []event) bool {
		known := false
		ascending = ascending || page[0].Created < page[len(page)-1].Created
		for i := range page {
			page[i].identify()
			page[i].Message = c.hide(page[i].Message)
			if page[i].Data = json.RawMessage(c.hide(string(page[i].Data))); !json.Valid(page[i].Data) {
				page[i].Data = nil
			}
			if id := page[i].ID; seen[id] || got[id] {
				known = true
			} else {
				got[id] = true
				out = append(out, page[i])
			}
		}
		return known && !ascending
	})
	if !ascending {
		slices.Reverse(out)
	}
	return out, err
}
