"""Write engine/llama/testdata/reference.safetensors: what PyTorch computes for two small Llama models.

    python tools/parity/make_reference.py

Each model (grouped-query attention; one with a tied head, one without) is a
LlamaForCausalLM of transformers in float32. The file holds, under "tied/" and
"untied/":

    tokens, targets, weights, starts   a packed batch, integers stored as float32
    param/NAME                         the parameters
    logits                             of every position, each document run by itself
    logprobs                           log p(target) of every position
    loss                               sum of weight * -log p(target)
    grad/NAME                          the gradient of that loss
    norm                               global gradient norm before each of STEPS steps
    stepped/NAME                       the parameters after STEPS steps of clipped AdamW

and the configs and hyper-parameters as JSON in its metadata. The test that
reads it is TestParity in engine/llama.
"""

import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

MAGIC, VERSION = "because parity reference", "1"
OUT = pathlib.Path(__file__).parents[2] / "engine/llama/testdata/reference.safetensors"
SIZES = dict(
    vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=96, rms_norm_eps=1e-5,
)
THETA = 500.0
LENGTHS = [5, 1, 33, 80, 16]
STEPS = 3
OPT = dict(rate=4e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.05, clip=1.0)


def batch(gen):
    n = sum(LENGTHS)
    draw = lambda: torch.randint(0, SIZES["vocab_size"], (n,), generator=gen)
    weights = torch.rand(n, generator=gen) - 0.2
    weights[torch.rand(n, generator=gen) < 0.3] = 0
    starts = torch.tensor([sum(LENGTHS[:i]) for i in range(len(LENGTHS) + 1)])
    return dict(tokens=draw(), targets=draw(), weights=weights, starts=starts)


def forward(model, b):
    """Runs each document by itself; returns loss, logits and log-probabilities."""
    rows = [model(b["tokens"][lo:hi][None]).logits[0] for lo, hi in zip(b["starts"], b["starts"][1:])]
    logits = torch.cat(rows)
    logp = logits.log_softmax(-1).gather(1, b["targets"][:, None])[:, 0]
    return -(b["weights"] * logp).sum(), logits, logp


def reference(tied, seed):
    torch.manual_seed(seed)
    config = LlamaConfig(**SIZES, rope_parameters={"rope_theta": THETA, "rope_type": "default"}, tie_word_embeddings=tied,
                         attn_implementation="eager", bos_token_id=None, eos_token_id=None)
    model = LlamaForCausalLM(config)
    for p in model.parameters():
        torch.nn.init.normal_(p, mean=1.0 if p.dim() == 1 else 0.0, std=0.25)
    b = batch(torch.Generator().manual_seed(seed))
    out = {k: v.float() for k, v in b.items()}
    copy = lambda kind, f: out.update({f"{kind}/{n}": f(p).detach().clone() for n, p in model.named_parameters()})
    copy("param", lambda p: p)

    opt = torch.optim.AdamW(model.parameters(), lr=OPT["rate"], betas=(OPT["beta1"], OPT["beta2"]), eps=OPT["eps"],
                            weight_decay=OPT["weight_decay"])
    norms = []
    for step in range(STEPS):
        opt.zero_grad()
        loss, logits, logp = forward(model, b)
        loss.backward()
        if step == 0:
            copy("grad", lambda p: p.grad)
            out |= dict(loss=loss.detach()[None], logits=logits.detach(), logprobs=logp.detach())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), OPT["clip"]))
        opt.step()
    copy("stepped", lambda p: p)
    out["norm"] = torch.stack(norms)
    return out


def main():
    tensors = {}
    for name, tied, seed in [("tied", True, 1), ("untied", False, 2)]:
        tensors |= {f"{name}/{k}": v.contiguous() for k, v in reference(tied, seed).items()}
    meta = dict(magic=MAGIC, version=VERSION, sizes=json.dumps(SIZES | dict(rope_theta=THETA)), optimizer=json.dumps(OPT),
                steps=str(STEPS), torch=torch.__version__, transformers=transformers.__version__)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, meta)
    print(f"{OUT}: {len(tensors)} tensors, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
