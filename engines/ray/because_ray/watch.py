"""The line from the workers to the driver: an actor that keeps what they say until the driver prints it.

The driver alone speaks on standard output: Ray puts the worker's name in front of what workers print.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from because_ray.errors import Failure
from because_ray.events import Metric, say, say_failure


class Log:
    """The actor. Messages are (kind, fields); take gives those from a position on."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, Any]] = []
        self._attempts = 0

    def attempt(self) -> int:
        """Count the times that the first worker has begun, from 1."""
        self._attempts += 1
        return self._attempts

    def post(self, kind: str, value: Any) -> None:
        self._messages.append((kind, value))

    def take(self, start: int) -> list[tuple[str, Any]]:
        return self._messages[start:]


class Reporter:
    """A worker's end of the line. Messages arrive in order; those of a failure have arrived when the call returns."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def attempt(self) -> int:
        import ray

        return int(ray.get(self._actor.attempt.remote()))

    def start(self, fields: dict[str, Any]) -> None:
        self._post("start", fields)

    def step(self, metric: Metric) -> None:
        self._post("step", metric)

    def checkpoint(self, step: int, uri: str) -> None:
        self._post("checkpoint", {"step": step, "uri": uri})

    def warn(self, message: str) -> None:
        self._post("warning", {"message": message})

    def failure(self, failure: Failure) -> None:
        self._post("failure", failure)

    def _post(self, kind: str, value: Any) -> None:
        import ray

        ray.get(self._actor.post.remote(kind, value))


class Printer:
    """The driver's end: a thread that prints what the workers say, each step once, however often they begin anew.

    fatal is called, after its event is printed, with the first failure that trying again cannot mend.
    """

    def __init__(self, actor: Any, fatal: Callable[[Failure], None]) -> None:
        self._actor, self._fatal = actor, fatal
        self._at, self._last, self._kept = 0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="because-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Print the rest, then end."""
        self._stop.set()
        self._thread.join()
        self._drain()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            try:
                self._drain()
            except Exception as e:  # such as a head node that restarts; the next round may fare better
                print(f"events: {e}", file=sys.stderr)

    def _drain(self) -> None:
        import ray

        for kind, value in ray.get(self._actor.take.remote(self._at)):
            self._at += 1
            self._print(kind, value)

    def _print(self, kind: str, value: Any) -> None:
        if kind == "step":
            if value.step > self._last:
                self._last = value.step
                say("step", step=value.step, metric=value.to_json())
        elif kind == "checkpoint":
            if value["step"] > self._kept:
                self._kept = value["step"]
                say("checkpoint", **value)
        elif kind == "failure":
            say_failure(value)
            self._fatal(value)
        else:
            say(kind, **value)
