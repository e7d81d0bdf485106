"""What the tests share: a job that the engine takes, and a tiny chat model."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

ENGINE = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
sys.path.insert(0, str(ENGINE))


def job_value(data: Path, model: str, out: Path, /, **changes: Any) -> dict[str, Any]:
    """Make a job's JSON. Keys of run are changed by run_KEY."""
    value: dict[str, Any] = {
        "version": 1, "method": "sft", "model": model, "data": str(data), "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "dtype": "float32", "seed": 7, "ordered": False, "rows": 4, "micro_batch": 2, "seq_len": 128, "long": "error", "epochs": 2, "steps": 0,
        "lr": 0.005, "schedule": "cosine", "floor": 0.1, "warmup": 2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": 0.01, "clip": 1.0,
        "run": {
            "out": out.as_uri(), "workers": 1, "gpus_per_worker": 0, "cpus_per_worker": 1, "strategy": "ddp", "recompute": False,
            "checkpoint_every": 2, "keep": 2, "retries": 1, "bf16": False,
        },
    }  # fmt: skip
    for key, change in changes.items():
        if key.startswith("run_"):
            value["run"][key[4:]] = change
        else:
            value[key] = change
    return value


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "q", "completion": "a"}\n')
    return job_value(data, "m", tmp_path / "out")


def save_tiny(folder: Path, layers: int = 2, hidden: int = 32) -> None:
    """Write a chat model of random weights with the tokenizer of tests/data/tinychat."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(DATA / "tinychat")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
