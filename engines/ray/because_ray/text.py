"""Conversations and documents as tokens, in the way of because's model/pretrained:

what one trains on the other answers with.

Each turn of the assistant is tokenised apart from the prompt that it answers, as when the model answers, and carries
loss up to the mark that ends
it. No words of a conversation become special tokens.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any

from because_ray.errors import MODEL, Failure
from because_ray.rows import Message

# The date that templates may print: a fixed one, so that equal rows give equal tokens on any day.
_TODAY = datetime.datetime(2024, 7, 26)

# Put into special tokens that stand in a conversation's own words, so that they stay words. It is in the private use
# area; rows with it are refused.
_GUARD = "\U000fbeca"


_CLOCK = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")


def _dated(template: str | dict[str, str] | None) -> str:
    """Give the default template with today's date, as the calls of strftime_now print it, written into it."""
    text = template.get("default", "") if isinstance(template, dict) else template or ""
    return _CLOCK.sub(lambda m: "'" + _TODAY.strftime(m[2]).replace("'", "") + "'", text)


@dataclass(frozen=True)
class Example:
    """A sequence in tokens; learn marks those that carry loss. The first token is never predicted."""

    tokens: list[int]
    learn: list[bool]


class Text:
    """A tokenizer with its chat template and the tokens that end an answer."""

    def __init__(self, tokenizer: Any, end: set[int], template: str = "") -> None:
        self.tokenizer = tokenizer
        if template:
            tokenizer.chat_template = template
        self.end = set(end)
        if tokenizer.eos_token_id is not None:
            self.end.add(tokenizer.eos_token_id)
        self._template = _dated(tokenizer.chat_template)
        special = sorted({str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}, key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, special)) + ")") if special else None

    def examples(self, messages: list[Message], tools: list[dict[str, Any]] | None, loss: int) -> list[Example]:
        """Make examples of a conversation whose assistant's turns from message loss on are to be learnt.

        Most templates give one. Where a template writes a turn otherwise once the conversation has gone on, each turn
        is an example of its own.
        """
        turns = [
            self._turn(messages, tools, i) for i, m in enumerate(messages) if m["role"] == "assistant" and i >= loss
        ]
        if all(turns[i][0].startswith(turns[i - 1][0] + turns[i - 1][1]) for i in range(1, len(turns))):
            return [self._join(turns)]
        return [self._join([turn]) for turn in turns]

    def prompt(self, prompt: str | list[Message]) -> list[int]:
        """Give the tokens of a prompt to answer.

        Of a plain text, or of a conversation with what opens the assistant's turn.
        """
        if isinstance(prompt, str):
            return self._plain(prompt)
        return self.chat_prompt(prompt, None)

    def chat_prompt(self, messages: list[Message], tools: list[dict[str, Any]] | None) -> list[int]:
        return self._encode(self._render(messages, tools, True))

    def document(self, text: str) -> Example:
        """Give the tokens of a text, with what the model wants before and behind any text."""
        tokens, eos = self._plain(text), self.tokenizer.eos_token_id
        if eos is not None and (not tokens or tokens[-1] != eos):
            tokens.append(eos)
        return Example(tokens, [True] * len(tokens))

    def rendered(self, prompt: str, completion: str) -> Example:
        """Give the tokens of a prompt and a completion that are written out already; the completion carries loss."""
        before, own = self._encode(prompt), self._encode(completion)
        return Example(before + own, [False] * len(before) + [True] * len(own))

    def _plain(self, text: str) -> list[int]:
        return list(
            self.tokenizer(text, split_special_tokens=True, return_attention_mask=False, verbose=False)["input_ids"]
        )

    def _turn(self, messages: list[Message], tools: list[dict[str, Any]] | None, i: int) -> tuple[str, str]:
        """Give what the template writes before turn i, and the turn itself."""
        before, whole = self._render(messages[:i], tools, True), self._render(messages[: i + 1], tools, False)
        if not whole.startswith(before):
            message = (
                "the template writes this turn otherwise than it asks for it, so it can't be told what is to learn"
            )
            raise ValueError(f"[{i}]: {message}")
        return before, whole[len(before) :]

    def _join(self, turns: list[tuple[str, str]]) -> Example:
        out, done = Example([], []), 0
        for before, own in turns:
            prompt, answer = self._encode(before[done:]), self._encode(own)
            learnt = next((i + 1 for i in range(len(answer) - 1, -1, -1) if answer[i] in self.end), len(answer))
            out.tokens.extend(prompt + answer)
            out.learn.extend([False] * len(prompt) + [i < learnt for i in range(len(answer))])
            done = len(before) + len(own)
        return out

    def _render(self, messages: list[Message], tools: list[dict[str, Any]] | None, ask: bool) -> str:
        if not self._template:
            raise Failure(
                MODEL,
                "the model has no chat template",
                "use one that was trained to chat, give chat_template, or train on texts (sdf)",
            )
        try:
            return self._apply(self._guarded(messages), self._guarded(tools), ask)
        except Exception as e:
            # Templates refuse roles in an order that they do not know by raising what they like.
            raise ValueError(f"the chat template: {e}") from e

    def _apply(self, messages: list[Message], tools: Any, ask: bool) -> str:
        text: str
        if messages:
            text = self.tokenizer.apply_chat_template(
                messages, tools=tools, chat_template=self._template, add_generation_prompt=ask, tokenize=False
            )
            return text
        # What stands before a first turn of the assistant's; apply_chat_template wants at least one message.
        from transformers.utils.chat_template_utils import render_jinja_template

        marks = self.tokenizer.special_tokens_map
        rendered, _ = render_jinja_template([[]], tools, None, self._template, add_generation_prompt=ask, **marks)
        text = rendered[0]
        return text

    def _guarded(self, value: Any) -> Any:
        if isinstance(value, str):
            if _GUARD in value:
                raise ValueError(f"it holds the private character U+{ord(_GUARD):X}")
            return self._special.sub(lambda m: m[0][0] + _GUARD + m[0][1:], value) if self._special else value
        if isinstance(value, dict):
            return {self._guarded(k): self._guarded(v) for k, v in value.items()}
        return [self._guarded(v) for v in value] if isinstance(value, list) else value

    def _encode(self, text: str) -> list[int]:
        if _GUARD not in text or self._special is None:
            return list(
                self.tokenizer(text, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
            )
        out: list[int] = []
        for i, part in enumerate(self._special.split(text)):
            if i % 2:
                out.append(self.tokenizer.convert_tokens_to_ids(part))
            elif part:
                plain = part.replace(_GUARD, "")
                out += self.tokenizer(
                    plain,
                    add_special_tokens=False,
                    split_special_tokens=True,
                    return_attention_mask=False,
                    verbose=False,
                )["input_ids"]
        return out
