"""PyTorch's side of compare.py: prepares a workload, says "ready", runs one round for every line it reads.

    python peer.py eager|compile|generate WORKLOAD THREADS

eager and compile train a lean Llama in plain PyTorch (fused projections,
scaled_dot_product_attention, fused AdamW): a stronger peer than the transformers
class. generate is transformers' LlamaForCausalLM.generate().
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Layer(nn.Module):
    def __init__(self, width, heads, ffn):
        super().__init__()
        self.heads = heads
        self.norm_attn, self.norm_mlp = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        self.project_qkv = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        self.project_up = nn.Linear(width, 2 * ffn, bias=False)
        self.project_down = nn.Linear(ffn, width, bias=False)

    def turn(self, x, cos, sin):
        left, right = x.chunk(2, dim=-1)
        return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)

    def forward(self, x, cos, sin):
        documents, length, width = x.shape
        qkv = self.project_qkv(self.norm_attn(x)).view(documents, length, 3, self.heads, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(dim=2))
        mixed = F.scaled_dot_product_attention(self.turn(q, cos, sin), self.turn(k, cos, sin), v, is_causal=True)
        x = x + self.project_out(mixed.transpose(1, 2).reshape(documents, length, width))
        gate, up = self.project_up(self.norm_mlp(x)).chunk(2, dim=-1)
        return x + self.project_down(F.silu(gate) * up)


class Llama(nn.Module):
    """Returns the mean cross-entropy; the head is tied."""

    def __init__(self, w):
        super().__init__()
        self.embed = nn.Embedding(w["vocab"], w["width"])
        self.layers = nn.ModuleList(Layer(w["width"], w["heads"], w["ffn"]) for _ in range(w["layers"]))
        self.norm = nn.RMSNorm(w["width"], eps=1e-5)
        half = w["width"] // w["heads"] // 2
        angle = torch.arange(w["length"])[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=1 / math.sqrt(p.shape[1]))

    def forward(self, tokens, targets):
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return F.cross_entropy(F.linear(self.norm(x), self.embed.weight).flatten(0, 1), targets.flatten())


def training(w, compiled):
    model = Llama(w)
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens, targets = torch.randint(w["vocab"], (2, w["documents"], w["length"]))

    def round():
        for _ in range(w["steps"]):
            loss = forward(tokens, targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()
        return w["steps"] * tokens.numel()

    return round


def sampling(w):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=w["vocab"], hidden_size=w["width"], intermediate_size=w["ffn"], num_hidden_layers=w["layers"],
                         num_attention_heads=w["heads"], max_position_embeddings=w["prompt"] + w["new"], tie_word_embeddings=True,
                         bos_token_id=None, eos_token_id=None, pad_token_id=0, attn_implementation="sdpa")
    model = LlamaForCausalLM(config).eval()
    prompts = torch.randint(w["vocab"], (w["sequences"], w["prompt"]))

    def round():
        with torch.inference_mode():
            out = model.generate(prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=w["new"], min_new_tokens=w["new"],
                                 do_sample=True, temperature=1.0, top_k=0)
        return (out.shape[1] - w["prompt"]) * len(prompts)

    return round


def main():
    mode, w, threads = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    round = sampling(w) if mode == "generate" else training(w, mode == "compile")
    for _ in range(1 if mode == "generate" else 3):
        round()
    print("ready", torch.__version__, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = round()
        print(json.dumps(dict(tokens=tokens, wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)), flush=True)


if __name__ == "__main__":
    main()
