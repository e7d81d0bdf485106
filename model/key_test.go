package model

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

// full is a request in which every field that there is, in depth, is set: fields that are added later too.
func full(t *testing.T) because.Request {
	var r because.Request
	fill(t, reflect.ValueOf(&r).Elem())
	return r
}

func fill(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a")
	case reflect.Int:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("{}"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("a request has a field of type %s: teach this test and appendValue about it", v.Type())
	}
}

// leaves calls change once for every value within v, with its path, while the value is another one.
func leaves(v reflect.Value, path string, changed func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	try := func(value any) {
		v.Set(reflect.ValueOf(value).Convert(v.Type()))
		changed(path)
		v.Set(old)
	}
	switch v.Kind() {
	case reflect.String:
		try("b")
	case reflect.Int:
		try(4)
	case reflect.Float64:
		try(0.25)
	case reflect.Bool:
		try(!v.Bool())
	case reflect.Pointer:
		v.SetZero()
		changed(path + " nil")
		v.Set(old)
		leaves(v.Elem(), path, changed)
	case reflect.Slice:
		v.Set(old.Slice(0, old.Len()-1))
		changed(path + " shorter")
		v.Set(old)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("[]"))
			changed(path)
			v.Set(old)
			return
		}
		for i := range v.Len() {
			leaves(v.Index(i), fmt.Sprintf("%s[%d]", path, i), changed)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, changed)
		}
	}
}

// Every field of a request, at any depth, is part of the key: a change to any of them, and no other, gives a key of its own.
func TestKeyHoldsEveryField(t *testing.T) {
	r := full(t)
	seen := map[[32]byte]string{requestKey("m", "i", 1, r): "the request itself"}
	add := func(path string, key [32]byte) {
		if other, ok := seen[key]; ok {
			t.Errorf("a change of %s gives the key of %s", path, other)
		}
		seen[key] = path
	}
	fields := map[string]bool{}
	leaves(reflect.ValueOf(&r).Elem(), "Request", func(path string) {
		fields[path] = true
		add(path, requestKey("m", "i", 1, r))
	})
	add("the model's name", requestKey("n", "i", 1, r))
	add("the identity", requestKey("m", "j", 1, r))
	add("the seed", requestKey("m", "i", 2, r))
	add("name and identity swapped", requestKey("i", "m", 1, r))
	for _, path := range []string{"Request.Messages[1].Native", "Request.Messages[0].ToolCalls[1].Arguments", "Request.Tools[1].Parameters", "Request.Effort", "Request.Format.Schema",
		"Request.Format nil", "Request.Stop[1]", "Request.Temperature"} {
		if !fields[path] {
			t.Errorf("%s was not tried", path)
		}
	}
	if requestKey("m", "i", 1, r) != requestKey("m", "i", 1, full(t)) {
		t.Error("equal requests have other keys")
	}
	if requestKey("", "", 0, because.Request{}) != requestKey("", "", 0, because.Request{Messages: []because.Message{}, Stop: []string{}}) {
		t.Error("nil and empty lists have other keys")
	}
}

// Requests have one key if and only if they are equal.
func TestKeyTellsRequestsApart(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00\x01")), 0, 3, -1)
	request := rapid.Custom(func(t *rapid.T) because.Request {
		r := because.Request{Prefill: text.Draw(t, "prefill"), As: text.Draw(t, "as"), Stop: rapid.SliceOfN(text, 0, 2).Draw(t, "stop")}
		for range rapid.IntRange(0, 2).Draw(t, "messages") {
			r.Messages = append(r.Messages, because.Message{Role: because.Role(text.Draw(t, "role")), Content: text.Draw(t, "content"), Native: json.RawMessage(text.Draw(t, "native"))})
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := request.Draw(t, "a"), request.Draw(t, "b")
		if same := requestKey("m", "", 1, a) == requestKey("m", "", 1, b); same != cmp.Equal(a, b, cmpopts.EquateEmpty()) {
			t.Fatalf("%+v and %+v: one key is %v", a, b, same)
		}
	})
}
