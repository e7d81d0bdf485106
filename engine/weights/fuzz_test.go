package weights

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"
)

// FuzzSafetensors checks that an accepted header describes the file exactly.
func FuzzSafetensors(f *testing.F) {
	var b bytes.Buffer
	if err := WriteSafetensors(&b, []Tensor{{"a", []int{2, 3}, make([]float32, 6)}, {"b", nil, []float32{1}}}, map[string]string{"k": "v"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:20])
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<63))
	for _, header := range []string{
		`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`,
		`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`,
		`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
		`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, `[]`, `{}x`, `{"a":1}`,
	} {
		f.Add(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+"12345678"...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		header, err := readHeader(bytes.NewReader(data), size)
		if err != nil {
			return
		}
		tensors, _, err := parseHeader(header, size)
		if err != nil {
			return
		}
		at := int64(len(header)) + 8
		for _, x := range tensors {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if x.start != at || n != x.Len() {
				t.Fatalf("%+v was accepted at byte %d", x, at)
			}
			at += x.bytes
		}
		if at != size {
			t.Fatalf("%d of %d bytes are described", at, size)
		}
	})
}

// FuzzConfig checks that an accepted config makes a valid model and survives a
// round trip.
func FuzzConfig(f *testing.F) {
	good, err := encodeConfig(testConfig, configOut{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	for name := range architectures() {
		f.Add(readFile(f, "testdata/"+name+"/config.json"))
	}
	f.Add(bytes.Replace(good, []byte(`"vocab_size": 9`), []byte(`"vocab_size": 9223372036854775807`), 1))
	f.Add(bytes.Replace(good, []byte(`5000`), []byte(`0`), -1))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted a config that is not valid: %v", err)
		}
		again, err := encodeConfig(withSizes(c), configOut{})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseConfig(again); err != nil || back != withSizes(c) {
			t.Fatalf("round trip gives %+v, %v; want %+v", back, err, c)
		}
	})
}

// FuzzIndex checks that an accepted index names files of its folder alone.
func FuzzIndex(f *testing.F) {
	f.Add(readFile(f, "testdata/qwen3/model.safetensors.index.json"))
	f.Add([]byte(`{"weight_map": {"a": "../b.safetensors"}}`))
	f.Add([]byte(`{"weight_map": {"a": "/b.safetensors", "c": ""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		shards, err := parseIndex(data)
		if err != nil {
			return
		}
		for tensor, file := range shards {
			if filepath.Join("f", file) != "f"+string(filepath.Separator)+file || filepath.Ext(file) != ".safetensors" {
				t.Fatalf("%q in %q was accepted", tensor, file)
			}
		}
	})
}
