// Package llama trains and samples decoder-only transformers of the Llama
// architecture (Touvron et al. 2023, arXiv:2302.13971): RMSNorm before each
// sublayer, rotary positions, grouped-query attention (Ainslie et al. 2023,
// arXiv:2305.13245), SwiGLU and an output head that may be tied to the
// embedding; also what its relatives add: Qwen2's biases, Qwen3's norms of the
// heads, scaled rotary positions. Its arithmetic follows LlamaForCausalLM,
// Qwen2ForCausalLM and Qwen3ForCausalLM of Hugging Face transformers, so that
// checkpoints mean the same in both. Low-rank adapters ([LoRA]) follow PEFT.
//
// Everything is float32 over flat memory. Parameters are one allocation with
// named views into it (see [Model.Tensors]); gradients have the same layout.
// Backward passes are written by hand; tests compare each of them with finite
// differences and with PyTorch.
//
// The letters in the shape comments are
//
//	T  tokens of a packed batch         D  hidden size
//	F  intermediate size of the MLP     V  vocabulary size
//	H  query heads                      G  key and value heads (G divides H)
//	E  width of one head                L  layers
//	A  H*E, width of the queries        Q  (H+2G)*E, width of the fused queries, keys, values
//	r  rank of an adapter
//
// Results depend on the model, the input and the seed only: not on the number
// of workers, nor on how many sequences are decoded together.
package llama
