"""The job.

What a Ray cluster is asked to train. Field by field this is Job of train/ray/job.go, which says what each means.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from because_ray.errors import JOB, Failure

VERSION = 1


@dataclass(frozen=True)
class LoRA:
    rank: int
    alpha: float
    targets: tuple[str, ...]
    merge: bool


@dataclass(frozen=True)
class GRPO:
    group: int
    max_tokens: int
    temperature: float
    beta: float
    reward: str


@dataclass(frozen=True)
class Run:
    out: str
    workers: int
    gpus_per_worker: float
    cpus_per_worker: float
    strategy: str
    recompute: bool
    checkpoint_every: int
    keep: int
    retries: int
    bf16: bool


@dataclass(frozen=True)
class Job:
    version: int
    method: str
    model: str
    data: str
    data_sha256: str
    dtype: str
    seed: int
    ordered: bool
    rows: int
    micro_batch: int
    seq_len: int
    long: str
    epochs: int
    steps: int
    lr: float
    schedule: str
    floor: float
    warmup: int
    beta1: float
    beta2: float
    eps: float
    decay: float
    clip: float
    run: Run
    revision: str = ""
    adapter: str = ""
    chat_template: str = ""
    snapshots: tuple[int, ...] = ()
    lora: LoRA | None = None
    grpo: GRPO | None = None

    def identity(self) -> dict[str, Any]:
        """All that decides what comes of the job: the whole but run. What is not given is left out, as in the JSON."""
        out = dataclasses.asdict(self)
        del out["run"]
        optional = {f.name for f in dataclasses.fields(self) if f.default is not dataclasses.MISSING}
        return {k: v for k, v in out.items() if v or k not in optional}


def read(path: str | Path) -> Job:
    """Read a job's file. Every complaint is a Failure of kind job that names the key."""
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except OSError as e:
        raise Failure(JOB, f"{path} cannot be read: {e.strerror}") from e
    except ValueError as e:
        raise Failure(JOB, f"{path} is not JSON: {e}") from e
    return parse(value)


def parse(value: Any) -> Job:
    job: Job = _record(Job, value, "")
    _check(job)
    return job


def _record(cls: type, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise Failure(JOB, f"{place or 'the job'} is {_kind(value)}, not an object")
    prefix = place + "." if place else ""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise Failure(JOB, f"{prefix}{key}: unknown key", "the engine and because are of different versions")
    hints, out = typing.get_type_hints(cls), {}
    for name, f in fields.items():
        if name not in value:
            if f.default is dataclasses.MISSING:
                raise Failure(JOB, f"{prefix}{name}: missing")
            continue
        out[name] = _typed(hints[name], value[name], prefix + name)
    return cls(**out)


def _typed(want: Any, value: Any, place: str) -> Any:
    if typing.get_origin(want) in (typing.Union, types.UnionType):
        want = next(a for a in typing.get_args(want) if a is not type(None))
        return None if value is None else _typed(want, value, place)
    if dataclasses.is_dataclass(want):
        return _record(typing.cast(type, want), value, place)
    if typing.get_origin(want) is tuple:
        if not isinstance(value, list):
            raise Failure(JOB, f"{place} is {_kind(value)}, not a list")
        item = typing.get_args(want)[0]
        return tuple(_typed(item, v, f"{place}[{i}]") for i, v in enumerate(value))
    if want is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise Failure(JOB, f"{place} is {value}, not a finite number")
        return float(value)
    if type(value) is not want:
        names = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
        raise Failure(JOB, f"{place} is {_kind(value)}, not {names[want]}")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)


