"""Write what PyTorch, transformers and PEFT compute for the variants that fine-tuning meets.

    python tools/parity/train_variants.py

engine/llama/testdata/variants.safetensors holds, for tiny random models of
each family in float32 (Qwen2 with biases, Qwen3 with norms of the heads, Llama
with linear and with llama3 rotary scaling), under the family's name:

    tokens, targets, weights, starts   a packed batch, integers stored as float32
    param/NAME                         the parameters
    logits                             of every position, each document run by itself
    loss                               sum of weight * -log p(target)
    grad/NAME                          the gradient of that loss

and under "lora/" the same for a Llama model with PEFT adapters on every
projection: param/, logits, loss, and adapter/NAME, adapter_grad/NAME under the
names of PEFT's files. TestVariantParity and TestLoRAParity of engine/llama read it.

train/finetune/testdata/curve.safetensors holds 50 steps of fine-tuning a tiny
model, full and with PEFT, by transformers' loss and torch.optim.AdamW: the start
(param/, adapter/), the rows with their loss masks, and of each step the loss,
the gradient norm before clipping and the rate. TestCurve of train/finetune reads it.
"""

import json
import math
import pathlib

import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

MAGIC, VERSION = "because parity variants", "1"
ROOT = pathlib.Path(__file__).parents[2]
VARIANTS = ROOT / "engine/llama/testdata/variants.safetensors"
CURVE = ROOT / "train/finetune/testdata/curve.safetensors"
THETA = 700.0
SIZES = dict(
    vocab_size=41, hidden_size=20, intermediate_size=28, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=160, rms_norm_eps=1e-5,
)
LINEAR = dict(rope_type="linear", factor=3.0)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
LENGTHS = [5, 1, 40, 140]
LORA = dict(r=3, lora_alpha=6)
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

CURVE_SIZES = dict(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5,
)
STEPS, ROWS, LENGTH, DISTINCT = 50, 8, 32, 160
OPT = dict(rate=3e-3, floor=0.1, warmup=5, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, clip=1.0)


def make(config_class, seed, sizes=SIZES, rope=None, tied=True):
    torch.manual_seed(seed)
    config = config_class(**sizes, rope_parameters={"rope_theta": THETA, "rope_type": "default"} | (rope or {}), tie_word_embeddings=tied,
                          attn_implementation="eager", bos_token_id=None, eos_token_id=None, pad_token_id=None)
    if "head_dim" in sizes and config_class is Qwen2Config:
        config.head_dim = sizes["head_dim"]
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for p in model.parameters():
        torch.nn.init.normal_(p, mean=1.0 if p.dim() == 1 else 0.0, std=0.25)
    return model


def batch(gen, vocab):
    n = sum(LENGTHS)
    draw = lambda: torch.randint(0, vocab, (n,), generator=gen)
    weights = torch.rand(n, generator=gen) - 0.2
    weights[torch.rand(n, generator=gen) < 0.3] = 0
    starts = torch.tensor([sum(LENGTHS[:i]) for i in range(len(LENGTHS) + 1)])
    return dict(tokens=draw(), targets=draw(), weights=weights, starts=starts)


def loss_of(model, b):
    """Runs each document by itself; returns loss and logits."""
    logits = torch.cat([model(b["tokens"][lo:hi][None]).logits[0] for lo, hi in zip(b["starts"], b["starts"][1:])])
    logp = logits.log_softmax(-1).gather(1, b["targets"][:, None])[:, 0]
    return -(b["weights"] * logp).sum(), logits


def params(model):
    return {f"param/{n}": p.detach().clone() for n, p in model.named_parameters()}


def variant(config_class, seed, **more):
    model = make(config_class, seed, **more)
    b = batch(torch.Generator().manual_seed(seed), SIZES["vocab_size"])
    loss, logits = loss_of(model, b)
    loss.backward()
    out = {k: v.float() for k, v in b.items()} | params(model)
    out |= {f"grad/{n}": p.grad.clone() for n, p in model.named_parameters()}
    return out | dict(loss=loss.detach()[None], logits=logits.detach())


