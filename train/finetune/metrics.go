package finetune

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/because-lab/because"
)

// metric is a line of metrics.jsonl: one step.
type metric struct {
	Step   int     `json:"step"` // from 1
	Loss   float64 `json:"loss"` // before the update: mean over the tokens that carry loss
	LR     float64 `json:"lr"`
	Norm   float64 `json:"grad_norm"` // before clipping
	Tokens int     `json:"tokens"`    // of this step
	Total  int     `json:"total_tokens"`
	Rate   float64 `json:"tokens_per_second"` // the only field that differs between runs
}

// openMetrics reads the lines of the first steps, drops all others (a killed run may have gone further than its last
// checkpoint) and leaves the file open at its end.
func (f *folder) openMetrics(steps int) ([]metric, error) {
	path := f.path(metricsName)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, f.fault("read", path, err)
	}
	var kept []metric
	end := 0
	for len(kept) < steps {
		n := bytes.IndexByte(old[end:], '\n')
		if n < 0 {
			return nil, f.fault("read", path, fmt.Errorf("it ends after step %d, but there is a checkpoint of step %d", len(kept), steps))
		}
		var m metric
		if err := json.Unmarshal(old[end:end+n], &m); err != nil || m.Step != len(kept)+1 {
			return nil, f.fault("read", fmt.Sprintf("%s:%d", path, len(kept)+1), fmt.Errorf("not the line of step %d (%v)", len(kept)+1, err))
		}
		kept, end = append(kept, m), end+n+1
	}
	if f.metrics, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return nil, f.fault("write", path, err)
	}
	if err = f.metrics.Truncate(int64(end)); err == nil {
		_, err = f.metrics.Seek(int64(end), 0)
	}
	if err != nil {
		return nil, f.fault("write", path, err)
	}
	return kept, nil
}

// append adds a step's line.
func (f *folder) append(m metric) error {
	line, err := json.Marshal(m)
	if err == nil {
		_, err = f.metrics.Write(append(line, '\n'))
	}
	if err != nil {
		return f.fault("write", f.path(metricsName), err)
	}
	return nil
}

func (f *folder) fault(what, path string, err error) error {
	return because.E("fine-tune: "+what, path, err, "")
}
