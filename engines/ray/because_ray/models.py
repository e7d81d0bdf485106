"""Loads models, tokenizers and adapters by name or URI, and writes what was trained as Hugging Face folders."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from because_ray import storage
from because_ray.errors import MEMORY, MODEL, Failure, classify
from because_ray.job import Job, LoRA
from because_ray.text import Text


@contextlib.contextmanager
def _explained(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except (Failure, ImportError):
        raise
    except Exception as e:
        found = classify(e)
        if found.kind == MEMORY:
            raise found from e
        hint = (
            "is the name right, and does the cluster reach the hub, with HF_TOKEN in the job's environment if need be?"
        )
        raise Failure(MODEL, f"{what} {name}: {found.message}", "" if os.path.isdir(name) else hint) from e


def local_name(name: str) -> str:
    """Give what transformers can load: a path in this node for a URI, a hub's name as it is."""
    return storage.localise(name) if storage.is_uri(name) or name.startswith("/") else name


def _revision(job: Job) -> dict[str, str]:
    return {"revision": job.revision} if job.revision else {}


def load_tokenizer(job: Job) -> Any:
    """Load the tokenizer, with the job's chat template in place of its own where it has one."""
    from transformers import AutoTokenizer

    with _explained("read the tokenizer of", job.model):
        tokenizer = AutoTokenizer.from_pretrained(local_name(job.model), **_revision(job))
    if job.chat_template:
        tokenizer.chat_template = job.chat_template
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def load_text(job: Job) -> tuple[Text, int]:
    """Give the tokenizer with the marks that end an answer, and the size of the model's vocabulary."""
    from transformers import AutoConfig, GenerationConfig

    tokenizer, name = load_tokenizer(job), local_name(job.model)
    with _explained("read the configuration of", job.model):
        config = AutoConfig.from_pretrained(name, **_revision(job)).get_text_config()
    try:
        end = GenerationConfig.from_pretrained(name, **_revision(job)).eos_token_id
    except OSError:
        end = None
    end = config.eos_token_id if end is None else end
    ends = set(end) if isinstance(end, list) else {end} - {None}
    return Text(tokenizer, ends), int(config.vocab_size)


def weights_dtype(job: Job, gpu: bool) -> Any:
    """Say in which type the weights lie.

    bfloat16 trains on GPUs with float32 master weights, or on a frozen bfloat16 base.

    On a CPU all is float32, which differs by rounding alone.
    """
    import torch

    return torch.bfloat16 if gpu and job.dtype == "bfloat16" and job.lora else torch.float32


def load_model(job: Job, gpu: bool) -> Any:
    """Load the model to train, with its adapter where the job has LoRA. Nothing in it drops out."""
    import torch
    from transformers import AutoModelForCausalLM

    with _explained("read", job.model):
        model = AutoModelForCausalLM.from_pretrained(
            local_name(job.model), dtype=weights_dtype(job, gpu), attn_implementation="sdpa", **_revision(job)
        )
    for key, value in list(vars(model.config).items()):
        if "drop" in key and isinstance(value, float):
            setattr(model.config, key, 0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    # Padding needs no care, since it carries no loss and stands behind all else; but with a padding_idx the token that
    # pads, often the mark that ends a turn, would not learn where it is a word of the text.
    model.get_input_embeddings().padding_idx = None
    model.config.use_cache = False
    return _adapted(job, model) if job.lora else model


def _adapted(job: Job, model: Any) -> Any:
    """Put an adapter on a model: the one that the job goes on from, or a new one whose A follows from the seed."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    if job.adapter:
        with _explained("read adapter", job.adapter):
            return PeftModel.from_pretrained(model, local_name(job.adapter), is_trainable=True)
    lora = job.lora
    assert isinstance(lora, LoRA)
    config = LoraConfig(
        task_type="CAUSAL_LM", r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0
    )
    torch.manual_seed(job.seed % (1 << 63))
    with _explained("put an adapter on", job.model):
        return get_peft_model(model, config)


def save(job: Job, model: Any, tokenizer: Any, state: dict[str, Any], out: storage.Folder) -> dict[str, str]:
    """Write adapter/ or model/, or both, from the full state of what was trained. Give their names for result.json."""
    with tempfile.TemporaryDirectory(prefix="because-ray-") as tmp:
        if not job.lora:
            _write_model(job, model, tokenizer, state, Path(tmp), out.at("model"))
            return {"model": "model"}
        adapter = _write_adapter(job, model, state, Path(tmp), out.at("adapter"))
        if not job.lora.merge:
            return {"adapter": "adapter"}
        _write_model(job, *_merged(job, adapter, tokenizer), Path(tmp), out.at("model"))
        return {"adapter": "adapter", "model": "model"}


def save_snapshot(job: Job, model: Any, tokenizer: Any, state: dict[str, Any], to: storage.Folder) -> None:
    """Write what a run has come to: the model, or the adapter where the job does not merge it."""
    with tempfile.TemporaryDirectory(prefix="because-ray-") as tmp:
        if not job.lora:
            _write_model(job, model, tokenizer, state, Path(tmp), to)
        elif not job.lora.merge:
            _write_adapter(job, model, state, Path(tmp), to)
        else:
            adapter = _write_adapter(job, model, state, Path(tmp), None)
            _write_model(job, *_merged(job, adapter, tokenizer), Path(tmp), to)


def _write_adapter(job: Job, model: Any, state: dict[str, Any], tmp: Path, to: storage.Folder | None) -> Path:
    folder = tmp / "adapter"
    model.peft_config["default"].base_model_name_or_path = job.model
    model.save_pretrained(folder, state_dict=state)
    (folder / "README.md").unlink(missing_ok=True)
    if to is not None:
        to.put(folder)
    return folder


def _write_model(job: Job, model: Any, tokenizer: Any, state: dict[str, Any], tmp: Path, to: storage.Folder) -> None:
    import torch

    dtype, folder = torch.bfloat16 if job.run.bf16 else torch.float32, tmp / "model"
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    before = model.config.use_cache
    model.config.use_cache = True
    try:
        model.save_pretrained(folder, state_dict=state)
    finally:
        model.config.use_cache = before
    tokenizer.save_pretrained(folder)
    _set_dtype(folder / "config.json", "bfloat16" if job.run.bf16 else "float32")
    to.put(folder)


def _merged(job: Job, adapter: Path, tokenizer: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Merge an adapter into a fresh copy of its base, in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with _explained("read", job.model):
        base = AutoModelForCausalLM.from_pretrained(local_name(job.model), dtype=torch.float32, **_revision(job))
    model = PeftModel.from_pretrained(base, adapter).merge_and_unload()
    return model, tokenizer, model.state_dict()


def _set_dtype(path: Path, dtype: str) -> None:
    """Say in config.json what type the tensors have, under the key that the version of transformers writes."""
    config = json.loads(path.read_text("utf-8"))
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    config[key] = dtype
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def versions() -> dict[str, str]:
    """Say which versions did the work."""
    import importlib.metadata as meta

    out = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("ray", "torch", "transformers", "trl", "peft"):
        with contextlib.suppress(meta.PackageNotFoundError):
            out[name] = meta.version(name)
    return out
