"""Write the vectors of engine/bpe: what Hugging Face tokenizers does with 10,000 strings, family by family.

    python tools/parity/make_tokenizers.py
    python tools/parity/make_tokenizers.py MODEL.gguf

The second form writes nothing: it checks the tokenizer of a GGUF file against transformers' conversion of it.

A family is a small tokenizer that is trained here and configured as the real models' tokenizer.json is: normalizer,
pre-tokenizer, model settings, post-processor, decoder and added tokens. engine/bpe/testdata gets strings.json.gz, the
strings with places for special tokens, and NAME.json.gz for every family:

    tokenizer   the tokenizer.json
    specials    what the places stand for: place i is specials[i % len]
    first       the ids of the first strings, special tokens recognized
    bos         the same with the post-processor's tokens around them
    special     hashes of the ids of all strings, special tokens recognized
    plain       hashes of the ids of the strings with places, special tokens not recognized
    decoded     hashes of the decoded ids of "special"
    skipped     the same of the strings with places, without special tokens
    garbage     hashes of random ids decoded; test and script draw the same ids
    pieces      hashes of what the pre-tokenizer makes of the strings, joined with spaces; for byte-level models only

A hash is the first four bytes of a SHA-256 of the ids (32 bits each, little-endian) or of the text; all of a kind are
put together in base64. variants.json.gz has small tokenizers for settings that no family has, and trained.json.gz the
result of training. The tests that read all this are in engine/bpe/parity_test.go.
"""

import base64
import collections
import gzip
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tokenizer_strings import PLACES, corpus, strings

OUT = pathlib.Path(__file__).parents[2] / "engine/bpe/testdata"
STRINGS, FIRST, VARIANT_STRINGS, GARBAGE = 10_000, 200, 1_000, 300

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def digest(data):
    return hashlib.sha256(data).digest()[:4]


def ids_digest(ids):
    return digest(struct.pack(f"<{len(ids)}i", *ids))


def b64(parts):
    return base64.b64encode(b"".join(parts)).decode()


def write(name, value):
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{name}: {(OUT / name).stat().st_size} bytes")


def special(*names, normalized=False):
    return [AddedToken(n, special=True, normalized=normalized) for n in names]


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def template(token, ident):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {token: {"id": token, "ids": [ident], "tokens": [token]}}}


def byte_level(size, pre, normalizer=None, alphabet=True):
    """A byte-level model trained on the corpus."""
    tok = Tokenizer(models.BPE())
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
    initial = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=initial, show_progress=False))
    return tok


def gpt2():
    tok = byte_level(900, pre_tokenizers.ByteLevel(add_prefix_space=False))
    tok.add_special_tokens(special("<|endoftext|>", normalized=True))
    return changed(tok, post_processor={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True})


def llama3():
    tok = byte_level(1200, split(LLAMA3))
    tok.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>",
                                   *(f"<|reserved_special_token_{i}|>" for i in range(12))))
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    bos = "<|begin_of_text|>"
    return changed(tok, model={"ignore_merges": True},
                   post_processor={"type": "Sequence", "processors": [level, template(bos, tok.token_to_id(bos))]})


