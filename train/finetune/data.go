package finetune

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
)

// Sequence is one training example in tokens.
type Sequence struct {
	Tokens []int32
	// Weights is the loss's factor for predicting each token, not negative; that of the first token is not used, since
	// nothing stands before it. nil means 1 for all.
	Weights []float32
	Name    string // where it comes from, for errors: "data.jsonl:12"; empty: its number
}

// Data gives the sequences to train on by their number. Row must give the same sequence each time; its slices are read
// until the next call. Tokenising and templates are its business.
type Data interface {
	Len() int
	Row(i int) (Sequence, error)
}

// Sequences is Data that is in memory.
type Sequences []Sequence

// Len counts the sequences.
func (s Sequences) Len() int { return len(s) }

// Row gives a sequence.
func (s Sequences) Row(i int) (Sequence, error) { return s[i], nil }

// Long is what becomes of sequences longer than the context.
type Long string

// The ways. Splitting suits documents: each piece is trained on by itself.
const (
	LongError Long = "error"
	LongCut   Long = "cut"
	LongSplit Long = "split"
)

// piece is a part of a row that is trained on: tokens from..to, whose weights have the sum given.
type piece struct {
	row, from, to int32
	weight        float64
}

// dataset is the data after its check: every piece has at least one token that carries loss.
type dataset struct {
	data    Data
	rows    int
	dropped int
	pieces  []piece
	hash    string // of all tokens and weights
}

// prepare reads all of the data once, checks it and cuts it into pieces.
func prepare(data Data, vocabulary int, o *Options) (*dataset, error) {
	n := data.Len()
	if n == 0 {
		return nil, because.E("fine-tune", "data", errors.New("there are no sequences to train on"), "")
	}
	if n > math.MaxInt32 {
		return nil, because.E("fine-tune", "data", fmt.Errorf("%d sequences are too many", n), "")
	}
	set, sum := &dataset{data: data, rows: n}, sha256.New()
	for i := range n {
		s, err := data.Row(i)
		if err == nil {
			err = s.check(vocabulary, o)
		}
		if err != nil {
			return nil, because.E("fine-tune", s.name(i), err, hintLong(err))
		}
		s.hash(sum)
		set.cut(i, &s, o)
	}
	if len(set.pieces) == 0 {
		return nil, because.E("fine-tune", "data", fmt.Errorf("nothing that carries loss is left of %d sequences after cutting them to %d tokens", n, o.SeqLen), "")
	}
	set.hash = hex.EncodeToString(sum.Sum(nil))
	return set, nil
}

func (s *Sequence) name(i int) string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("row %d", i+1)
}

var errLong = errors.New("longer than the context")

func hintLong(err error) string {
	if errors.Is(err, errLong) {
		return "raise the sequence length, or ask for long rows to be cut or split"
	}
	return ""
}

func (s *Sequence) check(vocabulary int, o *Options) error {
	if s.Weights != nil && len(s.Weights) != len(s.Tokens) {
		return fmt.Errorf("%d weights for %d tokens", len(s.Weights), len(s.Tokens))
	}
	if len(s.Tokens) > math.MaxInt32 || len(s.Tokens) > o.SeqLen && o.Long == LongError {
		return fmt.Errorf("%w: %d tokens, at most %d", errLong, len(s.Tokens), o.SeqLen)
	}
	for i, t := range s.Tokens {
		if t < 0 || int(t) >= vocabulary {
			return fmt.Errorf("token %d at position %d is outside the vocabulary of %d", t, i, vocabulary)
		}
	}
	for i, w := range s.Weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("weight %v at position %d is not a finite number from 0 on", w, i)
		}
	}
	if s.sum(0, len(s.Tokens)) == 0 {
		return errors.New("no token carries loss")
	}
	return nil
}

// sum adds the weights of a part, of which the first token is never predicted.
func (s *Sequence) sum(from, to int) float64 {
	total := 0.0
	for i := from + 1; i < to; i++ {
		total += float64(s.weight(i))
	}
	return total
}

func (s *Sequence) weight(i int) float32 {
	if s.Weights == nil {
		return 1
	}
	return s.Weights[i]
}

// cut adds the pieces of row i.
func (d *dataset) cut(i int, s *Sequence, o *Options) {
	before := len(d.pieces)
	for from := 0; from < len(s.Tokens); from += o.SeqLen {
		to := min(len(s.Tokens), from+o.SeqLen)
		if w := s.sum(from, to); w > 0 {
			d.pieces = append(d.pieces, piece{int32(i), int32(from), int32(to), w})
		}
		if o.Long != LongSplit {
			break
		}
	}
	if len(d.pieces) == before {
		d.dropped++
	}
}

// hash feeds lengths, tokens and weights to h.
func (s *Sequence) hash(h hash.Hash) {
	b := make([]byte, 0, 16+8*len(s.Tokens))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.Tokens)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.Weights)))
	for _, t := range s.Tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	for _, w := range s.Weights {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
	}
	h.Write(b)
}

// pack lays pieces back to back in b, which it empties first, with their weights divided by total.
func (d *dataset) pack(b *llama.Batch, pieces []piece, total float64) error {
	b.Tokens, b.Targets, b.Weights, b.Starts = b.Tokens[:0], b.Targets[:0], b.Weights[:0], append(b.Starts[:0], 0)
	for _, p := range pieces {
		s, err := d.data.Row(int(p.row))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(int(p.row)), err)
		}
		if int(p.to) > len(s.Tokens) {
			return fmt.Errorf("%s: the row has changed since it was first read", s.name(int(p.row)))
		}
		for i := int(p.from); i < int(p.to); i++ {
			target, weight := int32(0), float32(0)
			if i+1 < int(p.to) {
				target, weight = s.Tokens[i+1], float32(float64(s.weight(i+1))/total)
			}
			b.Tokens, b.Targets, b.Weights = append(b.Tokens, s.Tokens[i]), append(b.Targets, target), append(b.Weights, weight)
		}
		b.Starts = append(b.Starts, int32(len(b.Tokens)))
	}
	return nil
}

// names lists the rows of pieces for an error.
func (d *dataset) names(pieces []piece) string {
	var b bytes.Buffer
	for i, p := range pieces {
		if i == 8 {
			fmt.Fprintf(&b, " and %d more", len(pieces)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		s, _ := d.data.Row(int(p.row)) // a row that cannot be read has its number
		b.WriteString(s.name(int(p.row)))
	}
	return b.String()
}
