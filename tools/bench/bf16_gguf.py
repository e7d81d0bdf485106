"""Widen a GGUF file to bfloat16, the precision that this project keeps weights in, for llama.cpp to be compared at.

    python tools/bench/bf16_gguf.py IN.gguf OUT.gguf

Matrices become BF16, vectors (norms) F32, as llama.cpp's own converter leaves them; every other field of the file is copied.
Needs the package gguf.
"""

import os
import sys

import gguf
from gguf import GGMLQuantizationType as Type, GGUFValueType as Value

# Fields that are written anew.
OWN = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type", "general.quantization_version"}


def copy_fields(reader, writer):
    for name, field in reader.fields.items():
        if name in OWN:
            continue
        kind, of = field.types[0], field.types[-1] if field.types[0] == Value.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=of)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def copy_tensors(reader, writer):
    for t in reader.tensors:
        plain = gguf.quants.dequantize(t.data, t.tensor_type)
        kind = Type.F32 if plain.ndim == 1 else Type.BF16
        writer.add_tensor(t.name, gguf.quants.quantize(plain, kind), raw_dtype=kind)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = sys.argv[1:]
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target + ".part", reader.get_field("general.architecture").contents())
    copy_fields(reader, writer)
    copy_tensors(reader, writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(target + ".part", target)


if __name__ == "__main__":
    main()