def _check(j: Job) -> None:
    if j.version != VERSION:
        raise Failure(
            JOB, f"version is {j.version}; this engine takes {VERSION}", "use the because that the engine came with"
        )
    for key, value, allowed in (
        ("method", j.method, ("sft", "sdf", "rl")),
        ("dtype", j.dtype, ("float32", "bfloat16")),
        ("long", j.long, ("error", "cut", "split")),
        ("schedule", j.schedule, ("cosine", "linear", "constant")),
        ("run.strategy", j.run.strategy, ("ddp", "fsdp")),
    ):
        if value not in allowed:
            raise Failure(JOB, f"{key} is {value!r}, not one of {', '.join(allowed)}")
    for key, text in (("model", j.model), ("data", j.data), ("run.out", j.run.out)):
        if not text:
            raise Failure(JOB, f"{key} is empty")
    lowest: list[tuple[str, float, float]] = [
        ("rows", j.rows, 1), ("micro_batch", j.micro_batch, 1), ("seq_len", j.seq_len, 2), ("epochs", j.epochs, 0),
        ("steps", j.steps, 0), ("seed", j.seed, 0), ("warmup", j.warmup, 0), ("floor", j.floor, 0),
        ("decay", j.decay, 0), ("clip", j.clip, 0),
        ("beta1", j.beta1, 0), ("beta2", j.beta2, 0), ("run.workers", j.run.workers, 1), ("run.keep", j.run.keep, 1),
        ("run.retries", j.run.retries, 0),
        ("run.gpus_per_worker", j.run.gpus_per_worker, 0), ("run.cpus_per_worker", j.run.cpus_per_worker, 0),
        ("run.checkpoint_every", j.run.checkpoint_every, 0),
    ]  # fmt: skip
    if j.lora:
        lowest.append(("lora.rank", j.lora.rank, 1))
    if j.grpo:
        lowest += [
            ("grpo.group", j.grpo.group, 2),
            ("grpo.max_tokens", j.grpo.max_tokens, 1),
            ("grpo.beta", j.grpo.beta, 0),
        ]
    for key, number, least in lowest:
        if number < least:
            raise Failure(JOB, f"{key} is {number:g}; it must be at least {least:g}")
    _check_ranges(j)


def _check_ranges(j: Job) -> None:
    for key, ok, want in (
        ("seed", j.seed < 1 << 64, "below 2^64"),
        ("lr", j.lr > 0, "above 0"),
        ("eps", j.eps > 0, "above 0"),
        ("snapshots", all(s > 0 for s in j.snapshots), "steps from 1 on"),
        ("floor", j.floor <= 1, "at most 1"),
        ("beta1", j.beta1 < 1, "below 1"),
        ("beta2", j.beta2 < 1, "below 1"),
        ("epochs", (j.epochs > 0) != (j.steps > 0), "given, or else steps: one of the two"),
        (
            "data_sha256",
            len(j.data_sha256) == 64 and set(j.data_sha256) <= set("0123456789abcdef"),
            "64 digits of lower-case hex",
        ),
        ("lora.alpha", j.lora is None or j.lora.alpha > 0, "above 0"),
        ("lora.targets", j.lora is None or len(j.lora.targets) > 0, "the names of some projections"),
        ("adapter", not j.adapter or j.lora is not None, "given with lora only"),
        (
            "run.cpus_per_worker",
            j.run.cpus_per_worker > 0 or j.run.gpus_per_worker > 0,
            "above 0 where there are no GPUs",
        ),
        ("grpo", (j.grpo is not None) == (j.method == "rl"), "given with the method rl, and only there"),
    ):
        if not ok:
            raise Failure(JOB, f"{key} must be {want}")
    if j.grpo:
        if j.rows % j.grpo.group or j.rows % j.run.workers:
            raise Failure(
                JOB,
                f"rows is {j.rows}; it must be a multiple of grpo.group {j.grpo.group} and run.workers {j.run.workers}",
            )
        if j.grpo.temperature <= 0:
            raise Failure(JOB, "grpo.temperature must be above 0", "answers to one prompt have to differ")
        if not j.grpo.reward.startswith(("http://", "https://")):
            raise Failure(JOB, f"grpo.reward is {j.grpo.reward!r}, not a URL of http or https")
