package hosted

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because/internal/whole"
)

// Metric is a line of metrics.jsonl: what the service tells of one step, under its own names, such as train_loss, train_accuracy and
// valid_loss. A value that is no finite number is null.
type Metric struct {
	Step   int
	Values map[string]*float64
}

// MarshalJSON writes the step first and then the values by name.
func (m Metric) MarshalJSON() ([]byte, error) {
	b := fmt.Appendf(nil, `{"step":%d`, m.Step)
	for _, name := range slices.Sorted(maps.Keys(m.Values)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Values[name])
		if err != nil {
			return nil, err
		}
		b = append(append(append(append(b, ','), key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Metric) UnmarshalJSON(text []byte) error {
	values := map[string]*float64{}
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	step := values["step"]
	if step == nil || *step != math.Trunc(*step) || math.Abs(*step) > 1<<50 {
		return errors.New("a metric without a step")
	}
	delete(values, "step")
	*m = Metric{int(*step), values}
	return nil
}

// loss gives the training loss in words, or nothing.
func (m Metric) loss() string {
	if v := m.Values["train_loss"]; v != nil {
		return fmt.Sprintf("loss %.4f", *v)
	}
	return ""
}

// parseMetrics reads a result file: CSV with a header in which one column is the step. Some services give it in base64. Empty cells
// are values that the service did not measure at that step; they are left out.
func parseMetrics(text []byte) ([]Metric, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if plain, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil))); err == nil && !bytes.HasPrefix(text, []byte("step")) {
		text = bytes.TrimPrefix(plain, []byte("\ufeff"))
	}
	r := csv.NewReader(bytes.NewReader(text))
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the result file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("the result file is no CSV: %w", err)
	}
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	at := slices.Index(header, "step")
	if at < 0 {
		return nil, errors.New("the result file has no column step")
	}
	var out []Metric
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the result file is no CSV: %w", err)
		}
		m, err := metricRow(header, row, at)
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d of the result file: %w", line, err)
		}
		out = append(out, m)
	}
}

func metricRow(header, row []string, at int) (Metric, error) {
	step, err := strconv.Atoi(strings.TrimSpace(row[at]))
	if err != nil || step < 0 || step > 1<<50 {
		return Metric{}, fmt.Errorf("%q is no step", clip(row[at]))
	}
	m := Metric{step, map[string]*float64{}}
	for i, cell := range row {
		cell = strings.TrimSpace(cell)
		if i == at || cell == "" || header[i] == "" || header[i] == "step" {
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		switch {
		case math.IsNaN(v), math.IsInf(v, 0): // also a number that is too large
			m.Values[header[i]] = nil
		case err != nil:
			return Metric{}, fmt.Errorf("%s is %q, which is no number", header[i], clip(cell))
		default:
			m.Values[header[i]] = &v
		}
	}
	return m, nil
}

// eventMetrics gives what the job's events tell of its steps, and the number of steps in all where they tell it.
func eventMetrics(list []event) (out []Metric, total int) {
	for _, e := range list {
		var values map[string]any
		if len(e.Data) == 0 || json.Unmarshal(e.Data, &values) != nil {
			continue
		}
		step, ok := values["step"].(float64)
		if !ok || step != math.Trunc(step) || step < 0 || step > 1<<50 {
			continue
		}
		m := Metric{int(step), map[string]*float64{}}
		for name, v := range values {
			if n, ok := v.(float64); ok && name != "step" && name != "total_steps" {
				m.Values[name] = &n
			}
		}
		if n, ok := values["total_steps"].(float64); ok && n > 0 && n < 1<<50 {
			total = int(n)
		}
		if len(m.Values) > 0 {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b Metric) int { return a.Step - b.Step })
	return out, total
}

// writeMetrics writes metrics.jsonl.
func (f *folder) writeMetrics(list []Metric) error {
	var b bytes.Buffer
	for _, m := range list {
		line, err := json.Marshal(m)
		if err != nil {
			return f.fault("write", f.path(metricsName), err)
		}
		b.Write(append(line, '\n'))
	}
	if err := whole.WriteFile(f.path(metricsName), b.Bytes()); err != nil {
		return f.fault("write", f.path(metricsName), err)
	}
	return nil
}
