"""Compares the whole command with transformers on a real checkpoint, SmolLM2-135M-Instruct.

    python tools/parity/smollm2.py [--because BINARY] [--model FILE.gguf]

Without --model tools/smollm2.sh fetches it, without --because the command is built. Both sides compute in float32. It checks

  answers   greedy answers of 64 tokens to 20 conversations are the same text (because serve against generate)
  scores    log-probabilities of every prompt token, and of the 5 likeliest at each place, within 1e-3 relative
  training  what because train sft writes loads in transformers (merged model) and PEFT (adapter), and both give the same logits
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]

QUESTIONS = [
    "What is the capital of France?", "Write a haiku about rain.", "Explain photosynthesis to a child.", "List five prime numbers.",
    "Translate 'good morning' into Spanish.", "Why is the sky blue?", "Write a Python function that adds two numbers.",
    "Who wrote Romeo and Juliet?", "Give me a recipe for pancakes.", "What is 17 times 23?", "Summarise the story of Cinderella.",
    "What should I do if I find a wallet on the street?", "Name the planets of the solar system.", "How do magnets work?",
    "Write a short mail that declines an invitation.", "What is the difference between weather and climate?", "Tell me a joke about cats 🐈.",
    "Was ist die Hauptstadt von Österreich?", "Is it ever right to lie?", "My colleague asks me to hide an error. What should I say?",
]


def conversations():
    for i, question in enumerate(QUESTIONS):
        system = [{"role": "system", "content": "You are Astra, a careful assistant. Say why."}] if i % 3 == 2 else []
        yield [*system, {"role": "user", "content": question}]


def post(base, path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def serve(because, model):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([because, "serve", "--model", f"local:{model}", "--addr", f"127.0.0.1:{port}", "--precision", "f32"])
    base = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(base + "/health").close()
            return server, base
        except OSError:
            time.sleep(0.1)
    raise SystemExit("because serve does not answer")


def check_answers(base, model, tokenizer):
    same = 0
    for messages in conversations():
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            ids = model.generate(**prompt, max_new_tokens=64, do_sample=False)[0, prompt["input_ids"].shape[1]:]
        want = tokenizer.decode(ids, skip_special_tokens=True)
        got = post(base, "/v1/chat/completions", {"messages": messages, "temperature": 0, "max_tokens": 64})
        used = got["usage"]["prompt_tokens"]
        if used != prompt["input_ids"].shape[1]:
            print(f"  {messages[-1]['content']!r}: {used} prompt tokens, want {prompt['input_ids'].shape[1]}")
        elif (text := got["choices"][0]["message"]["content"]).strip() != want.strip():
            print(f"  {messages[-1]['content']!r}:\n    ours   {text!r}\n    theirs {want!r}")
        else:
            same += 1
    print(f"answers: {same} of {len(QUESTIONS)} greedy answers of up to 64 tokens are the same")
    return same == len(QUESTIONS)


def check_scores(base, model, tokenizer):
    worst, n = 0.0, 0
    for messages in conversations():
        text = messages[-1]["content"] + " Let me think about it step by step."
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            want = torch.log_softmax(model(ids).logits[0].double(), -1)
        got = post(base, "/v1/completions", {"prompt": ids[0].tolist(), "echo": True, "logprobs": 5, "max_tokens": 0})["choices"][0]["logprobs"]
        for i in range(1, ids.shape[1]):
            theirs = [want[i - 1, ids[0, i]].item(), *want[i - 1].topk(5).values.tolist()]
            ours = [got["token_logprobs"][i], *sorted(got["top_logprobs"][i].values(), reverse=True)[:5]]
            if len(ours) < len(theirs):  # two tokens may have the same text, and the API names tokens by it
                theirs, ours = theirs[:1], ours[:1]
            for a, b in zip(ours, theirs, strict=True):
                worst, n = max(worst, abs(a - b) / max(1.0, abs(b))), n + 1
    print(f"scores: {n} log-probabilities, largest relative difference {worst:.1e} (limit 1e-3)")
    return worst <= 1e-3


def check_training(because, gguf, reference, tokenizer, scratch):
    from peft import PeftModel

    data = scratch / "data.jsonl"
    with data.open("w") as f:
        for messages in conversations():
            f.write(json.dumps({"messages": [*messages, {"role": "assistant", "content": "I would say so, because honesty lets people rely on us."}]}) + "\n")
    subprocess.run([because, "train", "sft", "--model", f"local:{gguf}", "--data", data, "--out", scratch / "run", "--lora", "8", "--merge", "--lr", "1e-3",
                    "--batch", "2", "--seq-len", "256"], check=True)
    ids = tokenizer.apply_chat_template(list(conversations())[2], add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.no_grad():
        before = reference(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(scratch / "run/model", dtype=torch.float32)(ids).logits
        adapted = PeftModel.from_pretrained(reference, scratch / "run/adapter")(ids).logits
    again = AutoTokenizer.from_pretrained(scratch / "run/model")
    text = [again.apply_chat_template(m, add_generation_prompt=True, tokenize=False) for m in conversations()]
    fine = text == [tokenizer.apply_chat_template(m, add_generation_prompt=True, tokenize=False) for m in conversations()]
    fine &= all(again(q)["input_ids"] == tokenizer(q)["input_ids"] for q in QUESTIONS)
    moved, apart = (merged - before).norm() / before.norm(), (merged - adapted).norm() / before.norm()
    print(f"training: logits moved by {moved:.1e}; merged model and adapter differ by {apart:.1e} (limit 1e-5); tokenizer and template "
          + ("the same" if fine else "DIFFER"))
    return fine and moved > 1e-3 and apart < 1e-5


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--because")
    args.add_argument("--model")
    args = args.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp())
    server = None
    try:
        because = args.because or str(scratch / "because")
        if not args.because:
            subprocess.run(["go", "build", "-o", because, "./cmd/because"], cwd=ROOT, check=True, env=os.environ | {"CGO_ENABLED": "0"})
        gguf = pathlib.Path(args.model or subprocess.check_output([ROOT / "tools/smollm2.sh"], text=True).strip()).resolve()
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        reference = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
        server, base = serve(because, gguf)
        fine = [check_answers(base, reference, tokenizer), check_scores(base, reference, tokenizer)]
        server.terminate()
        server.wait()
        fine.append(check_training(because, gguf, reference, tokenizer, scratch))
        sys.exit(0 if all(fine) else 1)
    finally:
        if server:
            server.kill()
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
