from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from because_ray.errors import REWARD, Failure
from because_ray.reward import Reward
from tests import trainers
from tests.conftest import job_value, save_tiny, write_rows

Answer = Callable[[list[dict[str, Any]], dict[str, str]], tuple[int, Any]]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["items"]
            status, value = answer(items, dict(self.headers))
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/"
    finally:
        http.shutdown()
        http.server_close()


def ask(url: str, n: int = 2) -> list[float]:
    reward = Reward(url, 2, pause=lambda _: None)
    return reward(
        ["q"] * n, [[{"role": "assistant", "content": f"a{i}"}] for i in range(n)], id=[1] * n, task=[None] * n
    )


def test_asks_with_token_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BECAUSE_REWARD_TOKEN", "tk")
    calls: list[Any] = []

    def answer(items: list[dict[str, Any]], headers: dict[str, str]) -> tuple[int, Any]:
        calls.append((items, headers.get("Authorization")))
        return (503, b"busy") if len(calls) < 3 else (200, {"rewards": [0, 1.5]})

    with server(answer) as url:
        assert ask(url) == [0.0, 1.5]
    assert len(calls) == 3 and calls[0][1] == "Bearer tk"
    assert calls[0][0] == [{"id": "1", "task": "", "prompt": "q", "completion": f"a{i}"} for i in range(2)]


def test_many_answers_go_in_several_requests() -> None:
    sizes: list[int] = []

    def answer(items: list[dict[str, Any]], _: dict[str, str]) -> tuple[int, Any]:
        sizes.append(len(items))
        return 200, {"rewards": [float(x["completion"][1:]) for x in items]}

    with server(answer) as url:
        assert ask(url, 1500) == [float(i) for i in range(1500)]
    assert sizes == [1024, 476]


@pytest.mark.parametrize(
    ("status", "value", "want"),
    [
        (200, {"rewards": [1]}, "1 rewards for 2"),
        (200, {"rewards": [1, None]}, "rewards[1] is None"),
        (200, b'{"rewards": [1, NaN]}', "rewards[1] is nan"),
        (200, {"rewards": [1, "x"]}, "rewards[1] is 'x'"),
        (200, {"error": "no judge"}, "no judge"),
        (200, b"<html>", "not JSON"),
        (200, [], "not an object"),
        (401, b"who?", "HTTP 401"),
        (500, {"error": "judge down"}, "after 5 tries"),
    ],
)
def test_a_fault_is_never_a_reward(status: int, value: Any, want: str) -> None:
    with server(lambda *_: (status, value)) as url, pytest.raises(Failure) as e:
        ask(url)
    assert e.value.kind == REWARD and want in e.value.message


def test_nobody_there() -> None:
    with pytest.raises(Failure) as e:
        ask("http://127.0.0.1:9/")
    assert e.value.kind == REWARD and e.value.hint


def job(tmp_path: Path, url: str, name: str, **changes: Any) -> dict[str, Any]:
    if not (tmp_path / "model").exists():
        save_tiny(tmp_path / "model")
    prompts: list[dict[str, Any]] = [{"prompt": f"hello {i}", "id": f"p{i}", "task": "say"} for i in range(3)]
    prompts[1]["prompt"] = [{"role": "user", "content": "hi"}] if changes.pop("chat", False) else "hi"
    data = write_rows(tmp_path / "prompts.jsonl", prompts)
    grpo = {"group": 8, "max_tokens": 8, "temperature": 1.0, "beta": 0.0, "reward": url}
    settings: dict[str, Any] = {
        "method": "rl",
        "grpo": grpo,
        "rows": 16,
        "micro_batch": 8,
        "epochs": 0,
        "steps": 12,
        "lr": 0.02,
        "warmup": 0,
    }
    settings |= {"schedule": "constant", "decay": 0.0, "run_checkpoint_every": 4}
    return job_value(data, (tmp_path / "model").as_uri(), tmp_path / name, **settings | changes)


def lower(items: list[dict[str, Any]], _: dict[str, str]) -> tuple[int, Any]:
    """Reward small letters."""
    return 200, {"rewards": [sum(c.islower() for c in x["completion"]) / max(1, len(x["completion"])) for x in items]}


def test_reward_rises_and_a_fall_changes_nothing(tmp_path: Path) -> None:
    with server(lower) as url:
        whole = trainers.run(job(tmp_path, url, "whole"))
        rewards = [m["reward"] for m in whole]
        assert sum(rewards[-3:]) > sum(rewards[:3]) + 0.3, rewards
        assert all(m["tokens"] > 16 for m in whole)
        fallen = job(tmp_path, url, "fallen")
        trainers.run(fallen, stop_after=6)
        rest = trainers.run(fallen)
    assert [m["step"] for m in rest] == list(range(1, 13))
    assert [m["reward"] for m in rest] == pytest.approx(rewards, abs=1e-4)
    result = json.loads((tmp_path / "fallen" / "result.json").read_text())
    assert result["rewards"] == [m["reward"] for m in rest] and result["steps"] == 12


def test_two_workers_and_a_failing_reward(tmp_path: Path) -> None:
    with server(lower) as url:
        got = trainers.run(job(tmp_path, url, "two", run_workers=2, steps=2), 2)
    assert len(got) == 2
    with server(lambda *_: (400, b"broken")) as url, pytest.raises(RuntimeError, match="HTTP 400"):
        trainers.run(job(tmp_path, url, "broken", steps=2))
