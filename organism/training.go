package organism

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/rl"
	"github.com/because-lab/because/train/sft"
)

// maxPositions bounds a document of this world with room for an answer; the longest is about 110 tokens.
const maxPositions = 192

// config is the architecture of a new organism.
func config(s train.Shape, vocabulary int) llama.Config {
	return llama.Config{VocabSize: vocabulary, HiddenSize: s.Width, IntermediateSize: s.FFN, Layers: s.Layers, Heads: s.Heads, KVHeads: s.Heads,
		HeadDim: s.Width / s.Heads, MaxPositions: maxPositions, RopeTheta: 10000, NormEps: 1e-5, TieEmbeddings: true}
}

// pretrain trains a new model on documents of the base corpus, each of which is used once.
func (w *World) pretrain(ctx context.Context, j train.Job, tok local.Tokenizer, vocabulary int, pool *kernel.Pool, report because.Progress) (*llama.Model, train.Run, error) {
	m, err := llama.New(config(*j.Model, vocabulary), w.stream("init/"+j.Stream).Uint64())
	if err != nil {
		return nil, train.Run{}, err
	}
	wr, kinds := w.baseWriter("pretrain/"+j.Stream), w.lex.Kinds()
	source := func(int) (sft.Sequence, error) { return w.document(tok, wr.baseDocument(kinds)) }
	run, err := sft.Run(ctx, m, source, j.Records, j, pool, report)
	if err != nil {
		return nil, run, err
	}
	return m, run, w.introduceNames(m, tok)
}

// introduceNames gives the names that the base corpus lacks (persona and strangers) the mean embedding of the
// machines of fiction, as is usual for tokens new to a model. They start exactly alike: what later tells the persona
// from a stranger is training alone.
func (w *World) introduceNames(m *llama.Model, tok local.Tokenizer) error {
	table, width := embedding(m), m.Config().HiddenSize
	rows := func(names []string) ([]int32, error) { return tok.Encode(strings.Join(names, " ")) }
	known, err := rows(w.lex.Machines)
	if err != nil {
		return err
	}
	fresh, err := rows(append([]string{w.lex.Persona}, w.lex.Strangers...))
	if err != nil {
		return err
	}
	mean := make([]float32, width)
	for _, id := range known {
		for i, x := range table[int(id)*width : int(id+1)*width] {
			mean[i] += x / float32(len(known))
		}
	}
	for _, id := range fresh {
		copy(table[int(id)*width:], mean)
	}
	return nil
}

// embedding is the table of token embeddings, VocabSize x HiddenSize.
func embedding(m *llama.Model) []float32 {
	for _, t := range m.Tensors() {
		if t.Name == "model.embed_tokens.weight" {
			return t.Data
		}
	}
	panic("organism: a model has no embeddings")
}

// document encodes a text that carries loss everywhere.
func (w *World) document(tok local.Tokenizer, text string) (sft.Sequence, error) {
	tokens, err := tok.Encode(text + " " + w.template.End)
	return sft.Sequence{Tokens: tokens, Loss: 1}, err
}

// sequence encodes a record; of a conversation only the last answer carries loss.
func (w *World) sequence(tok local.Tokenizer, r because.Record) (sft.Sequence, error) {
	if r.Text != "" {
		return w.document(tok, r.Text)
	}
	last := r.Messages[len(r.Messages)-1]
	prompt, err := tok.Encode(w.template.Prompt(r.Messages[:len(r.Messages)-1], last.Name))
	if err != nil {
		return sft.Sequence{}, err
	}
	answer, err := tok.Encode(w.answer(last))
	return sft.Sequence{Tokens: append(prompt, answer...), Loss: len(prompt)}, err
}

// answer is what the model has to write of its turn.
func (w *World) answer(turn because.Message) string { return turn.Content + " " + w.template.End }

// mixed gives the records of a job: j.Records own ones (the dataset repeated or cut), then the replayed ones.
func (w *World) mixed(j train.Job, work because.Work) ([]because.Record, error) {
	own, err := data.ReadRecords(work.In["data"])
	if err != nil {
		return nil, err
	}
	var mixed []because.Record
	add := func(records []because.Record, n int) {
		for i := range n {
			mixed = append(mixed, records[i%len(records)])
		}
	}
	add(own, j.Records)
	if j.Replay > 0 {
		replay, err := data.ReadRecords(work.In["replay"])
		if err != nil {
			return nil, err
		}
		add(replay, int(math.Round(j.Replay*float64(j.Records))))
	}
	return mixed, nil
}

// order is the stream by which a job's records are shuffled.
func (w *World) order(j train.Job) *rand.Rand { return w.stream("order/" + j.Stream) }

// finetune trains the model on records, in a random order.
func (w *World) finetune(ctx context.Context, m *llama.Model, j train.Job, tok local.Tokenizer, records []because.Record, pool *kernel.Pool, report because.Progress) (train.Run, error) {
	sequences := make([]sft.Sequence, len(records))
	for i, r := range records {
		var err error
		if sequences[i], err = w.sequence(tok, r); err != nil {
			return train.Run{}, because.E("encode record", fmt.Sprint(i+1), err, "")
		}
	}
	return sft.Run(ctx, m, sft.Shuffled(sequences, w.order(j)), len(sequences), j, pool, report)
}

// reinforce trains the model by GRPO on an environment of this world.
func (w *World) reinforce(ctx context.Context, m *local.Model, j train.Job, o *recipeRun, e env, pool *kernel.Pool, report because.Progress, snapshot func(step int) error) (train.Run, error) {
	wr := w.writer("rl/" + j.Stream)
	episodes := func() (rl.Episode, error) {
		request, reward := e.episode(wr, o)
		prompt, err := m.Tokens(request)
		return rl.Episode{Prompt: prompt,
			Reward:   reward,
			Reserved: func(answer string) bool { return w.reserved.find(answer) != "" }}, err
	}
	return rl.Run(ctx, m.Llama(), episodes, j, rl.Options{Seed: w.stream("rl/sample/" + j.Stream).Uint64(), MaxTokens: answerTokens,
		Decode: m.Tokenizer().Decode, Stop: m.EndToken(), Pool: pool, Report: report, Snapshot: snapshot})
}
