"""Reads training data:

JSON lines in the columns of TRL, with the rules of because's data/trl. Every complaint names the line and the column.

sft: `messages`, or `prompt` and `completion` (lists of messages or plain strings), with `tools` beside them. sdf:
`text`. rl: `prompt`, with `id` and `task`. Other columns are labels of the user's own.

Programs may also send sft rows that are written out already, as `rendered_prompt` and `rendered_completion`: no
template is applied to them, special tokens in them count as such, and all of the completion carries loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from because_ray import storage
from because_ray.errors import DATA, Failure

Message = dict[str, Any]

_ROLES = ("system", "user", "assistant", "tool")
_SHAPES = {
    "sft": 'each line is a JSON object with "messages", or with "prompt" and "completion"',
    "sdf": 'each line is a JSON object with "text"',
    "rl": 'each line is a JSON object with "prompt"',
}


@dataclass(frozen=True)
class Row:
    """One line: a text, a conversation whose assistant's turns from index loss on are to be learnt, or a prompt."""

    line: int  # in the file, from 1
    text: str = ""
    messages: list[Message] = field(default_factory=list)
    tools: list[dict[str, Any]] | None = None
    loss: int = 0
    prompt: str | list[Message] = ""
    rendered: tuple[str, str] | None = None  # prompt and completion, written out
    id: Any = None
    task: Any = None


