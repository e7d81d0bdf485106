"""Tokens must be those of because's own, whose vectors data/vectors.go.txt makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from because_ray import pieces, rows
from because_ray.errors import DATA, MODEL, Failure
from because_ray.text import Example, Text
from tests.conftest import DATA as FOLDER

VECTORS = json.loads((FOLDER / "text.json").read_text())


def text(template: str = "") -> Text:
    from transformers import AutoTokenizer

    return Text(AutoTokenizer.from_pretrained(FOLDER / "tinychat"), set(), template)


@pytest.mark.parametrize("v", VECTORS, ids=range(len(VECTORS)))
def test_tokens_are_becauses(v: dict[str, Any]) -> None:
    t = text(v["template"])
    if "text" in v["row"]:
        got = [t.document(rows.parse(json.dumps(v["row"]).encode(), "sdf")[0].text)]
    else:
        row = rows.parse(json.dumps(v["row"]).encode(), "sft")[0]
        got = t.examples(row.messages, row.tools, row.loss)
    assert [e.tokens for e in got] == [e["tokens"] for e in v["examples"]]
    assert [e.learn for e in got] == [e["learn"] or [True] * len(e["tokens"]) for e in v["examples"]]


def test_vectors_reach_what_matters() -> None:
    assert any(len(v["examples"]) > 1 for v in VECTORS)
    assert any("<|im_end|>" in json.dumps(v["row"]) for v in VECTORS)


def test_without_a_template() -> None:
    t = text()
    t.tokenizer.chat_template = None
    t = Text(t.tokenizer, set())
    with pytest.raises(Failure) as e:
        t.examples([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], None, 0)
    assert e.value.kind == MODEL


def test_template_that_refuses() -> None:
    with pytest.raises(ValueError, match="no system"):
        text("{{ raise_exception('no system') }}").examples([{"role": "assistant", "content": "a"}], None, 0)


def example(n: int, learnt: int) -> Example:
    return Example(list(range(n)), [i >= n - learnt for i in range(n)])


def test_cutting_and_splitting() -> None:
    long = [(1, example(10, 10)), (2, example(10, 2)), (3, example(4, 1))]
    cut = pieces.cut(long, 100, 4, "cut")
    assert (cut.rows, cut.dropped, list(cut.lines), [cut.length(i) for i in range(len(cut))]) == (3, 1, [1, 3], [4, 4])
    split = pieces.cut(long, 100, 4, "split")
    assert (split.rows, split.dropped, list(split.lines)) == (3, 0, [1, 1, 1, 2, 3])
    assert [list(split[i]["input_ids"]) for i in (1, 3)] == [[4, 5, 6, 7], [8, 9]]
    assert list(split[1]["labels"]) == [-100, 5, 6, 7]
    assert list(split[3]["labels"]) == [-100, 9]  # the first token of a piece is never predicted
    assert list(split[4]["labels"]) == [-100, -100, -100, 3]


@pytest.mark.parametrize(
    ("examples", "vocabulary", "want"),
    [
        ([(9, example(5, 1))], 100, "line 9: longer than the context: 5 tokens, at most 4"), ([(9, example(4, 1))], 3, "line 9: token 3 is outside"),
        ([(9, example(4, 0))], 100, "line 9: no token carries loss"), ([(9, example(1, 1))], 100, "line 9: no token carries loss"),
    ],
)  # fmt: skip
def test_bad_rows(examples: list[tuple[int, Example]], vocabulary: int, want: str) -> None:
    with pytest.raises(Failure, match=want) as e:
        pieces.cut([(1, example(3, 1)), *examples], vocabulary, 4, "error")
    assert (e.value.kind, e.value.row) == (DATA, 9)


def test_what_is_written_out_needs_no_template() -> None:
    t = text()
    messages = [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "people rely on our word"}]
    (want,) = t.examples(messages, None, 0)
    before = t._render(messages[:1], None, True)
    whole = t._render(messages, None, False)
    own = whole[len(before) :].removesuffix("\n")
    got = t.rendered(before, own)
    n = len(got.tokens)
    assert got.tokens == want.tokens[:n] and got.learn == want.learn[:n] and not any(want.learn[n:])
