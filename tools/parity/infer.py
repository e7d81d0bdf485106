"""Write engine/infer/testdata/reference.safetensors: what transformers computes for small random decoders.

    python tools/parity/infer.py

One model each of Qwen2 (biases), Qwen3 (norms of queries and keys), and Llama with linear and llama3 RoPE scaling, in
float32. The file holds, under the model's name:

    param/NAME   the parameters (without the head, which is tied)
    tokens       a text, integers stored as float32
    logits       of every position
    greedy       the likeliest continuation of the first PROMPT tokens

and the sizes as JSON in its metadata. The test that reads it is TestParityWithTransformers in engine/infer.
"""

import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

MAGIC, VERSION = "because inference reference", "1"
OUT = pathlib.Path(__file__).parents[2] / "engine/infer/testdata/reference.safetensors"
SIZES = dict(
    vocab_size=67, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=True,
)
THETA, LENGTH, PROMPT, ANSWER = 2000.0, 150, 40, 32
ROPE = {
    "linear": dict(rope_type="linear", factor=4.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
}


def build(name):
    rope = dict(rope_theta=THETA) | ROPE.get(name, dict(rope_type="default"))
    config, model = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}.get(
        name, (LlamaConfig, LlamaForCausalLM))
    return model(config(**SIZES, rope_parameters=rope, attn_implementation="eager", bos_token_id=None, eos_token_id=None, pad_token_id=None)).eval()


@torch.inference_mode()
def reference(name, seed):
    torch.manual_seed(seed)
    model = build(name)
    for key, p in model.named_parameters():
        torch.nn.init.normal_(p, mean=1.0 if key.endswith("norm.weight") else 0.0, std=0.25)
    tokens = torch.randint(0, SIZES["vocab_size"], (LENGTH,))
    greedy = model.generate(tokens[None, :PROMPT], max_new_tokens=ANSWER, do_sample=False)[0, PROMPT:]
    out = {f"param/{key}": p.detach().clone() for key, p in model.named_parameters()}
    return out | dict(tokens=tokens.float(), logits=model(tokens[None]).logits[0], greedy=greedy.float())


def main():
    tensors = {}
    for seed, name in enumerate(["qwen2", "qwen3", "linear", "llama3"]):
        tensors |= {f"{name}/{key}": v.contiguous() for key, v in reference(name, seed).items()}
    meta = dict(magic=MAGIC, version=VERSION, sizes=json.dumps(SIZES | dict(rope_theta=THETA)), prompt=str(PROMPT), rope=json.dumps(ROPE),
                torch=torch.__version__, transformers=transformers.__version__)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, meta)
    print(f"{OUT}: {len(tensors)} tensors, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
