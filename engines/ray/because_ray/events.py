"""What the engine says to because: JSON on lines of standard output that begin with MARK. All other lines are log.

Empty fields are left out. Field by field this is Event of train/ray/events.go.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from because_ray.errors import Failure

MARK = "@because "

_lock = threading.Lock()


@dataclass(frozen=True)
class Metric:
    """One step: a line of metrics.jsonl."""

    step: int  # from 1
    loss: float  # before the update: mean over the tokens that carry loss
    lr: float
    grad_norm: float  # before clipping
    tokens: int  # of this step, all workers together, without padding
    total_tokens: int
    tokens_per_second: float
    reward: float | None = None  # rl: mean

    def to_json(self) -> dict[str, Any]:
        out = asdict(self)
        if self.reward is None:
            del out["reward"]
        return out


@dataclass(frozen=True)
class Result:
    """What a finished job says of itself, in result.json."""

    steps: int
    rows: int
    dropped: int
    tokens: int
    trained: int
    first_loss: float
    loss: float  # mean over the last tenth of the steps
    model: str = ""
    adapter: str = ""
    rewards: list[float] = field(default_factory=list)
    engine: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        out = asdict(self)
        for key in ("model", "adapter", "rewards"):
            if not out[key]:
                del out[key]
        return out


def say(kind: str, **fields: Any) -> None:
    """Print one event, whole and at once.

    A number that JSON has no way to write is an error here, not in the reader.
    """
    event: dict[str, Any] = {"event": kind}
    event.update({k: v for k, v in fields.items() if v not in (None, "", 0) or k == "ok"})
    line = MARK + json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    with _lock:
        sys.stdout.write(line)
        sys.stdout.flush()


def say_warning(message: str) -> None:
    say("warning", message=message)


def say_failure(failure: Failure) -> None:
    say("error", error=failure.kind, message=str(failure), row=failure.row, column=failure.column)


@dataclass(frozen=True)
class Summary:
    first_loss: float
    loss: float  # mean over the last tenth of the steps
    tokens: int


def summarise(metrics: list[Metric]) -> Summary:
    if not metrics:
        return Summary(0.0, 0.0, 0)
    last = metrics[len(metrics) - max(1, len(metrics) // 10) :]
    return Summary(metrics[0].loss, math.fsum(m.loss for m in last) / len(last), metrics[-1].total_tokens)
