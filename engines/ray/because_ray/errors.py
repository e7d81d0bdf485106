"""The failures that a job may end with.

Each has one of the kinds that because knows, and says what to do where something can be done.
"""

from __future__ import annotations

import builtins
import re
from typing import Any

JOB = "job"
DATA = "data"
MODEL = "model"
STORAGE = "storage"
MEMORY = "memory"
REWARD = "reward"
RESOURCES = "resources"
PACKAGE = "package"
TRAIN = "train"

KINDS = (JOB, DATA, MODEL, STORAGE, MEMORY, REWARD, RESOURCES, PACKAGE, TRAIN)


class Failure(Exception):
    """A failure of a known kind. Trying again would fail the same way, so it ends the job at once.

    row counts the lines of the data from 1 and, like column, is given where a row is to blame.
    """

    def __init__(self, kind: str, message: str, hint: str = "", row: int = 0, column: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.hint, self.row, self.column = kind, message, hint, row, column

    def __reduce__(self) -> tuple[Any, ...]:
        return (Failure, (self.kind, self.message, self.hint, self.row, self.column))

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


# What the texts of foreign errors betray. The first match counts.
_MEMORY = (
    "out of memory",
    "outofmemory",
    "oom-kill",
    "memory monitor",
    "low on memory",
    "cannot allocate memory",
    "memoryerror",
    "defaultcpuallocator",
)
_LOST = (
    "connection closed by peer",
    "connection reset",
    "gloo",
    "nccl",
    "socket",
    "broken pipe",
    "timed out",
    "timeout",
    "process group",
    "actordied",
    "actor died",
    "worker died",
    "workercrashed",
    "node died",
    "preempt",
    "unavailable",
)


def classify(error: BaseException) -> Failure:
    """Say what kind of failure an error is; that of a Failure, or of one that it was raised from, is its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Failure):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    text = _WORKER.sub("", f"{type(error).__name__}: {error}")
    low = text.lower()
    if isinstance(error, MemoryError) or any(mark in low for mark in _MEMORY):
        return Failure(
            MEMORY,
            _short_of_memory(text) or brief(text),
            "use a smaller micro-batch or sequence length, recompute, fsdp, or more memory per worker",
        )
    if isinstance(error, builtins.ImportError):
        name = (error.name or "").split(".")[0]
        return Failure(
            PACKAGE,
            brief(text),
            f"pip install {name} in the cluster's image, or name it in runtime_env" if name else "",
        )
    return Failure(TRAIN, brief(text))


# How Ray Train names a lost worker, on ten lines, and what Ray's memory monitor says when it has killed some.
_WORKER = re.compile(r"Worker info: Worker\(\n.*?\n\)\n?", re.DOTALL)
_KILLED = re.compile(r"killed due to the node running low on memory\.\s*(Memory on the node.*?)(?:\.?\n|\. |$)")
_USER = re.compile(r"^\d+\t([\d.]+)\tray::RayTrainWorker", re.MULTILINE)


def _short_of_memory(text: str) -> str:
    """Say who was killed for want of memory and how much there was, out of some hundred lines of Ray's."""
    killed = _KILLED.search(text)
    if not killed:
        return ""
    users = "".join(f"; a worker held {gib} GB" for gib in _USER.findall(text)[:1])
    return f"Ray killed a worker because the node ran low on memory. {killed[1]}{users}"


def lost_peer(error: BaseException) -> bool:
    """Tell whether an error in a worker comes of the loss of another one, so that going on may help."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, RuntimeError) and any(mark in f"{type(error).__name__} {error}".lower() for mark in _LOST)


def brief(text: str, limit: int = 2000) -> str:
    """Keep the start and the end of a long text, which is where errors say what happened."""
    text = text.strip()
    return text if len(text) <= limit else text[: limit // 4] + " … " + text[-limit * 3 // 4 :]
