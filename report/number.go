package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Number is a measured value in results.json: written with six significant digits, so that the bytes are
// the same wherever the same study ran, and null where it could not be had (NaN).
type Number float64

// NaN is the Number of what could not be had.
var NaN = Number(math.NaN())

// OK says whether n could be had.
func (n Number) OK() bool { return !math.IsNaN(float64(n)) }

// MarshalJSON implements json.Marshaler. An infinity is an error: no measurement is infinite.
func (n Number) MarshalJSON() ([]byte, error) {
	x := float64(n)
	if math.IsInf(x, 0) {
		return nil, fmt.Errorf("%v is not a measurement", x)
	}
	if math.IsNaN(x) {
		return []byte("null"), nil
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 5, 64), 64)
	if err != nil {
		return nil, fmt.Errorf("round %v: %w", x, err)
	}
	return json.Marshal(rounded + 0) // + 0 turns -0 into 0
}

// UnmarshalJSON implements json.Unmarshaler; null becomes NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*n = NaN
		return nil
	}
	var x float64
	if err := json.Unmarshal(data, &x); err != nil {
		return err
	}
	*n = Number(x)
	return nil
}

// Numbers converts values for a list of the results.
func Numbers(values []float64) []Number {
	out := make([]Number, len(values))
	for i, v := range values {
		out[i] = Number(v)
	}
	return out
}
