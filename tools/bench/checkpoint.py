"""Time a real checkpoint, SmolLM2-135M-Instruct, against transformers and llama.cpp, interleaved in one run.

    python tools/bench/checkpoint.py [--threads N] [--rounds N] [--model FILE.gguf] [--only prefill|decode|single|train] [--spin]

prefill reads a prompt of 512 tokens; decode answers 32 prompts of 64 tokens together with 64 tokens each; single answers one
of them; train is a step on 8 x 256 tokens (forward, backward, clipping, AdamW), all in float32. Needs tools/parity/requirements.txt;
llama.cpp joins in where llama-cpp-python is installed and --bf16-gguf names the same model as a GGUF file in bfloat16.
"""

import argparse
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

from compare import ROOT, Contender, compare

PEERS = {"prefill": ["f32"], "decode": ["f32", "bf16"], "single": ["f32", "bf16"], "train": ["f32"]}
OURS = {"prefill": ["f32", "bf16"], "decode": ["f32", "bf16"], "single": ["f32", "bf16"], "train": ["f32"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model")
    parser.add_argument("--bf16-gguf")
    parser.add_argument("--spin", action="store_true", help="let OpenMP's threads spin: to compare by the clock on an idle machine")
    parser.add_argument("--only", choices=PEERS, action="append")
    a = parser.parse_args()
    model = str(pathlib.Path(a.model or subprocess.check_output([ROOT / "tools/smollm2.sh"], text=True).strip()).resolve())
    with tempfile.TemporaryDirectory() as tmp:
        ours = pathlib.Path(tmp) / "ours"
        subprocess.run(["go", "build", "-o", ours, "./tools/bench/ours"], cwd=ROOT, check=True)
        threads, folder = str(a.threads), str(pathlib.Path(tmp) / "model")
        subprocess.run([ours, "checkpoint", "save", model, folder], check=True)
        for what in a.only or PEERS:
            contenders = [Contender(f"torch {p}", [sys.executable, "tools/bench/peer_checkpoint.py", what, folder, p, threads], a.threads, a.spin) for p in PEERS[what]]
            if a.bf16_gguf and what in ("prefill", "single") and importlib.util.find_spec("llama_cpp"):
                contenders.append(Contender("llama.cpp bf16", [sys.executable, "tools/bench/peer_checkpoint.py", what, a.bf16_gguf, "llama.cpp", threads], a.threads, a.spin))
            contenders += [Contender(f"because {p}", [str(ours), "checkpoint", what, folder, p, threads], a.threads, a.spin) for p in OURS[what]]
            compare(f"{what}, {a.threads} thread(s)", contenders, a.rounds)


if __name__ == "__main__":
    main()
