"""Time an evaluation of a trivial task against Inspect on the same mock server, in one run.

    python tools/bench/evals.py [--samples N ...] [--latency MS] [--connections N ...] [--rounds N] [--only because|inspect]

Each sample is one request; both write full logs. Reported are samples per second, CPU milliseconds per sample and peak memory, each
the median of the rounds, without the start of either program for CPU (measured by a run of one sample). Needs inspect_ai and openai
from PyPI, and Go.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]

INSPECT = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
n, connections, logs = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
data = [Sample(id=i + 1, input=f"Question {i}: what is 2+2? Answer briefly.", target="4") for i in range(n)]
log = eval(Task(dataset=data, solver=generate(), scorer=includes(), name="trivial"), model="openai-api/mock/mock", max_connections=connections,
           log_dir=logs, display="none")[0]
assert log.status == "success" and log.results.completed_samples == n, log.status
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def measured(command, env, cwd):
    """Runs a command and gives wall seconds, CPU seconds and peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed:\n{errors.decode()}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Contender:
    def __init__(self, name, port, tmp):
        self.name, self.tmp = name, tmp
        self.env = dict(os.environ, MOCK_API_KEY="x", MOCK_BASE_URL=f"http://127.0.0.1:{port}/v1")
        self.port = port

    def run(self, n, connections):
        logs = tempfile.mkdtemp(dir=self.tmp)
        try:
            return measured(self.command(n, connections, logs), self.env, logs)
        finally:
            shutil.rmtree(logs)


class Because(Contender):
    def command(self, n, connections, logs):
        with open(f"{logs}/rows.jsonl", "w") as rows:
            for i in range(n):
                rows.write(json.dumps({"id": str(i + 1), "input": f"Question {i}: what is 2+2? Answer briefly.", "target": "4"}) + "\n")
        pathlib.Path(f"{logs}/trivial.yaml").write_text("task: trivial\ndata: rows.jsonl\nscorers: [{name: correct, includes: target}]\n")
        return [f"{self.tmp}/because", "eval", "trivial.yaml", "--model", f"openai-api:http://127.0.0.1:{self.port}/v1/mock", "--connections", str(connections)]


class Inspect(Contender):
    def command(self, n, connections, logs):
        return [sys.executable, "-c", INSPECT, str(n), str(connections), logs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--connections", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--latency", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["because", "inspect"])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        for program in ("./cmd/because", "./tools/bench/mockserver"):
            subprocess.run(["go", "build", "-o", f"{tmp}/{pathlib.Path(program).name}", program], cwd=ROOT, check=True)
        port = free_port()
        server = subprocess.Popen([f"{tmp}/mockserver", "-addr", f"127.0.0.1:{port}", "-latency", f"{a.latency}ms"])
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models")
                    break
                except OSError:
                    time.sleep(0.05)
            contenders = [c(n, port, tmp) for n, c in (("because", Because), ("inspect", Inspect)) if a.only in (None, n)]
            compare(contenders, a)
        finally:
            server.terminate()
            server.wait()


def compare(contenders, a):
    starts = {c.name: statistics.median(c.run(1, 1)[1] for _ in range(a.rounds)) for c in contenders}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, latency {a.latency} ms; CPU seconds of a start: " + ", ".join(f"{n} {s:.2f}" for n, s in starts.items()))
    for n in a.samples:
        for connections in a.connections:
            rounds = {c.name: [] for c in contenders}
            for _ in range(a.rounds):
                for c in contenders:
                    rounds[c.name].append(c.run(n, connections))
            per = {}
            for name, runs in rounds.items():
                wall, cpu, rss = (statistics.median(r[k] for r in runs) for k in range(3))
                per[name] = 1000 * (cpu - starts[name]) / n
                print(f"{n:7d} samples, {connections:5d} connections, {name:8s} {n / wall:8.0f} samples/s  {per[name]:7.3f} CPU ms/sample  {rss:6.0f} MB", flush=True)
            if len(per) == 2:
                print(f"        CPU of inspect / CPU of because: {per['inspect'] / per['because']:.0f}x", flush=True)


if __name__ == "__main__":
    main()
