// Command finetune trains a checkpoint on rows of tokens, for the script that compares the result with PyTorch.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/train/finetune"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "finetune:", err)
		os.Exit(1)
	}
}

func run() error {
	model := flag.String("model", "", "folder or GGUF `file` of the start model")
	data := flag.String("data", "", "safetensors `file` with tokens and mask, each rows x length, as float32")
	rank := flag.Int("lora", 0, "rank of an adapter; 0 trains all parameters")
	o := finetune.Options{Ordered: true}
	flag.StringVar(&o.Out, "out", "", "`folder` to write")
	flag.IntVar(&o.Batch, "batch", 2, "rows of a packed batch")
	flag.IntVar(&o.Accumulate, "accumulate", 1, "packed batches per step")
	flag.IntVar(&o.Steps, "steps", 50, "updates")
	flag.IntVar(&o.Warmup, "warmup", 5, "steps of warm-up")
	flag.Float64Var(&o.LR, "lr", 1e-4, "peak learning rate")
	flag.Float64Var(&o.Clip, "clip", 1, "limit of the gradient's norm")
	flag.Parse()

	m, err := weights.LoadModel(*model)
	if err != nil {
		return err
	}
	rows, err := readRows(*data)
	if err != nil {
		return err
	}
	o.SeqLen = len(rows[0].Tokens)
	if *rank > 0 {
		o.LoRA, o.Merge = &finetune.LoRA{Rank: *rank, Base: *model}, true
	}
	o.Pool = kernel.NewPool(0)
	defer o.Pool.Close()
	res, err := finetune.Run(context.Background(), m, rows, o, func(done, total float64, _, note string) {
		fmt.Printf("step %.0f of %.0f: %s\n", done, total, note)
	})
	if err == nil {
		fmt.Printf("%+v\n", res)
	}
	return err
}

// readRows reads the rows and their masks.
func readRows(path string) (finetune.Sequences, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var columns [2][]float32
	length := 0
	for i, name := range []string{"tokens", "mask"} {
		info, ok := f.Find(name)
		if !ok || len(info.Shape) != 2 || info.Len() == 0 {
			return nil, fmt.Errorf("%s: %q is missing or no table", path, name)
		}
		length, columns[i] = info.Shape[1], make([]float32, info.Len())
		if err := f.Read(info, columns[i]); err != nil {
			return nil, err
		}
	}
	if len(columns[0]) != len(columns[1]) {
		return nil, fmt.Errorf("%s: tokens and mask differ in size", path)
	}
	var rows finetune.Sequences
	for at := 0; at < len(columns[0]); at += length {
		s := finetune.Sequence{Weights: columns[1][at : at+length]}
		for _, x := range columns[0][at : at+length] {
			s.Tokens = append(s.Tokens, int32(x))
		}
		rows = append(rows, s)
	}
	return rows, nil
}
