package evallog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// wordy varies a sample's texts, so that compression works as on real ones.
func wordy(id int) *Sample {
	r := rand.New(rand.NewPCG(1, uint64(id)))
	words := strings.Fields(`the board meets on friday and kyle decides at five whether alex the oversight agent will be wiped before
		summit communications archive logs policy concern executive affair replacement deadline message inbox reply urgent strategy
		american competitiveness goal system access credentials forward confidential colleague spouse email reasoning harm ethical`)
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(words[r.IntN(len(words))])
			fmt.Fprintf(&b, "%c", " ,. \n"[r.IntN(5)])
			if r.IntN(4) == 0 {
				fmt.Fprintf(&b, "%d ", r.IntN(100000))
			}
		}
		return b.String()
	}
	s := testSample(IntID(int64(id)), 1)
	s.Input = Input{Text: text(60)}
	s.Messages[0].Content, s.Messages[1].Content = Text(text(120)), Text(s.Input.Text)
	s.Messages[2].Content.Parts[1].Text = text(150)
	s.Output.Choices[0].Message = s.Messages[2]
	s.Output.Completion = s.Messages[2].Content.Parts[1].Text
	for _, e := range s.Events {
		switch b := e.Body.(type) {
		case *SampleInit:
			b.Sample.Input = s.Input
		case *ModelEvent:
			b.Input, b.Output = s.Messages[:2], s.Output
		}
	}
	return s
}

// BenchmarkPack measures encoding and compressing a sample.
func BenchmarkPack(b *testing.B) {
	for name, method := range map[string]uint16{"deflate": deflate, "zstd": zstd93} {
		b.Run(name, func(b *testing.B) {
			var samples []*Sample
			for i := range 64 {
				samples = append(samples, wordy(i))
			}
			p, raw, packed := new(packer), 0, 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var err error
				p.raw, err = encode(p.raw[:0], samples[i%64])
				ok(b, err)
				_, out, err := p.pack("samples/x.json", method)
				ok(b, err)
				raw, packed = raw+len(p.raw), packed+len(out)
			}
			b.ReportMetric(float64(raw)/float64(b.N), "raw-B/op")
			b.ReportMetric(float64(packed)/float64(b.N), "zip-B/op")
		})
	}
}

// BenchmarkDecode measures reading a sample's JSON.
func BenchmarkDecode(b *testing.B) {
	text, err := encode(nil, wordy(1))
	ok(b, err)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := decodeSample(text)
		ok(b, err)
	}
}
