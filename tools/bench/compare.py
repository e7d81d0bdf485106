"""Time a training step and sampling of the engine against PyTorch, interleaved in one run.

    python tools/bench/compare.py [--threads N] [--rounds N] [--model width128|width64] [--only train|generate]

Every contender is a process that warms up once and then runs one round at a
time, in turn, so that a busy machine slows all of them alike. Compared are
tokens per second of processor time, per contender the best round and the
median; the clock's figures are printed too. Needs torch and transformers
(tools/parity/requirements.txt) and a C++ compiler for torch.compile.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
MODELS = {
    # The model of a small language-model experiment.
    "width128": dict(vocab=1024, width=128, ffn=344, layers=4, heads=4, documents=32, length=256, steps=1, sequences=64, prompt=8, new=192),
    # The model organism: short documents.
    "width64": dict(vocab=600, width=64, ffn=128, layers=3, heads=4, documents=32, length=60, steps=20, sequences=128, prompt=45, new=30),
}


class Contender:
    def __init__(self, name, command, threads, spin=False):
        # Without spinning, idle OpenMP threads do not count as work; with it they lose less time on the clock.
        env = os.environ | {"OMP_NUM_THREADS": str(threads)} | ({} if spin else {"OMP_WAIT_POLICY": "PASSIVE"})
        self.name, self.rounds = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare: {self.name} ended with status {self.process.wait()}")
        return line

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.rounds.append(json.loads(self.read()))

    def rates(self, clock):
        return [r["tokens"] / r[clock] for r in self.rounds]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(title, contenders, rounds):
    for c in contenders:
        print(f"  {c.name}: {c.read().strip()}", file=sys.stderr)
    for _ in range(rounds):
        for c in contenders:
            c.round()
    ours = contenders[-1]
    print(f"\n{title}: tokens/s\n{'':16}{'cpu best':>10}{'median':>10}{'wall best':>11}{'median':>10}   ours is faster by (medians: cpu, wall)")
    for c in contenders:
        cpu, wall = c.rates("cpu"), c.rates("wall")
        line = f"{c.name:16}{max(cpu):10.0f}{statistics.median(cpu):10.0f}{max(wall):11.0f}{statistics.median(wall):10.0f}"
        if c is not ours:
            line += "".join(f"   {statistics.median(ours.rates(k)) / statistics.median(c.rates(k)):.2f}x" for k in ("cpu", "wall"))
        print(line, flush=True)
        c.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--only", choices=["train", "generate"])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        ours = pathlib.Path(tmp) / "ours"
        subprocess.run(["go", "build", "-o", ours, "./tools/bench/ours"], cwd=ROOT, check=True)
        for model in a.model or MODELS:
            w = json.dumps(MODELS[model])
            peer = lambda mode: Contender(f"torch {mode}", [sys.executable, "tools/bench/peer.py", mode, w, str(a.threads)], a.threads)
            mine = lambda mode: Contender("because", [str(ours), mode, w, str(a.threads)], a.threads)
            if a.only != "generate":
                compare(f"{model}, training, {a.threads} thread(s)", [peer("eager"), peer("compile"), mine("train")], a.rounds)
            if a.only != "train":
                compare(f"{model}, sampling, {a.threads} thread(s)", [peer("generate"), mine("generate")], a.rounds)


if __name__ == "__main__":
    main()
