"""Load a checkpoint of ours with transformers and compare it with what the engine computes.

    python tools/parity/check_checkpoint.py [DIR]

DIR is a checkpoint folder; without it two small random ones are made (tied and
untied head). Compared are: the logits of packed random documents, each run by
itself in transformers; the token ids and the decoding of random texts through
AutoTokenizer; that an unknown word is refused by both; that the chat template
renders; that generate() runs with the folder's generation_config.json. Exits 1
at the first difference.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).parents[2]
LIMIT = 1e-5


def dump(out, *args):
    subprocess.run(["go", "run", "./tools/parity/dump", "-out", str(out), *args], cwd=ROOT, check=True)


def check(condition, message):
    if not condition:
        sys.exit(f"check_checkpoint: {message}")


def check_logits(model, path):
    with safe_open(path, "pt") as f:
        tokens, starts, ours = f.get_tensor("tokens").long(), f.get_tensor("starts").long(), f.get_tensor("logits")
    with torch.inference_mode():
        theirs = torch.cat([model(tokens[lo:hi][None]).logits[0] for lo, hi in zip(starts, starts[1:])])
    error = ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()
    check(error <= LIMIT, f"logits differ by {error:.2g} (limit {LIMIT})")
    return error


def check_texts(tok, path):
    texts = json.loads(path.read_text())
    for t in texts:
        ids = tok(t["text"])["input_ids"]
        check(ids == t["ids"], f"{t['text']!r} encodes to {ids}, the engine says {t['ids']}")
        back = tok.decode(ids)
        check(back == t["decoded"], f"{ids} decode to {back!r}, the engine says {t['decoded']!r}")
    try:
        ids = tok("surely-no-such-word")["input_ids"]
    except Exception:
        return len(texts)
    check(False, f"an unknown word encodes to {ids}")


def check_checkpoint(folder, out):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    error = check_logits(model, out / "ours.safetensors")
    line = f"{type(model).__name__} of {sum(p.numel() for p in model.parameters())} parameters, logits differ by {error:.2g}"
    if (out / "texts.json").exists():
        tok = AutoTokenizer.from_pretrained(folder)
        line += f", {check_texts(tok, out / 'texts.json')} texts encode and decode alike"
        if tok.chat_template:
            word = next(w for w, i in sorted(tok.get_vocab().items()) if i not in tok.all_special_ids)
            messages = [{"role": "user", "content": word}, {"role": "assistant", "content": word}]
            line += f", the chat template renders {tok.apply_chat_template(messages, tokenize=False)!r}"
        text = tok.decode(model.generate(torch.tensor([[1, 2]]), attention_mask=torch.ones(1, 2), max_new_tokens=4)[0])
        line += f", generate() gives {text!r}"
    print(line)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        if len(sys.argv) > 1:
            dump(tmp, "-checkpoint", str(pathlib.Path(sys.argv[1]).resolve()))
            check_checkpoint(sys.argv[1], pathlib.Path(tmp))
            return
        for tied in ("true", "false"):
            out = pathlib.Path(tmp) / tied
            dump(out, f"-tied={tied}")
            check_checkpoint(out / "checkpoint", out)


if __name__ == "__main__":
    main()
