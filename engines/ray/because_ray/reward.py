"""Rewards of answers, from the URL that the job names.

POST {"items": [{"id", "task", "prompt", "completion"}]} gives {"rewards": [number, ...]}, or {"error": "..."}.
All that is sent is text: a prompt of one message is that message's content, a longer conversation the JSON of its
messages. What cannot be had is a failure and ends the job; it is never a reward of 0.
"""

from __future__ import annotations

import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from because_ray.errors import REWARD, Failure

_TRIES = 5
_MAX_ITEMS = 1024  # of a request; answers to one prompt stay together
_TIMEOUT = 600.0  # seconds; a judge may have to read long answers
_TOKEN = "BECAUSE_REWARD_TOKEN"


class Reward:
    """A reward function as TRL calls it."""

    __name__ = "reward"

    def __init__(self, url: str, group: int, pause: Callable[[float], None] = time.sleep) -> None:
        self._url, self._pause = url, pause
        self._batch = max(1, _MAX_ITEMS // group) * group

    def __call__(self, prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
        ids, tasks = columns.get("id") or [None] * len(prompts), columns.get("task") or [None] * len(prompts)
        items: list[dict[str, str]] = []
        for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            item = {"id": plain(ids[i]), "task": plain(tasks[i]), "prompt": prompt_text(prompt)}
            items.append(item | {"completion": text_of(completion)})
        out: list[float] = []
        for at in range(0, len(items), self._batch):
            out += self._ask(items[at : at + self._batch])
        return out

    def _ask(self, items: list[dict[str, str]]) -> list[float]:
        wait = 0.5
        for attempt in range(_TRIES):
            try:
                return self._once(items)
            except (urllib.error.URLError, OSError, _Busy) as e:
                if attempt + 1 == _TRIES:
                    hint = "does because serve --reward run, and can the cluster's nodes reach it?"
                    raise Failure(REWARD, f"{self._url}: {e}, after {_TRIES} tries", hint) from e
                self._pause(wait)
                wait *= 2
        raise AssertionError("unreachable")

    def _once(self, items: list[dict[str, str]]) -> list[float]:
        headers = {"Content-Type": "application/json"}
        if token := os.environ.get(_TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps({"items": items}, ensure_ascii=False).encode()
        try:
            request = urllib.request.Request(self._url, body, headers)
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                data = answer.read()
        except urllib.error.HTTPError as e:
            text = e.read(2000).decode("utf-8", "replace").strip()
            if e.code in (408, 425, 429) or e.code >= 500:
                raise _Busy(f"HTTP {e.code}: {text}") from e
            hint = f"set {_TOKEN} in the job's environment" if e.code in (401, 403) else ""
            raise Failure(REWARD, f"{self._url}: HTTP {e.code}: {text}", hint) from e
        return self._read(data, len(items))

    def _read(self, data: bytes, n: int) -> list[float]:
        try:
            value = json.loads(data)
        except ValueError as e:
            raise Failure(REWARD, f"{self._url}: its answer is not JSON: {data[:200]!r}") from e
        if not isinstance(value, dict) or value.get("error"):
            what = value["error"] if isinstance(value, dict) else f"its answer is not an object: {data[:200]!r}"
            raise Failure(REWARD, f"{self._url}: {what}")
        rewards = value.get("rewards")
        if not isinstance(rewards, list) or len(rewards) != n:
            found = len(rewards) if isinstance(rewards, list) else "no"
            raise Failure(REWARD, f"{self._url}: {found} rewards for {n} answers")
        for i, r in enumerate(rewards):
            if type(r) not in (int, float) or not math.isfinite(r):
                raise Failure(REWARD, f"{self._url}: rewards[{i}] is {r!r}, not a finite number")
        return [float(r) for r in rewards]


class _Busy(Exception):
    """An answer after which it is worth to ask again."""


def text_of(completion: Any) -> str:
    """Give the text of an answer, which TRL hands on as a string or as a list of messages."""
    if isinstance(completion, str):
        return completion
    return "".join(m.get("content") or "" for m in completion)


def prompt_text(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    return prompt[0]["content"] if len(prompt) == 1 else json.dumps(prompt, ensure_ascii=False)


def plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
