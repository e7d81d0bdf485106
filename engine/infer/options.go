package infer

import (
	"errors"
	"fmt"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// Precision says how an engine keeps its weights. Activations, keys, values and
// sums are float32 in any case.
type Precision string

// The precisions. BF16 is exact for checkpoints in bfloat16 and rounds others.
const (
	BF16 Precision = "bf16"
	F32  Precision = "f32"
)

// Options says how an engine runs. Apart from Precision nothing here affects a result.
type Options struct {
	Precision Precision // "" means BF16
	MaxBatch  int       // sequences that run together; 0 means 32
	MaxQueue  int       // requests of Generate that may wait; beyond it ErrBusy; 0 means 1024
	KVTokens  int       // positions that keys and values are kept for, in all; 0 means what 1 GiB holds
	Chunk     int       // most prompt tokens of a step; 0 means 256; a quarter of it while others decode
	MinPrefix int       // shortest shared prefix that is reused; 0 means 8, negative none
	Workers   int       // threads; 0 means one for each processor
}

// The errors that a caller may want to tell apart.
var (
	// ErrClosed is what calls get on a closed engine.
	ErrClosed = errors.New("infer: the engine is closed")
	// ErrBusy is what Generate gets when Options.MaxQueue requests wait already.
	ErrBusy = errors.New("infer: too many requests are waiting")
	// ErrStop is for emit functions to end an answer: it is then complete, not failed.
	ErrStop = errors.New("infer: stop")
	// ErrTooLong is in the chain of errors about requests that can never fit.
	ErrTooLong = errors.New("longer than the model or its cache allows")
)

// The memory for keys and values unless KVTokens says otherwise: so many bytes,
// or more for a model so large that they would not hold a sequence of usualTokens.
const (
	defaultKVBytes = 1 << 30
	usualTokens    = 4096
)

// check fills in defaults and reports the first option that makes no sense.
func (o Options) check(c llama.Config) (Options, error) {
	for _, f := range []struct {
		name  string
		value int
	}{{"MaxBatch", o.MaxBatch}, {"MaxQueue", o.MaxQueue}, {"KVTokens", o.KVTokens}, {"Chunk", o.Chunk}, {"Workers", o.Workers}} {
		if f.value < 0 {
			return o, fmt.Errorf("infer: options: %s is %d, want 0 or a positive number", f.name, f.value)
		}
	}
	if o.Precision == "" {
		o.Precision = BF16
	}
	if o.Precision != BF16 && o.Precision != F32 {
		return o, fmt.Errorf("infer: options: precision %q, want %q or %q", o.Precision, BF16, F32)
	}
	setDefault(&o.MaxBatch, 32)
	setDefault(&o.MaxQueue, 1024)
	setDefault(&o.Chunk, 256)
	setDefault(&o.MinPrefix, 8)
	if o.KVTokens == 0 {
		perToken := pageFloats(c) * 4 / kernel.PageTokens
		o.KVTokens = max(defaultKVBytes/perToken, min(c.MaxPositions, usualTokens))
		o.KVTokens = min(o.KVTokens/kernel.PageTokens*kernel.PageTokens, roundUp(c.MaxPositions, kernel.PageTokens)*o.MaxBatch)
	}
	o.KVTokens = roundUp(o.KVTokens, kernel.PageTokens)
	return o, nil
}

func setDefault(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// Need is the memory that an engine takes, in bytes.
type Need struct {
	Weights int64 // at once
	KV      int64 // at most, as sequences come
	Work    int64 // activations, at most
}

// Total is the sum.
func (n Need) Total() int64 { return n.Weights + n.KV + n.Work }

// Estimate says how much memory [New] and the engine's work will take, before anything is allocated.
func Estimate(c llama.Config, o Options) (Need, error) {
	c, err := complete(c)
	if err != nil {
		return Need{}, err
	}
	if o, err = o.check(c); err != nil {
		return Need{}, err
	}
	size := int64(2)
	if o.Precision == F32 {
		size = 4
	}
	d, f, v := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.VocabSize)
	layer := d*int64(qkvWidth(c)) + d*int64(attnWidth(c)) + 3*d*f
	tables := int64(2)
	if c.TieEmbeddings {
		tables = 1
	}
	n := Need{Weights: size * (int64(c.Layers)*layer + tables*d*v)}
	pages := int64(o.KVTokens / kernel.PageTokens)
	n.KV = 4 * pages * int64(pageFloats(c))
	rows := int64(o.MaxBatch + o.Chunk)
	n.Work = 4 * (rows*(2*d+int64(qkvWidth(c)+attnWidth(c))+3*f) + headRows*(d+v) + int64(positions(c, o)*c.HeadDim))
	return n, nil
}

// complete fills the fields of a config whose zero value stands for a default, and checks it.
func complete(c llama.Config) (llama.Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	setDefault(&c.KVHeads, c.Heads)
	setDefault(&c.HeadDim, c.HiddenSize/c.Heads)
	if c.RopeTheta == 0 {
		c.RopeTheta = 10000
	}
	if c.NormEps == 0 {
		c.NormEps = 1e-5
	}
	return c, nil
}

func attnWidth(c llama.Config) int { return c.Heads * c.HeadDim }                 // A
func qkvWidth(c llama.Config) int  { return (c.Heads + 2*c.KVHeads) * c.HeadDim } // Q

// positions is the length of the longest sequence.
func positions(c llama.Config, o Options) int { return min(c.MaxPositions, o.KVTokens) }
