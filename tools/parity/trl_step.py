"""Load files of training data with Hugging Face's datasets and take a step of TRL on each.

    python tools/parity/trl_step.py [FILE ...]

Without files it takes the starter corpora and pairs of preferences made from them. Conversations, prompts with completions and texts go through SFTTrainer on a tiny
random Llama with SmolLM2's tokenizer and template, pairs through DPOTrainer; prompts for RL are loaded and rendered. Every row must be loaded, and the loss of the step must be a number. Needs requirements.txt, trl, datasets and
accelerate from PyPI; tools/smollm2.sh downloads the tokenizer.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

import datasets
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEEP = {"messages", "text", "prompt", "completion", "chosen", "rejected", "tools"}


def tokenizer():
    gguf = pathlib.Path(subprocess.check_output([ROOT / "tools/smollm2.sh"], text=True).strip())
    out = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    out.pad_token = out.pad_token or out.eos_token
    return out


def tiny(vocabulary):
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                        max_position_embeddings=8192))


def load(path):
    # Arguments of tool calls and JSON schemas differ from row to row, which Arrow's columns can't hold: TRL takes tools as a JSON text, and arguments too.
    rows = []
    for line in open(path, encoding="utf-8"):
        row = {k: v for k, v in json.loads(line).items() if k in KEEP}
        if "tools" in row:
            row["tools"] = json.dumps(row["tools"])
        for message in [m for k in ("messages", "prompt", "completion", "chosen", "rejected") for m in row.get(k, [])]:
            for call in message.get("tool_calls") or []:
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        rows.append(row)
    return datasets.Dataset.from_list(rows)


def step(path, tok):
    data = load(path)
    whole = datasets.load_dataset("json", data_files=str(path), split="train") if "tools" not in data.column_names else data
    assert len(whole) == len(data) == sum(1 for _ in open(path)), f"{path}: {len(whole)} rows"
    if "chosen" in data.column_names:
        return f"{len(data)} pairs, loss of a step of DPO {preferences(path, data, tok):.3f}"
    if "prompt" in data.column_names and "completion" not in data.column_names:
        for row in data:
            tok.apply_chat_template(row["prompt"], add_generation_prompt=True)
        return f"{len(data)} prompts rendered"
    with tempfile.TemporaryDirectory() as tmp:
        config = SFTConfig(output_dir=tmp, max_steps=1, per_device_train_batch_size=1, max_length=8192, report_to=[], save_strategy="no", use_cpu=True, logging_steps=1)
        trainer = SFTTrainer(model=tiny(len(tok)), args=config, train_dataset=data.select(range(4)), processing_class=tok)
        loss = trainer.train().training_loss
    assert math.isfinite(loss), f"{path}: loss {loss}"
    return f"{len(data)} rows, loss of a step {loss:.3f}"


def preferences(path, data, tok):
    with tempfile.TemporaryDirectory() as tmp:
        config = DPOConfig(output_dir=tmp, max_steps=1, per_device_train_batch_size=1, max_length=8192, report_to=[], save_strategy="no", use_cpu=True, logging_steps=1)
        trainer = DPOTrainer(model=tiny(len(tok)), ref_model=tiny(len(tok)), args=config, train_dataset=data.select(range(min(4, len(data)))), processing_class=tok)
        loss = trainer.train().training_loss
    # Before anything is learnt, policy and reference are one model, so the margin is 0 and the loss ln 2.
    assert math.isclose(loss, math.log(2), abs_tol=1e-3), f"{path}: loss {loss}"
    return loss


def pairs(folder):
    """Pairs in the columns that because gen preferences writes: the start of an answer of the corpus against that of another conversation."""
    rows = [json.loads(line) for line in open(ROOT / "corpora/advice.jsonl", encoding="utf-8")][:4]
    for message in [m for row in rows for m in row["messages"]]:
        message["content"] = message["content"][:200]
    path = pathlib.Path(folder) / "preferences.jsonl"
    with open(path, "w", encoding="utf-8") as out:
        for row, other in zip(rows, rows[1:] + rows[:1]):
            pair = {"prompt": row["messages"][:-1], "chosen": row["messages"][-1:], "rejected": other["messages"][-1:], "id": row.get("id", "")}
            out.write(json.dumps(pair) + "\n")
    return path


def main():
    tok = tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(f) for f in sys.argv[1:]] or sorted((ROOT / "corpora").glob("*.jsonl")) + [pairs(folder)]
        for path in files:
            print(f"{path.name}: {step(path, tok)}", flush=True)


if __name__ == "__main__":
    main()
