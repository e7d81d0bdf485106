"""Checkpoints of a run: Out/checkpoint-STEP with all that going on needs, whole once its manifest is there.

weights.pt and optimizer.pt hold full (not sharded) states by parameter name, so that any number of workers can go on
from them; state.json has the
step, the metrics so far and the job's identity; rng.pt the generators of each worker.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from because_ray.errors import JOB, Failure
from because_ray.events import Metric
from because_ray.job import Job
from because_ray.storage import Folder

_NAME = re.compile(r"checkpoint-(\d+)")
JOB_FILE = "job.json"
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"


def identity(job: Job) -> str:
    return hashlib.sha256(json.dumps(job.identity(), sort_keys=True).encode()).hexdigest()


def claim(out: Folder, job: Job) -> None:
    """Mark a folder as a job's. That of another job is refused, so that nothing is mixed up."""
    found = out.read(JOB_FILE)
    if found is None:
        value = {"identity": identity(job), "job": job.identity()}
        out.write(JOB_FILE, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
        return
    try:
        other = json.loads(found)["identity"]
    except (ValueError, KeyError, TypeError):
        other = ""
    if other != identity(job):
        raise Failure(JOB, f"run.out: {out.uri} holds another job", "choose another folder, or remove this one")


def list_steps(out: Folder) -> list[int]:
    """Give the steps of which there are checkpoints, half-written ones too, the newest first."""
    found = (_NAME.fullmatch(name) for name in out.names())
    return sorted((int(m[1]) for m in found if m), reverse=True)


def newest(out: Folder, warn: Callable[[str], None]) -> int:
    """Give the step of the newest whole checkpoint; 0 without one. Half-written or damaged ones are told of."""
    for step in list_steps(out):
        folder = out.at(f"checkpoint-{step}")
        try:
            if folder.manifest() is not None:
                return step
            warn(f"{folder.uri} is half-written; it is left out")
        except Failure as e:
            warn(f"{folder.uri} is left out: {e}")
    return 0


def fetch(out: Folder, step: int, job: Job) -> tuple[dict[str, Any], list[Metric], tempfile.TemporaryDirectory[str]]:
    """Fetch a checkpoint into a local folder, which lives as long as the handle that is returned last."""
    tmp = tempfile.TemporaryDirectory(prefix="because-ray-")
    local = Path(tmp.name) / "checkpoint"
    out.at(f"checkpoint-{step}").get(local)
    state = json.loads((local / "state.json").read_text("utf-8"))
    if state["identity"] != identity(job):
        raise Failure(JOB, f"run.out: {out.uri}/checkpoint-{step} belongs to another job", "choose another folder")
    return {"path": str(local), "step": state["step"]}, [Metric(**m) for m in state["metrics"]], tmp


def store(out: Folder, job: Job, metrics: list[Metric], parts: dict[str, Any]) -> str:
    """Write a checkpoint of the last step of the metrics, drop those beyond the number to keep, and give its URI."""
    import torch

    step = metrics[-1].step
    with tempfile.TemporaryDirectory(prefix="because-ray-") as tmp:
        for name, value in parts.items():
            torch.save(value, os.path.join(tmp, name + ".pt"))
        state = {"step": step, "identity": identity(job), "metrics": [m.to_json() for m in metrics]}
        Path(tmp, "state.json").write_text(json.dumps(state) + "\n", "utf-8")
        folder = out.at(f"checkpoint-{step}")
        folder.put(tmp)
    write_metrics(out, metrics)
    for old in [s for s in list_steps(out) if s <= step][job.run.keep :]:
        out.at(f"checkpoint-{old}").remove()
    return folder.uri


def write_metrics(out: Folder, metrics: list[Metric]) -> None:
    lines = (json.dumps(m.to_json(), separators=(",", ":")) + "\n" for m in metrics)
    out.write(METRICS_FILE, "".join(lines).encode())
