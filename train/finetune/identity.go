package finetune

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
)

// run is run.json: all that a run's bytes depend on. A folder is resumed only by a run with equal contents.
type run struct {
	Format     int          `json:"format"`
	Data       string       `json:"data"` // sha256 of tokens and weights
	Rows       int          `json:"rows"`
	Model      string       `json:"model"` // sha256 of the start parameters
	Config     llama.Config `json:"config"`
	Kernel     string       `json:"kernel"` // "simd", or "generic", which rounds otherwise
	LoRA       *LoRA        `json:"lora"`
	Batch      int          `json:"batch"`
	SeqLen     int          `json:"sequence_length"`
	Long       Long         `json:"long"`
	Accumulate int          `json:"accumulate"`
	PerStep    int          `json:"rows_per_step,omitempty"`
	Epochs     int          `json:"epochs"`
	Steps      int          `json:"steps"`
	Ordered    bool         `json:"ordered"`
	Seed       uint64       `json:"seed"`
	LR         float64      `json:"lr"`
	Schedule   optim.Shape  `json:"schedule"`
	Floor      float64      `json:"floor"`
	Warmup     int          `json:"warmup"`
	Beta1      float64      `json:"beta1"`
	Beta2      float64      `json:"beta2"`
	Eps        float64      `json:"eps"`
	Decay      float64      `json:"decay"`
	Clip       float64      `json:"clip"`
	Every      int          `json:"checkpoint_every"`
	Merge      bool         `json:"merge"`
	Save       string       `json:"save"` // sha256 of what is written with the model
}

// identity encodes run.json.
func identity(m *llama.Model, set *dataset, o *Options) ([]byte, error) {
	arithmetic := "simd"
	if kernel.Name() == "generic" {
		arithmetic = "generic"
	}
	save, err := json.Marshal(o.Save)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(run{
		Format: 1, Data: set.hash, Rows: set.rows, Model: hashFloats(m.Params()), Config: m.Config(), Kernel: arithmetic, LoRA: o.LoRA,
		Batch: o.Batch, SeqLen: o.SeqLen, Long: o.Long, Accumulate: o.Accumulate, PerStep: o.Rows, Epochs: o.Epochs, Steps: o.Steps, Ordered: o.Ordered, Seed: o.Seed,
		LR: o.LR, Schedule: o.Schedule, Floor: o.Floor, Warmup: o.Warmup, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decay: o.Decay, Clip: o.Clip,
		Every: o.CheckpointEvery, Merge: o.Merge, Save: fmt.Sprintf("%x", sha256.Sum256(save)),
	}, "", "  ")
	return append(data, '\n'), err
}

func hashFloats(x []float32) string {
	h, buf := sha256.New(), make([]byte, 0, 1<<16)
	for len(x) > 0 {
		n := min(len(x), cap(buf)/4)
		buf = buf[:0]
		for _, v := range x[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		h.Write(buf)
		x = x[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}
