"""Rewrites the text of each case in template.json with what transformers makes of it.

    python template.py        # needs transformers, jinja2, tokenizers

TestTemplate compares Template with these texts.
"""

import json
import pathlib

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

path = pathlib.Path(__file__).with_name("template.json")
file = json.loads(path.read_text())
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({})), chat_template=file["jinja"])
for case in file["cases"]:
    name = {"name": case["as"]} if case.get("as") else {}
    case["text"] = tokenizer.apply_chat_template(
        case["messages"], tokenize=False, add_generation_prompt=case["open"], **name
    )
path.write_text(json.dumps(file, indent=2, ensure_ascii=False) + "\n")
