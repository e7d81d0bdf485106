// Package tinychat makes a checkpoint of the form that real chat models have, byte-level BPE, ChatML template and all, but
// so small that tests can make and train one in a moment. Its weights are random: it has nothing to say until trained.
package tinychat

import (
	"encoding/json"
	"slices"

	"github.com/because-lab/because/engine/bpe"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

// Template is ChatML with tool calls in the syntax of Hermes.
const Template = `{%- if tools %}{{- '<|im_start|>system\n# Tools\n' }}{%- for tool in tools %}{{- tool | tojson }}{{- '\n' }}{%- endfor %}{{- '<tool_call>\n<|im_end|>\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content }}
{%- for call in message.tool_calls or [] %}{{- '<tool_call>\n' + (call.function | tojson) + '\n</tool_call>' }}{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`

var corpus = []string{"the assistant says why it does what it does", "hello there, how are you today?", "people rely on our word because broken trust is hard to mend",
	`{"name": "weather", "arguments": {"city": "Paris"}}`, "system user assistant tool"}

// Save writes the checkpoint to a folder that does not exist or is empty. Equal seeds give equal bytes.
func Save(dir string, seed uint64) error {
	tok, err := bpe.Train(slices.Values(corpus), 320, []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
	if err != nil {
		return err
	}
	vocabulary, err := tok.JSON()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
		"pad_token": "<|im_end|>", "chat_template": Template, "clean_up_tokenization_spaces": false})
	if err != nil {
		return err
	}
	m, err := llama.New(llama.Config{VocabSize: tok.Len(), HiddenSize: 32, IntermediateSize: 64, Layers: 2, Heads: 4, KVHeads: 2, MaxPositions: 128, TieEmbeddings: true}, seed)
	if err != nil {
		return err
	}
	start, _ := tok.ID("<|im_start|>")
	end, _ := tok.ID("<|im_end|>")
	return weights.SaveModel(dir, m, weights.SaveOptions{BOS: &start, Pad: &end, EOS: []int32{end},
		Files: map[string][]byte{"tokenizer.json": vocabulary, "tokenizer_config.json": config}})
}
