package main

import (
	"github.com/because-lab/because"
	"github.com/because-lab/because/model/local"
)

// openModel opens the model that --model names: a checkpoint folder.
func openModel(path string) (because.Model, error) { return local.Open(path, nil) }