def adapted(model, seed):
    """A PEFT model whose B are not zero, and its factors by file name."""
    torch.manual_seed(seed)
    model = peft.get_peft_model(model, peft.LoraConfig(**LORA, target_modules=TARGETS, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"))
    return model, {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}


def lora_variant(seed):
    base = make(LlamaConfig, seed)
    out = params(base)
    model, factors = adapted(base, seed)
    with torch.no_grad():
        for n, p in factors.items():
            if "lora_B" in n:
                torch.nn.init.normal_(p, std=0.2)
    b = batch(torch.Generator().manual_seed(seed), SIZES["vocab_size"])
    loss, logits = loss_of(model, b)
    loss.backward()
    out |= {k: v.float() for k, v in b.items()} | dict(loss=loss.detach()[None], logits=logits.detach())
    out |= {f"adapter/{n}": p.detach().clone() for n, p in factors.items()}
    return out | {f"adapter_grad/{n}": p.grad.clone() for n, p in factors.items()}


def rate(step):
    """Linear warm-up, then a cosine to the floor at the last step."""
    if step < OPT["warmup"]:
        return (step + 1) / OPT["warmup"]
    progress = (step - OPT["warmup"]) / (STEPS - 1 - OPT["warmup"])
    return OPT["floor"] + (1 - OPT["floor"]) * (1 + math.cos(math.pi * progress)) / 2


def rows(gen):
    """Rows with something to learn: each token follows from the two before it, but for noise; the first part carries no loss."""
    tokens = torch.randint(0, CURVE_SIZES["vocab_size"], (DISTINCT, LENGTH), generator=gen)
    for i in range(2, LENGTH):
        follows = torch.rand(DISTINCT, generator=gen) < 0.85
        tokens[:, i] = torch.where(follows, (3 * tokens[:, i - 1] + tokens[:, i - 2]) % 17, tokens[:, i])
    first = torch.randint(1, LENGTH // 2, (DISTINCT, 1), generator=gen)
    mask = (torch.arange(LENGTH)[None] >= first).float()
    return tokens, mask


def train(model, trained, tokens, mask):
    opt = torch.optim.AdamW(trained, lr=OPT["rate"], betas=(OPT["beta1"], OPT["beta2"]), eps=OPT["eps"], weight_decay=OPT["weight_decay"])
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, rate)
    losses, norms, rates = [], [], []
    for step in range(STEPS):
        take = [(step * ROWS + i) % DISTINCT for i in range(ROWS)]
        labels = tokens[take].masked_fill(mask[take] == 0, -100)
        opt.zero_grad()
        loss = model(input_ids=tokens[take], labels=labels).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, OPT["clip"]))
        rates.append(schedule.get_last_lr()[0])
        opt.step()
        schedule.step()
        losses.append(loss.detach())
    return dict(loss=torch.stack(losses), norm=torch.stack(norms), rate=torch.tensor(rates, dtype=torch.float32))


def curve():
    tokens, mask = rows(torch.Generator().manual_seed(3))
    out = dict(tokens=tokens.float(), mask=mask)
    model = make(LlamaConfig, 4, sizes=CURVE_SIZES)
    out |= params(model)
    out |= {f"full/{k}": v for k, v in train(model, list(model.parameters()), tokens, mask).items()}
    model, factors = adapted(make(LlamaConfig, 4, sizes=CURVE_SIZES), 5)
    out |= {f"adapter/{n}": p.detach().clone() for n, p in factors.items()}
    return out | {f"lora/{k}": v for k, v in train(model, list(factors.values()), tokens, mask).items()}


def write(path, tensors, meta):
    meta |= dict(magic=MAGIC, version=VERSION, torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, meta)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def main():
    torch.use_deterministic_algorithms(True)
    made = dict(
        qwen2=variant(Qwen2Config, 1), qwen3=variant(Qwen3Config, 2, tied=False), linear=variant(LlamaConfig, 3, rope=LINEAR),
        llama3=variant(LlamaConfig, 4, rope=LLAMA3), lora=lora_variant(5),
    )
    tensors = {f"{name}/{k}": v for name, t in made.items() for k, v in t.items()}
    write(VARIANTS, tensors, dict(sizes=json.dumps(SIZES | dict(rope_theta=THETA)), linear=json.dumps(LINEAR), llama3=json.dumps(LLAMA3), lora=json.dumps(LORA)))
    write(CURVE, curve(), dict(sizes=json.dumps(CURVE_SIZES | dict(rope_theta=THETA)), optimizer=json.dumps(OPT), lora=json.dumps(LORA), steps=str(STEPS), rows=str(ROWS)))


if __name__ == "__main__":
    main()