def qwen2():
    tok = byte_level(1100, split(QWEN2), normalizers.NFC())
    tok.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"))
    tok.add_tokens([AddedToken(t, normalized=False) for t in ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<think>", "</think>"]])
    return changed(tok, model={"continuing_subword_prefix": "", "end_of_word_suffix": ""},
                   post_processor={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False})


def smollm2():
    """Like the real one it lacks the bytes that its corpus lacked; what needs them is left out."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>", "<gh_stars>", "<jupyter_text>"]
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1000, special_tokens=special(*names), show_progress=False))
    return tok


def sentencepiece():
    """A vocabulary as SentencePiece lays it out, with the merges that scores imply, the better the smaller the id."""
    counts = collections.Counter("".join(corpus()))
    texts = ["".join(c for c in line if counts[c] >= 20) for line in corpus()]  # the others are left to their bytes
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=900, show_progress=False))
    trained = json.loads(tok.to_str())["model"]
    chars = [t for t in trained["vocab"] if len(t) == 1 and t != "\n"]
    made = ["▁▁", "▁▁▁▁", "▁▁▁▁▁▁▁▁"] + [a + b for a, b in trained["merges"]]
    tokens = list(dict.fromkeys(["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + made + chars))
    vocab = {t: i for i, t in enumerate(tokens)}
    merges = []
    for t in tokens[259:]:
        cuts = [(t[:i], t[i:]) for i in range(1, len(t)) if t[:i] in vocab and t[i:] in vocab]
        merges += sorted(cuts, key=lambda c: (len(c[0]), len(c[1])), reverse=True)
    return vocab, merges


def byte_fallback(normalizer, pre, added, post, strip):
    vocab, merges = sentencepiece()
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tok.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))
    tok.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tok.add_special_tokens(added)
    return changed(tok, post_processor=post)


def llama2():
    return byte_fallback(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, [], template("<s>", 1), True)


def mistral():
    return byte_fallback(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), special("[INST]", "[/INST]", "[TOOL_CALLS]"),
                         template("<s>", 1), True)


def tekken():
    tok = byte_level(1100, split(TEKKEN))
    tok.add_special_tokens(special("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]"))
    return changed(tok, model={"ignore_merges": True}, post_processor=template("<s>", tok.token_to_id("<s>")))


FAMILIES = dict(gpt2=gpt2, llama3=llama3, qwen2=qwen2, smollm2=smollm2, llama2=llama2, mistral=mistral, tekken=tekken)


def changed(tok, model=None, **parts):
    """The tokenizer with keys of its JSON replaced."""
    t = json.loads(tok.to_str())
    t.update(parts)
    t["model"].update(model or {})
    return Tokenizer.from_str(json.dumps(t))


def variants():
    """Settings that no family has, by name."""
    vocab, merges = sentencepiece()
    plain = lambda **k: Tokenizer(models.BPE(vocab, merges, **k))
    flags = [AddedToken("the", single_word=True), AddedToken("wa", lstrip=True), AddedToken("é", rstrip=True), AddedToken("<e\u0301>", special=True, normalized=True),
             AddedToken(" in ", normalized=False), AddedToken("<s>x", normalized=False), AddedToken("boats came", lstrip=True, rstrip=True, normalized=False)]
    out = {}

    def add(name, tok, tokens=()):
        tok.add_tokens(list(tokens))
        out[name] = tok

    for behavior in ["isolated", "removed", "contiguous", "merged_with_previous", "merged_with_next"]:
        for invert in [False, True]:
            tok = plain(unk_token="<unk>")
            tok.pre_tokenizer = pre_tokenizers.Split("a", behavior, invert)
            add(f"split {behavior} {invert}", tok)
    tok = byte_level(600, pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.ByteLevel(add_prefix_space=True)]), normalizers.NFC())
    add("flags, NFC", tok, flags + special("<|x|>"))
    tok = plain(unk_token="<unk>", fuse_unk=True)
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"), normalizers.NFC()])
    add("flags, Prepend", tok, flags + special("</s>", normalized=True))
    tok = plain(unk_token="<unk>")
    tok.pre_tokenizer, tok.decoder = pre_tokenizers.Metaspace(prepend_scheme="always", split=True), decoders.Metaspace()
    add("Metaspace always", tok, flags + special("<s>"))
    tok = plain()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme="first", split=True), pre_tokenizers.Digits(True)])
    tok.decoder = decoders.Metaspace(prepend_scheme="never")
    add("no unk", tok, special("<s>"))
    some = {t: i for t, i in vocab.items() if t not in ("<0xC3>", "<0xF0>")}
    ids = {t: i for i, t in enumerate(some)}
    add("some bytes", Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)))
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, ignore_merges=True))
    tok.pre_tokenizer = pre_tokenizers.Split(Regex(LLAMA3), "removed", invert=True)
    add("ignore_merges, runes", tok)
    return out


def encode(tok, texts, plain=False, bos=False):
    tok.encode_special_tokens = plain
    return [e.ids for e in tok.encode_batch(texts, add_special_tokens=bos)]


def draw(n):
    """Random ids below n and a little above; see the same in the test."""
    x, out = 1, []
    for _ in range(GARBAGE):
        ids = []
        for _ in range(8):
            x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
            ids.append((x >> 33) % (n + 2))
        out.append(ids)
    return out


def vectors(tok, texts):
    """The frozen facts about one tokenizer."""
    t = json.loads(tok.to_str())
    names = [a["content"] for a in t["added_tokens"] if a["special"]] or ["</s>"]
    filled = []
    for s in texts:
        for i, place in enumerate(PLACES):
            s = s.replace(place, names[i % len(names)])
        filled.append(s)
    placed = [i for i, s in enumerate(texts) if any(p in s for p in PLACES)]
    ids = encode(tok, filled)
    return {
        "tokenizer": t,
        "specials": names,
        "first": ids[:FIRST],
        "bos": encode(tok, filled[:FIRST], bos=True),
        "special": b64(map(ids_digest, ids)),
        "plain": b64(map(ids_digest, encode(tok, [filled[i] for i in placed], plain=True))),
        "decoded": b64(digest(tok.decode(i, skip_special_tokens=False).encode()) for i in ids),
        "skipped": b64(digest(tok.decode(ids[i], skip_special_tokens=True).encode()) for i in placed),
        "pieces": b64(digest(" ".join(pieces(tok, s)).encode()) for s in texts) if "ByteLevel" in json.dumps(t["pre_tokenizer"]) else "",
        "garbage": b64(digest(tok.decode(g, skip_special_tokens=False).encode()) for g in draw(max(tok.get_vocab().values()))),
    }


def pieces(tok, text):
    """What the pre-tokenizer cuts a text into."""
    if tok.normalizer:
        text = tok.normalizer.normalize_str(text)
    return [piece for piece, _ in tok.pre_tokenizer.pre_tokenize_str(text)]


def trained():
    """What training gives, on corpora that the test rebuilds: the first strings, and words of few letters, in which pairs overlap."""
    out = []
    for texts, size in [(strings(STRINGS)[:3000], 1500), (dense(), 700)]:
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer, tok.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<|endoftext|>", "<|im_start|>"], show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        tok.train_from_iterator(texts, trainer)
        model = json.loads(tok.to_str())["model"]
        out.append({"size": size, "vocab": list(model["vocab"]), "merges": model["merges"]})
    return out


def dense():
    """2,000 words of the letters a, b and c from draws that the test repeats."""
    x, out = 7, []
    for i in range(2000):
        word = ""
        for _ in range(3 + i % 10):
            x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
            word += "abc"[(x >> 33) % 3]
        out.append(word)
    return out


def classes():
    """Ranges of the characters of each class, as the pre-tokenizers see them."""
    points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    text = "".join(map(chr, points))

    def ranges(have):
        out = []
        for c in have:
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
        return out

    def regex(pattern):
        kept = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
        return ranges(sorted(ord(c) for piece, _ in kept for c in piece))

    def added(**flags):
        tok = Tokenizer(models.BPE({"x": 0}, []))
        tok.add_tokens([AddedToken("<w>", normalized=False, **flags)])
        return [tok.encode(chr(c) + "<w>") for c in points]

    numeric = pre_tokenizers.Digits(True).pre_tokenize_str("".join("ab" + c + "b" for c in text))
    return {
        "letter": regex(r"\p{L}"), "number": regex(r"\p{N}"), "space": regex(r"\s"), "upper": regex(r"[\p{Lu}\p{Lt}]"),
        "lower": regex(r"\p{Ll}"), "uncased": regex(r"[\p{Lm}\p{Lo}\p{M}]"), "numeric": ranges(ord(p) for p, (a, b) in numeric if b - a == 1),
        "word": ranges(c for c, e in zip(points, added(single_word=True)) if "<w>" not in e.tokens),
    }


def composed():
    """NFC of every character by itself, and of q, the character and marks of several classes, as one hash each 256 characters."""
    nfc = normalizers.NFC()
    probes = [0x334, 0x93C, 0x3099, 0x94D, 0x321, 0x323, 0x301, 0x345]
    out = []
    for block in range(0, 0x110000, 256):
        text = []
        for c in range(block, block + 256):
            if 0xD800 <= c <= 0xDFFF:
                continue
            text.append(nfc.normalize_str(chr(c)))
            if block < 0x3200 or 0xA600 <= block < 0xB000 or 0xF900 <= block < 0x12000 or block == 0x16F00 or 0x1D100 <= block < 0x1F000:
                text += [nfc.normalize_str("q" + s) for p in probes for s in (chr(c) + chr(p), chr(p) + chr(c))]
        out.append(digest("\n".join(text).encode()))
    return b64(out)


def check_gguf(path):
    """Compares engine/bpe with transformers on a GGUF file's tokenizer, through TestCheckpoint."""
    from gguf import GGUFReader
    from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer, get_gguf_tokenizer

    field = GGUFReader(path).fields
    get = lambda key, default: field[f"tokenizer.ggml.{key}"].contents() if f"tokenizer.ggml.{key}" in field else default
    sp = get("model", "") == "llama"
    fields = {
        "Model": get("model", ""), "Pre": get("pre", ""), "Tokens": get("tokens", []), "Scores": get("scores", []), "Types": get("token_type", []),
        "Merges": get("merges", []), "BOS": get("bos_token_id", -1), "EOS": get("eos_token_id", -1), "UNK": get("unknown_token_id", -1),
        "PAD": get("padding_token_id", -1), "AddBOS": get("add_bos_token", sp), "AddEOS": get("add_eos_token", False),
        "AddSpacePrefix": get("add_space_prefix", sp),
    }
    tok, _ = convert_gguf_tokenizer(*get_gguf_tokenizer(path)[:2])
    if fields["Pre"] == "smollm":  # the conversion leaves this step out, the model's own tokenizer.json has it
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "vectors.json"
        file.write_text(json.dumps({"gguf": fields, "vectors": vectors(tok, strings(STRINGS))}))
        subprocess.run(["go", "test", "./engine/bpe", "-count=1", "-run=TestCheckpoint", "-v", "-args", f"-checkpoint={file}"], cwd=OUT.parents[2], check=True)


def main():
    if len(sys.argv) > 1:
        return check_gguf(sys.argv[1])
    texts = strings(STRINGS)
    write("strings.json.gz", texts)
    for name, make in FAMILIES.items():
        write(f"{name}.json.gz", vectors(make(), texts))
    write("variants.json.gz", {name: vectors(tok, texts[:VARIANT_STRINGS]) for name, tok in variants().items()})
    write("trained.json.gz", trained())
    write("unicode.json.gz", {"classes": classes(), "nfc": composed()})


if __name__ == "__main__":
    main()
