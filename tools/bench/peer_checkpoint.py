"""The peers' side of checkpoint.py: loads a checkpoint, says "ready", runs one round for every line it reads.

    python peer_checkpoint.py prefill|decode|single|train FOLDER f32|bf16 THREADS
    python peer_checkpoint.py prefill|single FILE.gguf llama.cpp THREADS
"""

import json
import pathlib
import sys
import time

import numpy as np

LONG_PROMPT = 512
SEQUENCES, PROMPT, NEW = 32, 64, 64
ROWS, LENGTH = 8, 256
VOCABULARY = 49152 - 1024


def transformers_round(what, path, precision):
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    model.generation_config.eos_token_id = None
    if what == "train":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0)

        def train():
            ids = torch.randint(VOCABULARY, (ROWS, LENGTH))
            model(input_ids=ids, labels=ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            return ROWS * LENGTH

        return train
    model.eval()
    n, prompt, new = {"prefill": (1, LONG_PROMPT, 1), "decode": (SEQUENCES, PROMPT, NEW), "single": (1, PROMPT, NEW)}[what]

    def generate():
        ids = torch.randint(VOCABULARY, (n, prompt))
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=True, temperature=1.0, top_k=0,
                           pad_token_id=0)
        return n * (prompt if new == 1 else new)

    return generate


def llama_cpp_round(what, path, threads):
    """The library's own loop, and the likeliest token: the samplers of its Python binding would cost more than the model."""
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=1024, n_batch=LONG_PROMPT, n_ubatch=LONG_PROMPT, n_threads=threads, n_threads_batch=threads, verbose=False)
    print(llama_cpp.llama_print_system_info().decode(), file=sys.stderr)
    prompt, new = {"prefill": (LONG_PROMPT, 1), "single": (PROMPT, NEW)}[what]
    vocabulary = model.n_vocab()

    def generate():
        model.reset()
        model.eval(np.random.randint(VOCABULARY, size=prompt).tolist())
        for i in range(new):
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), shape=(vocabulary,))
            token = int(logits.argmax())
            if i + 1 < new:
                model.eval([token])
        return prompt if new == 1 else new

    return generate


def main():
    what, path, precision, threads = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if precision == "llama.cpp":
        round, version = llama_cpp_round(what, path, threads), "llama.cpp"
    else:
        import torch

        torch.set_num_threads(threads)
        round, version = transformers_round(what, path, precision), torch.__version__
    round()
    print("ready", version, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = round()
        print(json.dumps(dict(tokens=tokens, wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)), flush=True)


if __name__ == "__main__":
    main()
