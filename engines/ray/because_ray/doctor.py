"""Says what a cluster lacks: packages on every node, and storage that every node can write, read and delete in.

python -m because_ray doctor DOCTOR.json, with {"storage": URI or ""}, prints events of the kind finding: name, ok,
detail, hint.
"""

from __future__ import annotations

import importlib.metadata as meta
import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from because_ray.errors import JOB, Failure, classify
from because_ray.events import say, say_failure
from because_ray.storage import Folder

# The packages and the versions that they must have, from and below.
NEEDED = {
    "ray": ((2, 40), (3,)),
    "torch": ((2, 4), (3,)),
    "transformers": ((4, 56), (6,)),
    "trl": ((0, 24), (2,)),
    "peft": ((0, 17), (1,)),
    "datasets": ((3,), (100,)),
    "fsspec": ((2024, 6), (9999,)),
}
_PER_SCHEME = {"s3": "s3fs", "gs": "gcsfs"}
_PATIENCE = 300.0  # seconds that a node may take to answer


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    detail: str
    hint: str = ""


def look(storage: str, gpus: float) -> list[Finding]:
    """Look at the node that this runs on."""
    out = [_python(), *(_package(name, *bounds) for name, bounds in NEEDED.items())]
    if gpus:
        out.append(_cuda())
    if package := _PER_SCHEME.get(storage.split("://", maxsplit=1)[0]):
        out.append(_package(package, (2024,), (9999,)))
    found = _version("vllm")
    detail = found or "not installed; rollouts are drawn by transformers, which is slower"
    out.append(Finding("vllm", True, detail, "" if found else "optional, for GPUs: pip install vllm"))
    if storage:
        out.append(_storage(storage))
    return out


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "python", sys.version_info >= (3, 10), version, "" if sys.version_info >= (3, 10) else "3.10 or later is needed"
    )


def _version(name: str) -> str:
    try:
        return meta.version(name)
    except meta.PackageNotFoundError:
        return ""


def _package(name: str, least: tuple[int, ...], below: tuple[int, ...]) -> Finding:
    wanted = f"{name}>={'.'.join(map(str, least))}"
    version = _version(name)
    if not version:
        return Finding(
            name, False, "not installed", f"pip install '{wanted}' in the cluster's image, or name it in runtime_env"
        )
    parts = tuple(int(p) if p.isdigit() else 0 for p in version.split("+")[0].split(".")[:3])
    ok = least <= parts < below
    return Finding(name, ok, version, "" if ok else f"the engine needs {wanted},<{'.'.join(map(str, below))}")


def _cuda() -> Finding:
    try:
        import torch

        version = torch.version.cuda or getattr(torch.version, "hip", None)
    except Exception as e:
        return Finding("cuda", False, f"{type(e).__name__}: {e}")
    if version:
        return Finding("cuda", True, version)
    return Finding(
        "cuda", False, "torch was built without it, and the node has GPUs", "install the build of torch for these GPUs"
    )


def _storage(uri: str) -> Finding:
    try:
        folder, word = Folder(f"{uri.rstrip('/')}/.because-doctor-{uuid.uuid4().hex[:12]}"), uuid.uuid4().hex.encode()
        try:
            folder.write("probe", word)
            if folder.read("probe") != word:
                return Finding("storage", False, f"{uri}: what was written reads otherwise")
        finally:
            folder.remove()
        left = folder.names()
    except Failure as e:
        return Finding("storage", False, e.message, e.hint)
    return Finding(
        "storage",
        not left,
        f"{uri}: written, read and deleted" if not left else f"{uri}: deleted files are still there",
    )


def merge(per_node: dict[str, list[Finding]]) -> list[Finding]:
    """Say once what all nodes agree on, and by node what they do not."""
    names = list(dict.fromkeys(f.name for found in per_node.values() for f in found))
    out = []
    for name in names:
        by_node = {node: f for node, found in per_node.items() for f in found if f.name == name}
        distinct = set(by_node.values())
        if len(distinct) == 1:
            f = distinct.pop()
            where = f" on {len(by_node)} nodes" if len(by_node) > 1 else ""
            out.append(Finding(f.name, f.ok, f.detail + where, f.hint))
        else:
            out += [Finding(f"{name} on {node}", f.ok, f.detail, f.hint) for node, f in by_node.items()]
    return out


def _look_everywhere(storage: str) -> list[Finding]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task, waiting = ray.remote(look), {}
    for node in ray.nodes():
        if node["Alive"]:
            at = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            bound = task.options(num_cpus=0, max_retries=1, scheduling_strategy=at)
            name = node["NodeManagerAddress"]
            name = f"{name} {node['NodeID'][:8]}" if name in waiting else name
            waiting[name] = bound.remote(storage, node["Resources"].get("GPU", 0))
    found, silent = {}, []
    for name, ref in waiting.items():
        try:
            found[name] = ray.get(ref, timeout=_PATIENCE)
        except Exception as e:
            silent.append(
                Finding(
                    f"node {name}",
                    False,
                    classify(e).message,
                    "does the node have the engine's packages, and is it alive?",
                )
            )
    return [Finding("nodes", not silent, f"{len(found)} of {len(waiting)} answer"), *silent, *merge(found)]


def main(path: str) -> int:
    """Print the findings, and give the exit code: 0 all well, 1 something is amiss."""
    from because_ray import driver

    try:
        try:
            value: Any = json.loads(Path(path).read_text("utf-8"))
            storage = value["storage"]
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise Failure(JOB, f"{path}: {e}", 'it must be {"storage": "URI, or nothing"}') from e
        driver.connect()
        findings = _look_everywhere(storage)
    except Exception as e:
        say_failure(classify(e))
        return 1
    for f in findings:
        say("finding", name=f.name, ok=f.ok, detail=f.detail, hint=f.hint)
    return 0 if all(f.ok for f in findings) else 1