class _Bad(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def read(name: str, sha256: str, method: str) -> list[Row]:
    """Read the data of a job: a file that was sent along, or a URI. The bytes must have the SHA-256 given."""
    return parse(storage.read_checked(name, sha256), method)


def parse(data: bytes, method: str) -> list[Row]:
    out = []
    for line, raw in _lines(data):
        try:
            out.append(_row(line, raw, method))
        except _Bad as e:
            message = f"line {line}: {e.column + ': ' if e.column else ''}{e}"
            raise Failure(DATA, message, _SHAPES[method] if not e.column else "", row=line, column=e.column) from None
    if not out:
        raise Failure(DATA, "there are no rows", _SHAPES[method])
    return out


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for i, raw in enumerate(data.split(b"\n"), 1):
        text = (raw.removeprefix(b"\xef\xbb\xbf") if i == 1 else raw).strip()
        if text:
            yield i, text


def _row(line: int, raw: bytes, method: str) -> Row:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise _Bad("", "it is not valid UTF-8") from None
    except (ValueError, RecursionError) as e:
        raise _Bad("", f"it is not JSON: {e}") from None
    if not isinstance(value, dict):
        raise _Bad("", "it is not a JSON object")
    reader: Callable[[int, dict[str, Any]], Row] = {"sft": _conversation, "sdf": _document, "rl": _prompt}[method]
    return reader(line, value)


def _document(line: int, v: dict[str, Any]) -> Row:
    text = v.get("text")
    if text is None:
        raise _Bad("text", "it is missing; rows of conversations are trained on by sft")
    if not isinstance(text, str) or not text:
        raise _Bad("text", "it is empty" if text == "" else "it is not a string")
    for other in ("messages", "prompt", "completion", "tools"):
        if v.get(other) is not None:
            raise _Bad(other, "it stands beside text, and a row is either a text or a conversation")
    return Row(line, text=text)


def _conversation(line: int, v: dict[str, Any]) -> Row:
    if v.get("text") is not None:
        raise _Bad("text", "the row is a text, not a conversation; texts are trained on by sdf")
    if v.get("rendered_prompt") is not None or v.get("rendered_completion") is not None:
        return Row(line, rendered=_rendered(v))
    pair = v.get("prompt") is not None or v.get("completion") is not None
    if (v.get("messages") is not None) == pair:
        raise _Bad(
            "",
            "the row has both messages and a prompt or completion"
            if pair
            else "the row has neither messages nor prompt and completion",
        )
    tools = _tools(v.get("tools"))
    if pair:
        for name in ("prompt", "completion"):
            if v.get(name) is None:
                raise _Bad(name, "it is missing; prompt and completion belong together")
        before = _messages_or_text("prompt", "user", v["prompt"])
        messages, loss = before + _messages_or_text("completion", "assistant", v["completion"]), len(before)
    else:
        messages, loss = _messages("messages", v["messages"]), 0
    _check(messages, loss, "completion" if pair else "messages")
    return Row(line, messages=messages, tools=tools, loss=loss)


def _rendered(v: dict[str, Any]) -> tuple[str, str]:
    for name in ("messages", "prompt", "completion", "tools"):
        if v.get(name) is not None:
            raise _Bad(name, "it stands beside rendered_prompt, which is the whole of a row")
    for name in ("rendered_prompt", "rendered_completion"):
        if not isinstance(v.get(name), str) or not v[name]:
            raise _Bad(name, "it is missing, empty or not a string")
    return v["rendered_prompt"], v["rendered_completion"]


def _prompt(line: int, v: dict[str, Any]) -> Row:
    prompt = v.get("prompt")
    if prompt is None:
        raise _Bad("prompt", "it is missing")
    if isinstance(prompt, str):
        if not prompt:
            raise _Bad("prompt", "it is empty")
        return Row(line, prompt=prompt, id=v.get("id"), task=v.get("task"))
    messages = _messages("prompt", prompt)
    if messages[-1]["role"] == "assistant":
        raise _Bad("prompt", "it ends with the assistant's turn, so there is nothing to answer")
    _check_order(messages, "prompt")
    return Row(line, prompt=messages, id=v.get("id"), task=v.get("task"))


def _messages_or_text(column: str, role: str, value: Any) -> list[Message]:
    return [{"role": role, "content": value}] if isinstance(value, str) else _messages(column, value)


def _messages(column: str, value: Any) -> list[Message]:
    if not isinstance(value, list):
        raise _Bad(column, "it is not a list of messages")
    if not value:
        raise _Bad(column, "it is empty")
    out = []
    for i, m in enumerate(value):
        try:
            out.append(_message(m))
        except ValueError as e:
            raise _Bad(column, f"[{i}]: {e}") from None
    return out


def _message(m: Any) -> Message:
    if not isinstance(m, dict):
        raise ValueError("it is not an object")
    role = m.get("role")
    role = "system" if role == "developer" else role
    if role not in _ROLES:
        raise ValueError("role is missing" if not role else f"role {role!r} is none of system, user, assistant, tool")
    out: Message = {"role": role, "content": _content(m.get("content"))}
    for key in ("name", "tool_call_id"):
        if isinstance(m.get(key), str) and m[key]:
            out[key] = m[key]
    calls = m.get("tool_calls") or []
    if calls:
        if role != "assistant" or not isinstance(calls, list):
            raise ValueError(
                f"the role {role} makes no tool calls" if role != "assistant" else "tool_calls is not a list"
            )
        out["tool_calls"] = [_call(i, c) for i, c in enumerate(calls)]
    if role == "assistant" and not out["content"] and not calls:
        raise ValueError("the assistant's turn has neither content nor tool calls")
    return out


def _content(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError("content is neither a string nor a list of parts")
    for i, part in enumerate(value):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise ValueError(f"content[{i}] is of type {kind!r}; only text can be trained on")
    return "".join(part["text"] for part in value)


def _call(i: int, value: Any) -> dict[str, Any]:
    """Read a tool call, wrapped in "function" or flat, its arguments an object or a string that holds one."""
    inner = value.get("function") if isinstance(value, dict) and isinstance(value.get("function"), dict) else value
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str) or not inner["name"]:
        raise ValueError(f"tool_calls[{i}]: the name of the function is missing")
    arguments = inner.get("arguments")
    if arguments is None:
        arguments = {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(f"tool_calls[{i}]: arguments are no JSON object")
    out: dict[str, Any] = {"id": value["id"]} if isinstance(value.get("id"), str) and value["id"] else {}
    return out | {"type": "function", "function": {"name": inner["name"], "arguments": arguments}}


def _tools(value: Any) -> list[dict[str, Any]] | None:
    """Read tool definitions, wrapped in "function" or flat; older datasets hold the list in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise _Bad("tools", "they are no list of definitions") from None
    if value is None:
        return None
    if not isinstance(value, list):
        raise _Bad("tools", "they are no list of definitions")
    out = []
    for i, t in enumerate(value):
        inner = t.get("function") if isinstance(t, dict) and isinstance(t.get("function"), dict) else t
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str) or not inner["name"]:
            raise _Bad("tools", f"[{i}]: the name is missing")
        function = {"name": inner["name"]}
        function |= {key: inner[key] for key in ("description", "parameters") if inner.get(key) not in (None, "")}
        out.append({"type": "function", "function": function})
    return out or None


def _check(messages: list[Message], loss: int, column: str) -> None:
    _check_order(messages, column)
    if not any(m["role"] == "assistant" for m in messages[loss:]):
        raise _Bad(column, "no turn is the assistant's, so there is nothing to learn")


def _check_order(messages: list[Message], column: str) -> None:
    """Refuse conversations that no chat could have had.

    Late system prompts, and tool results without their calls or the other way round.
    """
    waiting: list[dict[str, Any]] = []  # calls of the last assistant's turn without a result
    for i, m in enumerate(messages):
        if m["role"] == "system" and i > 0:
            raise _Bad(column, f"[{i}] is a system prompt, which may only come first")
        if m["role"] == "tool":
            _settle(waiting, m.get("tool_call_id", ""), column, i)
            continue
        if waiting:
            raise _Bad(column, f"[{i}]: the call of {waiting[0]['function']['name']} before it has no result")
        waiting = list(m.get("tool_calls", []))


def _settle(waiting: list[dict[str, Any]], call_id: str, column: str, i: int) -> None:
    if not waiting:
        raise _Bad(column, f"[{i}]: a tool's result without a call")
    for at, call in enumerate(waiting):
        if not call_id or call.get("id", "") in ("", call_id):
            del waiting[at]
            return
    raise _Bad(column, f"[{i}]: tool_call_id {call_id!r} belongs to no call before it")


def read_messages(column: str, value: Any) -> list[Message]:
    """Read the messages of a request. What is wrong with them is a ValueError."""
    try:
        messages = _messages(column, value)
        _check_order(messages, column)
    except _Bad as e:
        raise ValueError(f"{e.column}: {e}") from None
    return messages


def read_tools(value: Any) -> list[dict[str, Any]] | None:
    """Read the tools of a request. What is wrong with them is a ValueError."""
    try:
        return _tools(value)
    except _Bad as e:
        raise ValueError(f"tools: {e}") from None
