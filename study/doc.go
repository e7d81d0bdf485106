// Package study runs studies: arms x seeds x evals as one cached graph of steps, and the claims that they test.
//
//	File    what is asked: a strict YAML file, or the same filled in by Go
//	World   what a target offers: recipes, training, tasks
//	Study   both together, checked and planned; Plan shows it, Run runs it
//
// A study is planned before anything runs. Each step (a dataset, a training run, an evaluation) is kept in a store under
// the hash of its order, code version and inputs, so a run that was interrupted continues where it stopped, and equal
// orders are carried out once. When all steps are there, the numbers are gathered from their files into results.json
// and what people read beside it. That is a pure function of the steps' contents and is done every time.
package study
