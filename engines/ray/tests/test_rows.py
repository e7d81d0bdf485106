from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from because_ray import rows
from because_ray.errors import DATA, STORAGE, Failure
from tests.conftest import ENGINE

ASK = {"role": "user", "content": "q"}
SAY = {"role": "assistant", "content": "a"}
CALL = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"x": 1}'}}]}


def parse(row: Any, method: str = "sft") -> rows.Row:
    return rows.parse(json.dumps(row).encode(), method)[0]


def test_shapes() -> None:
    assert parse({"messages": [ASK, SAY], "tools": None, "label": 1}).messages == [ASK, SAY]
    pair = parse({"prompt": [ASK, SAY, ASK], "completion": "a"})
    assert pair.loss == 3 and pair.messages[3] == SAY
    assert parse({"prompt": "q", "completion": [SAY]}).messages == [ASK, SAY]
    assert parse({"text": "t"}, "sdf").text == "t"
    got = parse({"prompt": [ASK], "id": 3, "task": {"a": 1}}, "rl")
    assert got.prompt == [ASK] and got.id == 3 and got.task == {"a": 1}


def test_normalises_calls_and_tools() -> None:
    tool = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    answer = {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "r"}]}
    row = parse({"messages": [{"role": "developer", "content": "s"}, CALL, answer, SAY], "tools": json.dumps([tool])})
    assert row.messages[0]["role"] == "system" and row.messages[2]["content"] == "r"
    assert row.messages[1]["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    ]
    assert row.tools == [{"type": "function", "function": tool}]


def test_counts_lines_and_skips_empty_ones() -> None:
    data = b'\xef\xbb\xbf{"text":"a"}\r\n\n  \n{"text":"b"}'
    assert [(r.line, r.text) for r in rows.parse(data, "sdf")] == [(1, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("row", "method", "column", "want"),
    [
        ("{", "sft", "", "not JSON"), ([], "sft", "", "not a JSON object"), ({}, "sft", "", "neither messages"), ({"text": "t"}, "sft", "text", "a text"),
        ({"messages": [ASK, SAY], "prompt": "q"}, "sft", "", "both"), ({"prompt": "q"}, "sft", "completion", "missing"), ({"messages": []}, "sft", "messages", "empty"),
        ({"messages": "x"}, "sft", "messages", "not a list"), ({"messages": [ASK]}, "sft", "messages", "nothing to learn"),
        ({"messages": [{"role": "robot"}]}, "sft", "messages", "[0]: role 'robot'"), ({"messages": [{"content": "q"}]}, "sft", "messages", "role is missing"),
        ({"messages": [ASK, {"role": "system", "content": "s"}, SAY]}, "sft", "messages", "[1] is a system prompt"),
        ({"messages": [ASK, {"role": "assistant", "content": ""}]}, "sft", "messages", "[1]: the assistant's turn has neither"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "sft", "messages", "content[0] is of type 'image'"),
        ({"messages": [{"role": "user", "tool_calls": [{"name": "f"}]}]}, "sft", "messages", "makes no tool calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "sft", "messages", "name of the function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "x"}]}]}, "sft", "messages", "no JSON object"),
        ({"messages": [ASK, {"role": "tool", "content": "r"}, SAY]}, "sft", "messages", "result without a call"),
        ({"messages": [CALL, {"role": "tool", "tool_call_id": "2", "content": "r"}]}, "sft", "messages", "tool_call_id '2'"),
        ({"messages": [CALL, ASK, SAY]}, "sft", "messages", "the call of f"), ({"messages": [ASK, SAY], "tools": [{}]}, "sft", "tools", "[0]: the name"),
        ({"prompt": "q", "completion": [ASK]}, "sft", "completion", "nothing to learn"), ({"messages": [SAY]}, "sdf", "text", "missing"),
        ({"text": ""}, "sdf", "text", "empty"), ({"text": 1}, "sdf", "text", "not a string"), ({"text": "t", "tools": []}, "sdf", "tools", "beside text"),
        ({}, "rl", "prompt", "missing"), ({"prompt": ""}, "rl", "prompt", "empty"), ({"prompt": [ASK, SAY]}, "rl", "prompt", "nothing to answer"),
    ],
)  # fmt: skip
def test_names_line_and_column(row: Any, method: str, column: str, want: str) -> None:
    good = {"sft": {"messages": [ASK, SAY]}, "sdf": {"text": "t"}, "rl": {"prompt": "q"}}[method]
    line = row if isinstance(row, str) else json.dumps(row)
    with pytest.raises(Failure) as e:
        rows.parse(f"{json.dumps(good)}\n\n{line}\n".encode(), method)
    assert (e.value.kind, e.value.row, e.value.column) == (DATA, 3, column)
    assert want in e.value.message and e.value.message.startswith("line 3: ")


def test_bad_bytes_and_no_rows() -> None:
    for data, want in ((b'{"text":"\xff"}', "UTF-8"), (b"\n\n", "no rows")):
        with pytest.raises(Failure, match=want):
            rows.parse(data, "sdf")


def test_read_refuses_other_bytes(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"text":"a"}\n')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(rows.read(str(path), digest, "sdf")) == len(rows.read(path.as_uri(), digest, "sdf")) == 1
    path.write_text('{"text":"b"}\n')
    for name in (str(path), str(tmp_path / "absent")):
        with pytest.raises(Failure) as e:
            rows.read(name, digest, "sdf")
        assert e.value.kind == STORAGE


def test_needs_neither_ray_nor_torch() -> None:
    code = "import sys; from because_ray import job, rows, order, events, storage; print({'ray', 'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ENGINE, check=True)
    assert done.stdout.strip() == "set()"


def test_rows_that_are_written_out() -> None:
    (row,) = rows.parse(b'{"rendered_prompt": "<user> a <turn>", "rendered_completion": " b <end>", "id": "x"}', "sft")
    assert row.rendered == ("<user> a <turn>", " b <end>") and not row.messages
    for bad, column in (
        ('{"rendered_prompt": "a"}', "rendered_completion"),
        ('{"rendered_prompt": "a", "rendered_completion": ""}', "rendered_completion"),
        ('{"rendered_prompt": "a", "rendered_completion": "b", "messages": []}', "messages"),
    ):
        with pytest.raises(Failure) as e:
            rows.parse(bad.encode(), "sft")
        assert e.value.column == column
