"""Parity of the checkpoint readers with gguf-py and transformers.

    python tools/parity/gguf_checkpoints.py vectors       write engine/gguf/testdata and engine/weights/testdata
    python tools/parity/gguf_checkpoints.py check PATH    compare a checkpoint with transformers' reading of it, tensor by tensor

The vectors are engine/gguf/testdata/types.gguf, which holds a tensor NAME of every element type and, as NAME/f32, what
gguf-py makes of it; and under engine/weights/testdata tiny random models of each architecture, as the folder that
transformers saves and as the GGUF that llama.cpp's converter would make of it.

The check takes a .gguf file or a folder. It needs Go; nothing is written to the repository.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T

ROOT = pathlib.Path(__file__).parents[2]
QUANTISED = [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0]  # what gguf-py can quantise to
RAW = [T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]  # blocks of random bytes
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}


def raw_blocks(rng, typ, rows, blocks):
    """Random bytes; the float16 scales among them are finite, subnormal ones included."""
    size = gguf.GGML_QUANT_SIZES[typ][1]
    data = rng.integers(0, 256, (rows * blocks, size), dtype=np.uint8)
    for at in SCALES.get(typ, []):
        bits = data[:, at : at + 2].copy().view(np.uint16)
        bits[(bits & 0x7C00) == 0x7C00] ^= 0x4000
        data[:, at : at + 2] = bits.view(np.uint8)
    if typ in (T.F16, T.BF16):  # no NaN, whose payload may change on the way
        bits = data.view(np.uint16)
        exponent = 0x7C00 if typ == T.F16 else 0x7F80
        bits[(bits & exponent) == exponent] &= 0x8000 | exponent
    return data.reshape(rows, blocks * size)


def write_types(path):
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    put = lambda name, data, typ: (
        writer.add_tensor(name, data, raw_dtype=typ),
        writer.add_tensor(name + "/f32", gguf.dequantize(data, typ).astype(np.float32)),
    )
    for typ in QUANTISED:
        x = rng.standard_normal((2, 96)).astype(np.float32)
        x[1, 32:64] = 0
        put(typ.name, gguf.quantize(x, typ), typ)
    for typ in RAW:
        block = gguf.GGML_QUANT_SIZES[typ][0]
        put(typ.name + "/raw", raw_blocks(rng, typ, 2, max(2, 192 // block)), typ)
    put("IQ4_NL", raw_blocks(rng, T.IQ4_NL, 1, 1), T.IQ4_NL)
    write(writer)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


SIZES = dict(
    vocab_size=32, hidden_size=24, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


def models():
    """Name, config, element type, and the largest shard (None: one file)."""
    c = transformers
    yield "llama", c.LlamaConfig(**SIZES, head_dim=32, tie_word_embeddings=True, rope_parameters=LLAMA3), torch.bfloat16, "8KB"
    yield "linear", c.LlamaConfig(**SIZES, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), torch.float16, None
    yield "mistral", c.MistralConfig(**SIZES, head_dim=8, sliding_window=None, rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.float32, None
    yield "qwen2", c.Qwen2Config(**SIZES, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.bfloat16, None
    yield "qwen3", c.Qwen3Config(**SIZES, head_dim=8, rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.float16, "8KB"


def permute(w, heads):
    """The order of rows that llama.cpp's converter gives to q and k of the llama architecture."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_factors(rope, head_dim):
    out = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        low, high, n = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
        if wavelength < n / high:
            out.append(1)
        elif wavelength > n / low:
            out.append(rope["factor"])
        else:
            smooth = (n / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(out, dtype=np.float32)


def write_metadata(w, config, head_dim):
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_rope_freq_base(config.rope_parameters["rope_theta"])
    w.add_rope_dimension_count(head_dim)
    if config.rope_parameters["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(config.rope_parameters["factor"])


def write_tokenizer(w, config):
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(["<pad>", "<s>", "</s>"] + [chr(97 + i) for i in range(24)] + ["ab", "bc", "abc", "é", "😀"])
    w.add_token_types([3, 3, 3] + [1] * 29)
    w.add_token_merges(["a b", "b c", "ab c"])
    w.add_bos_token_id(config.bos_token_id)
    w.add_eos_token_id(config.eos_token_id)
    w.add_pad_token_id(config.pad_token_id)
    w.add_add_bos_token(False)
    w.add_chat_template("{% for m in messages %}{{ m.content }}</s>{% endfor %}")


def write_model(path, model, config, dtype):
    arch = {"mistral": "llama"}.get(config.model_type, config.model_type)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    w = gguf.GGUFWriter(path, arch)
    write_metadata(w, config, head_dim)
    write_tokenizer(w, config)
    names = gguf.get_tensor_name_map({v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch], config.num_hidden_layers)
    typ = {torch.float32: T.F32, torch.float16: T.F16, torch.bfloat16: T.BF16}[dtype]
    if config.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_factors(config.rope_parameters, head_dim))
    for name, x in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        x = x.float().numpy()
        if arch == "llama" and ".q_proj." in name:
            x = permute(x, config.num_attention_heads)
        if arch == "llama" and ".k_proj." in name:
            x = permute(x, config.num_key_value_heads)
        kind = T.F32 if x.ndim == 1 else typ
        w.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), gguf.quantize(np.ascontiguousarray(x), kind), raw_dtype=kind)
    write(w)


def vectors():
    out = ROOT / "engine/gguf/testdata"
    out.mkdir(parents=True, exist_ok=True)
    write_types(out / "types.gguf")
    out = ROOT / "engine/weights/testdata"
    for i, (name, config, dtype, shard) in enumerate(models()):
        gen = torch.Generator().manual_seed(i)
        model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn(p.shape, generator=gen))
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, **(dict(max_shard_size=shard) if shard else {}))
        write_model(out / (name + ".gguf"), model, config, dtype)


def check(path):
    """Hashes every tensor of transformers' reading, and lets the Go test compare."""
    path = pathlib.Path(path).resolve()
    args = dict(pretrained_model_name_or_path=path.parent, gguf_file=path.name) if path.is_file() else dict(pretrained_model_name_or_path=path)
    model = transformers.AutoModelForCausalLM.from_pretrained(dtype=torch.float32, **args)
    want = {}
    for name, x in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        data = np.ascontiguousarray(x.numpy(), dtype="<f4")
        want[name] = dict(shape=list(data.shape), sha256=hashlib.sha256(data.tobytes()).hexdigest())
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(want, f)
        f.flush()
        env = dict(os.environ, BECAUSE_PARITY_CHECKPOINT=str(path), BECAUSE_PARITY_TENSORS=f.name)
        subprocess.run(["go", "test", "./engine/weights", "-run", "TestTransformersTensors", "-count=1", "-v"], cwd=ROOT, env=env, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("vectors")
    commands.add_parser("check").add_argument("path")
    args = parser.parse_args()
    vectors() if args.command == "vectors" else check(args.path)
