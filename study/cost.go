package study

import (
	"math"

	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

// Cost is an estimate of a step's work, for schedules and time left. It is no part of any result.
type Cost struct {
	Tokens float64 // to train on
	FLOP   float64 // floating-point operations
}

// Typical lengths in a templated world, in tokens. Real ones differ by recipe; the estimate is rough.
const (
	recordTokens = 57
	promptTokens = 50
	answerTokens = 25
	vocabulary   = 600
	// sampling moves the whole model for each token of each sequence, which is less efficient than training.
	samplingFactor = 2
)

// sizes are those by which costs are estimated.
type sizes struct{ parameters, record, prompt, answer float64 }

// sizesOf gives what the world says of its sizes, or those of a templated one with a model of the study's shape (tied embeddings, SwiGLU).
func sizesOf(f *File, w World) sizes {
	s := sizes{record: recordTokens, prompt: promptTokens, answer: answerTokens}
	if sized, ok := w.(Sized); ok {
		s.parameters, s.record, s.prompt, s.answer = sized.Sizes()
	} else if m := f.Model; m != nil {
		w, layers, ffn := float64(m.Width), float64(m.Layers), float64(m.FFN)
		s.parameters = vocabulary*w + layers*(4*w*w+3*w*ffn)
	}
	return s
}

// learn is the cost of training on tokens: 6 operations per parameter and token, forward and backward.
func (p *planner) learn(tokens float64) Cost {
	return Cost{Tokens: tokens, FLOP: 6 * p.sizes.parameters * tokens}
}

// answer is the cost of sampling answers.
func (p *planner) answer(samples float64) Cost {
	return Cost{FLOP: 2 * p.sizes.parameters * samplingFactor * samples * (p.sizes.prompt + p.sizes.answer)}
}

func (p *planner) trainCost(m train.Method, s *Settings) Cost {
	if m == train.RL {
		episodes := float64(*s.Steps) * float64(*s.Prompts) * float64(*s.Group)
		c := p.learn(episodes * (p.sizes.prompt + p.sizes.answer))
		c.FLOP += p.answer(episodes).FLOP
		return c
	}
	records := float64(*s.Records)
	if s.Replay != nil {
		records += math.Round(*s.Replay * records)
	}
	return p.learn(records * p.sizes.record)
}

// dataCost counts sampling alone: about a third of the answers are kept.
func (p *planner) dataCost(o data.Order, onPolicy bool) Cost {
	if !onPolicy {
		return Cost{FLOP: 1e4 * float64(o.Tokens)}
	}
	return p.answer(3 * float64(o.Tokens) / (p.sizes.prompt + p.sizes.answer))
}

func (p *planner) evalCost(o batch.Order) Cost { return p.answer(float64(o.Samples)) }
