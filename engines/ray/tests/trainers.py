"""Runs the workers' part of the engine without Ray: processes of torch.distributed, and a reporter that only keeps what it is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ENGINE = Path(__file__).parent.parent


class Kept:
    """A reporter for tests."""

    def __init__(self) -> None:
        self.metrics: list[Any] = []
        self.said: list[tuple[str, Any]] = []

    def attempt(self) -> int:
        return 1

    def step(self, metric: Any) -> None:
        self.metrics.append(metric)

    def start(self, fields: dict[str, Any]) -> None:
        self.said.append(("start", fields))

    def checkpoint(self, step: int, uri: str) -> None:
        self.said.append(("checkpoint", step))

    def warn(self, message: str) -> None:
        self.said.append(("warning", message))

    def failure(self, failure: Any) -> None:
        self.said.append(("failure", failure))


def run(job: dict[str, Any], workers: int = 1, stop_after: int = 0) -> list[dict[str, Any]]:
    """Train a job and give the metrics, several workers in processes of their own. stop_after ends it when that step was told of."""
    if workers == 1:
        return _run_here(job, stop_after)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    children: list[subprocess.Popen[str]] = []
    for rank in range(workers):
        env = dict(os.environ, PYTHONPATH=str(ENGINE), HF_HUB_OFFLINE="1")
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(workers)}
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.trainers", json.dumps(job)]
        children.append(
            subprocess.Popen(command, cwd=ENGINE, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    ended = [c.communicate(timeout=300) for c in children]
    for c, (_, err) in zip(children, ended, strict=True):
        if c.returncode != 0:
            raise RuntimeError(err[-3000:])
    return [json.loads(line[8:]) for line in ended[0][0].splitlines() if line.startswith("METRIC: ")]


class _Stopped(Exception):
    pass


def _run_here(job: dict[str, Any], stop_after: int) -> list[dict[str, Any]]:
    from because_ray import job as jobs
    from because_ray import worker

    class Stopping(Kept):
        def step(self, metric: Any) -> None:
            super().step(metric)
            if metric.step == stop_after:
                raise _Stopped

    import torch

    if not torch.distributed.is_initialized():
        # Ray Train makes a group of a single worker too.
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    parsed, reporter = jobs.parse(job), Stopping()
    info, data = worker.prepare(parsed)
    if not isinstance(info, dict):
        raise info
    try:
        worker.train(parsed, info, data, reporter, 0, 1)
    except _Stopped:
        pass
    except Exception as e:
        raise RuntimeError(str(e)) from e
    return [m.to_json() for m in reporter.metrics]


def main(text: str) -> None:
    import torch

    from because_ray import job as jobs
    from because_ray import worker

    rank, workers = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.distributed.init_process_group("gloo")
    job = jobs.parse(json.loads(text))
    info, data = worker.prepare(job)
    if not isinstance(info, dict):
        raise info

    class Printing(Kept):
        def step(self, metric: Any) -> None:
            print("METRIC:", json.dumps(metric.to_json()), flush=True)

    worker.train(job, info, data, Printing(), rank, workers)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
