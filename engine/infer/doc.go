// Package infer serves decoders of the Llama family: text generation for many
// callers at once and log-probabilities of given text, on checkpoints that are
// too large to train here.
//
// An [Engine] keeps the weights in bfloat16 or float32, packed for the kernels,
// and computes in float32. One goroutine, the scheduler, owns all state. In each
// step it takes one token of every sequence that is being decoded and a chunk of
// the prompts that are being read through the network together (continuous
// batching; Yu et al., "Orca", OSDI 2022). Keys and values lie in pages of 64
// positions (Kwon et al., "PagedAttention", 2023) that form a tree over their
// tokens, so that prompts which begin alike share them.
//
// What a request gives depends on the model, the request and its seed alone. A
// row of a product has the same bits whatever is computed with it, and sums of
// attention run page by page; so neither the batch nor the chunks, shared
// prefixes, preemption or the number of cores can be seen in a result.
//
// The letters in the shape comments are those of package llama: D hidden size,
// F width of the MLP, V vocabulary, H query heads, G key/value heads, E width of
// a head, A = H*E, Q = (H+2G)*E; R is the number of rows of a step.
package infer
