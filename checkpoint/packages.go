package checkpoint

// packages are those whose code decides what a kind of step produces: this one, what the part of it that does the step imports, and all that those import. So
// other words of an evaluation don't train anew. The nouns of the root are not among them; a change there shows in a package that uses them.
var packages = map[string][]string{
	kindData: {
		"checkpoint", "constitution", "data", "data/advice", "data/augment", "data/augment/probes", "data/augment/requests",
		"data/augment/variants", "data/catalog", "data/columns", "data/conduct", "data/document", "data/internal/words", "data/parquet",
		"data/pipe", "data/preference", "data/prompts", "data/quality", "data/story", "engine/bpe", "engine/gguf", "engine/infer",
		"engine/kernel", "engine/llama", "engine/optim", "engine/tokenizer", "engine/weights", "internal/input", "internal/stats",
		"internal/whole", "judge", "model", "model/chat", "model/internal/batch", "model/internal/wire", "model/openai", "model/pretrained",
		"scenario",
	},
	kindTrain: {
		"checkpoint", "data", "engine/bpe", "engine/gguf", "engine/infer", "engine/kernel", "engine/llama", "engine/optim", "engine/tokenizer",
		"engine/weights", "internal/input", "internal/whole", "model", "model/chat", "model/pretrained", "train", "train/finetune",
	},
	kindRL: {
		"checkpoint", "data", "data/columns", "data/internal/words", "data/parquet", "engine/bpe", "engine/gguf", "engine/infer",
		"engine/kernel", "engine/llama", "engine/optim", "engine/tokenizer", "engine/weights", "internal/input", "internal/stats",
		"internal/whole", "judge", "model", "model/chat", "model/pretrained", "train", "train/reward",
	},
	kindEval: {
		"checkpoint", "constitution", "engine/bpe", "engine/gguf", "engine/infer", "engine/kernel", "engine/llama", "engine/optim",
		"engine/tokenizer", "engine/weights", "eval", "eval/batch", "eval/evallog", "eval/honeypot", "eval/understanding", "internal/input",
		"internal/stats", "judge", "model", "model/chat", "model/internal/batch", "model/internal/wire", "model/openai", "model/pretrained",
		"scenario",
	},
}
