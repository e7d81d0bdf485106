"""On a real cluster: BECAUSE_RAY_ADDRESS=HOST:PORT names one with two free CPUs (ray start --head --num-cpus=2)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from because_ray.events import MARK
from tests import trainers
from tests.conftest import ENGINE, job_value, save_tiny, write_rows

ADDRESS = os.environ.get("BECAUSE_RAY_ADDRESS", "")
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not ADDRESS, reason="BECAUSE_RAY_ADDRESS is not set")]

ROWS = [{"prompt": f"hello number {i}", "completion": f"the answer is {i * i}"} for i in range(10)]


def engine(*args: str, watch: Callable[[dict[str, Any], str], None] | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Run the engine and give its exit code and events; watch sees each event as it comes, and the log so far."""
    env = dict(os.environ, RAY_ADDRESS=ADDRESS, PYTHONPATH=str(ENGINE), HF_HUB_OFFLINE="1")
    events, log = [], ""
    with subprocess.Popen(
        [sys.executable, "-m", "because_ray", *args],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as p:
        assert p.stdout
        for line in p.stdout:
            log += line
            if line.startswith(MARK):
                events.append(json.loads(line[len(MARK) :]))
                if watch:
                    watch(events[-1], log)
    if p.returncode != 0:
        print(log[-5000:])
    return p.returncode, events


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def write_job(base: Path, name: str, data: str = "rows.jsonl", **changes: Any) -> tuple[str, dict[str, Any]]:
    value = job_value(base / data, (base / "model").as_uri(), base / name, **changes)
    (base / f"{name}.json").write_text(json.dumps(value))
    return str(base / f"{name}.json"), value


def test_goes_on_when_a_worker_is_killed(base: Path) -> None:
    settings: dict[str, Any] = {
        "epochs": 0,
        "steps": 300,
        "run_workers": 2,
        "run_checkpoint_every": 20,
        "run_retries": 2,
    }
    path, _ = write_job(base, "killed", **settings)
    killed: list[int] = []

    def kill(event: dict[str, Any], log: str) -> None:
        if event["event"] == "step" and event["step"] >= 45 and not killed:
            killed.append(int(re.findall(r"RayTrainWorker pid=(\d+)", log)[-1]))
            os.kill(killed[0], signal.SIGKILL)

    code, events = engine("train", path, watch=kill)
    assert code == 0 and killed
    starts = [e for e in events if e["event"] == "start"]
    assert len(starts) == 2 and starts[1]["step"] >= 40 and any(e["event"] == "warning" for e in events)
    steps = [e["metric"] for e in events if e["event"] == "step"]
    assert [m["step"] for m in steps] == list(range(1, 301))
    _, whole = write_job(base, "whole", **settings | {"run_workers": 1})
    want = trainers.run(whole)
    assert [m["loss"] for m in steps] == pytest.approx([m["loss"] for m in want], rel=1e-3)
    assert events[-1]["event"] == "done" and events[-1]["result"]["steps"] == 300
    code, events = engine("train", path)
    assert code == 0 and [e["event"] for e in events] == ["done"]


def test_failures_have_kinds(base: Path) -> None:
    good = (base / "rows.jsonl").read_text()
    (base / "bad.jsonl").write_text(good + '{"prompt": "q"}\n')
    for name, data, changes, want in (
        ("bad", "bad.jsonl", {}, {"error": "data", "row": 11, "column": "completion"}),
        ("big", "rows.jsonl", {"run_workers": 99}, {"error": "resources"}),
        ("other", "rows.jsonl", {"model": "file:///no/such/model"}, {"error": "storage"}),
        ("sum", "rows.jsonl", {"data_sha256": "0" * 64}, {"error": "storage"}),
    ):
        code, events = engine("train", write_job(base, name, data, **changes)[0])
        assert code == 1 and len(events) == 1 and events[0].items() >= want.items(), events


def test_a_failing_worker_ends_the_job_at_once(base: Path) -> None:
    path, _ = write_job(base, "nan", lr=1e30, clip=0.0, warmup=0, run_workers=2)
    code, events = engine("train", path)
    assert code == 1 and events[-1]["event"] == "error" and "on lines" in events[-1]["message"], events
    assert sum(e["event"] == "start" for e in events) == 1


def test_doctor(base: Path) -> None:
    (base / "doctor.json").write_text(json.dumps({"storage": base.as_uri()}))
    code, events = engine("doctor", str(base / "doctor.json"))
    assert code == 0 and {"python", "torch", "trl", "storage", "nodes"} <= {e["name"] for e in events}
    assert all(e["event"] == "finding" and e["ok"] for e in events)


def post(url: str, body: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


SERVE = """
import sys, time
import ray
from ray import serve
from because_ray.serve import app_builder
ray.init(address={address!r}, runtime_env={{"py_modules": [{package!r}]}}, log_to_driver=False)
serve.start(http_options={{"port": {port}}})
serve.run(app_builder({{"model": {model!r}, "name": "tiny", "cpus": 0.5}}), name="because-test", route_prefix="/because-test")
print("READY", flush=True)
sys.stdin.read()
serve.delete("because-test")
"""


def test_serves(base: Path) -> None:
    port = 18123
    code = SERVE.format(
        address=ADDRESS, package=str(ENGINE / "because_ray"), port=port, model=(base / "model").as_uri()
    )
    env = dict(os.environ, PYTHONPATH=str(ENGINE), HF_HUB_OFFLINE="1")
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as p:
        assert p.stdin and p.stdout
        try:
            assert any("READY" in line for line in p.stdout)
            check_server(f"http://127.0.0.1:{port}/because-test")
        finally:
            p.stdin.close()
            time.sleep(0.1)


def check_server(url: str) -> None:
    with urllib.request.urlopen(f"{url}/v1/models", timeout=60) as answer:
        assert json.load(answer)["data"][0]["id"] == "tiny"
    with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
        assert answer.status == 200
    ask = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "n": 3, "seed": 5}
    status, got = post(f"{url}/v1/chat/completions", ask)
    assert status == 200 and len(got["choices"]) == 3 and got["choices"][0]["message"]["role"] == "assistant"
    assert got["usage"]["completion_tokens"] <= 24 and got["usage"]["prompt_tokens"] > 3
    assert post(f"{url}/v1/chat/completions", ask)[1]["choices"] == got["choices"]
    score = {"model": "tiny", "prompt": ["hello there", "why"], "max_tokens": 0, "echo": True, "logprobs": 2}
    status, got = post(f"{url}/v1/completions", score)
    first = got["choices"][0]
    assert status == 200 and len(got["choices"]) == 2 and first["text"] == "hello there"
    assert first["logprobs"]["token_logprobs"][0] is None and all(
        x < 0 for x in first["logprobs"]["token_logprobs"][1:]
    )
    for body, want in (
        (ask | {"stream": True}, 400), (ask | {"model": "other"}, 404), (ask | {"max_tokens": 4096}, 400), (ask | {"temperature": "x"}, 400),
        (ask | {"messages": []}, 400),
    ):  # fmt: skip
        status, got = post(f"{url}/v1/chat/completions", body)
        assert status == want and got["error"]["message"], body
