package store

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type textual struct{ s string }

func (t textual) MarshalText() ([]byte, error) {
	if t.s == "" {
		return nil, errors.New("empty")
	}
	return []byte("<" + t.s + ">"), nil
}

type viaPointer struct{ n int }

func (p *viaPointer) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]int{"n": p.n}) }

type base struct {
	Seed int `json:"seed"`
}

type params struct {
	base
	Rate   float64        `json:"rate"`
	Kinds  []string       `json:"kinds"`
	Extra  map[string]any `json:"extra,omitempty"`
	Path   string         `json:"-"`
	cached int            `json:"-"`
	Plain  bool
}

func TestEncodeIsCanonical(t *testing.T) {
	one := 1
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nil", nil, `null`},
		{"integer", 1, `1`},
		{"float without fraction", 1.0, `1.0`},
		{"negative zero", math.Copysign(0, -1), `-0.0`},
		{"large float", 1e6, `1e+06`},
		{"float32 in its own precision", float32(0.1), `0.1`},
		{"float64", 0.1, `0.1`},
		{"largest integer", uint64(math.MaxUint64), `18446744073709551615`},
		{"string", "a\"\\\n<é>\u2028", `"a\"\\\u000a<é>` + "\u2028" + `"`},
		{"bytes", []byte("hi"), `"aGk="`},
		{"nil slice", []int(nil), `null`},
		{"empty slice", []int{}, `[]`},
		{"nil map", map[string]int(nil), `null`},
		{"map sorted", map[string]int{"b": 2, "a": 1, "B": 3}, `{"B":3,"a":1,"b":2}`},
		{"integer keys as text", map[int]bool{10: true, 9: false}, `{"10":true,"9":false}`},
		{"pointer", &one, `1`},
		{"text marshaler", textual{"x"}, `"<x>"`},
		{"text marshaler as key", map[textual]int{{"x"}: 1}, `{"<x>":1}`},
		{"marshaler on the address", viaPointer{3}, `{"n":3}`},
		{"marshaler in a slice", []viaPointer{{3}}, `[{"n":3}]`},
		{"raw JSON", json.RawMessage(` {"b": 1.50, "a": [1e2, 7, -0]} `), `{"a":[100.0,7,-0],"b":1.5}`},
		{"number literal", json.Number("12345678901234567890123"), `12345678901234567890123`},
		{"time", time.Unix(0, 0).UTC(), `"1970-01-01T00:00:00Z"`},
		{"struct", params{base: base{7}, Rate: 3, Path: "/tmp", cached: 1}, `{"Plain":false,"kinds":null,"rate":3.0,"seed":7}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Encode(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if !json.Valid(got) {
				t.Errorf("%s is not JSON", got)
			}
		})
	}
}

func TestEncodeRefusesWhatIsNotStable(t *testing.T) {
	type hidden struct {
		A int
		b int
	}
	type loop struct{ Next *loop }
	ring := &loop{}
	ring.Next = ring
	tests := []struct {
		name  string
		in    any
		place string
		cause string
	}{
		{"function", map[string]any{"arm": []any{1, func() {}}}, "arm[1]", "func() has no stable encoding"},
		{"channel", struct{ C chan int }{}, "C", "chan int has no stable encoding"},
		{"complex", 1i, "value", "complex128"},
		{"NaN", struct{ Rate float64 }{math.NaN()}, "Rate", "NaN"},
		{"infinity", []float32{1, float32(math.Inf(-1))}, "[1]", "-Inf"},
		{"unexported field", map[string]hidden{"x": {1, 2}}, "x", "field b"},
		{"cycle", ring, "Next.Next", "cycle"},
		{"bad UTF-8", map[string]string{"k": "\xff"}, "k", "UTF-8"},
		{"float key", map[float64]int{1: 1}, "value", "map key of type float64"},
		{"duplicate name", struct {
			base
			Again int `json:"seed"`
		}{}, "seed", "two members"},
		{"failing marshaler", map[string]any{"t": textual{}}, "t", "empty"},
		{"not a number", json.Number("true"), "value", "not a number"},
		{"overflow", json.Number("1e999"), "value", "out of range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Encode(tt.in)
			if err == nil {
				t.Fatalf("encoded as %s", got)
			}
			for _, want := range []string{tt.place, tt.cause} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

// jsonValue draws what a study file may hold.
func jsonValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just(any(nil)),
		rapid.Bool().AsAny(),
		rapid.Int64().AsAny(),
		rapid.Float64().AsAny(),
		rapid.String().AsAny(),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.SliceOfN(jsonValue(depth-1), 0, 4).AsAny(),
			rapid.MapOfN(rapid.String(), jsonValue(depth-1), 0, 4).AsAny())
	}
	return rapid.OneOf(leaves...)
}

// Two values have one encoding exactly where they are equal, and an encoding is a fixed point of decoding and encoding.
func TestEncodeSeparatesValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := jsonValue(3).Draw(t, "a"), jsonValue(1).Draw(t, "b")
		ea, err := Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		eb, err := Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		if cmp.Equal(a, b) != (string(ea) == string(eb)) {
			t.Fatalf("%#v and %#v are encoded as %s and %s", a, b, ea, eb)
		}
		again, err := Encode(json.RawMessage(ea))
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(ea) {
			t.Fatalf("%s becomes %s", ea, again)
		}
	})
}

func TestKeyDependsOnEveryField(t *testing.T) {
	s := newStore(t)
	key, payload, err := s.Key(params{Rate: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	// SHA-256 of "because key 1\n" and the payload, pinned: a change of the scheme must change the salt too.
	const want = "538fd7608f19d37bfa7430c82bee928d99e11d9753a566b39ffe7afb52e76706"
	if key != want {
		t.Errorf("key of %s is %s, want %s", payload, key, want)
	}
	for _, other := range []params{{Rate: 0.2}, {Rate: 0.1, Plain: true}, {Rate: 0.1, base: base{1}}, {Rate: 0.1, Kinds: []string{}}} {
		if k, _, err := s.Key(other); err != nil || k == key {
			t.Errorf("%+v has key %s, error %v", other, k, err)
		}
	}
	if k, _, err := s.Key(params{Rate: 0.1, Path: "/elsewhere"}); err != nil || k != key {
		t.Errorf("a path that is left out changed the key to %s, error %v", k, err)
	}
}

func FuzzEncodeRawJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,"x",null,true],"b":{"c":-0.0}}`))
	f.Add([]byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := Encode(json.RawMessage(text))
		if err != nil {
			return
		}
		if !json.Valid(first) {
			t.Fatalf("%q is encoded as %q, which is not JSON", text, first)
		}
		second, err := Encode(json.RawMessage(first))
		if err != nil || string(second) != string(first) {
			t.Fatalf("%q is encoded as %q and that as %q (%v)", text, first, second, err)
		}
	})
}
