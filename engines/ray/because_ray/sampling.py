"""Answers of a model in batches whose rows have settings of their own.

A row's answer does not depend on its company, but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ask:
    """A prompt in tokens, and how to answer it. Temperature 0 takes the likeliest token."""

    prompt: list[int]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None  # how many alternatives to tell; None: nothing of it
    echo: bool = False  # score the prompt too


@dataclass
class Token:
    """A token with its log-probability under the model at temperature 1; the first of a text has none."""

    id: int
    logprob: float | None
    top: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Answer:
    text: str
    ids: list[int]
    finish: str  # stop or length
    tokens: list[Token]  # of the answer
    prompt: list[Token]  # of the prompt, with echo


def generate(model: Any, tokenizer: Any, end: set[int], asks: list[Ask]) -> list[Answer]:
    """Answer a batch."""
    import torch

    with torch.inference_mode():
        rows = [_Row(a, tokenizer, end) for a in asks]
        width = max(len(a.prompt) for a in asks)
        ids = torch.zeros((len(asks), width), dtype=torch.long)
        mask = torch.zeros((len(asks), width), dtype=torch.long)
        for i, a in enumerate(asks):
            ids[i, width - len(a.prompt) :], mask[i, width - len(a.prompt) :] = torch.tensor(a.prompt), 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        out = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True)
        for i, row in enumerate(rows):
            if row.ask.echo and row.ask.logprobs is not None:
                row.score_prompt(out.logits[i, width - len(row.ask.prompt) :].float())
        logits, cache, at = out.logits[:, -1], out.past_key_values, positions[:, -1]
        while any(not row.done for row in rows):
            drawn = torch.tensor([[row.draw(logits[i].float())] for i, row in enumerate(rows)])
            if all(row.done for row in rows):
                break
            at = at + 1
            mask = torch.cat([mask, torch.ones((len(rows), 1), dtype=torch.long)], 1)
            out = model(
                input_ids=drawn, attention_mask=mask, position_ids=at[:, None], past_key_values=cache, use_cache=True
            )
            logits, cache = out.logits[:, -1], out.past_key_values
        return [row.answer() for row in rows]


class _Row:
    def __init__(self, ask: Ask, tokenizer: Any, end: set[int]) -> None:
        import torch

        self.ask, self._tokenizer, self._end = ask, tokenizer, end
        self._random = torch.Generator().manual_seed(ask.seed % (1 << 63))
        self._ids: list[int] = []
        self._tokens: list[Token] = []
        self._prompt: list[Token] = []
        self._finish, self._text = "length", ""
        self.done = ask.max_tokens == 0

    def draw(self, logits: Any) -> int:
        """Take the next token; a row that is done goes on with any."""
        import torch

        if self.done:
            return 0
        if self.ask.temperature == 0:
            token = int(logits.argmax())
        else:
            p = torch.softmax(logits.double() / self.ask.temperature, 0)
            token = int(torch.multinomial(_nucleus(p, self.ask.top_p), 1, generator=self._random))
        if self.ask.logprobs is not None:
            self._tokens.append(_scored(token, torch.log_softmax(logits.double(), 0), self.ask.logprobs))
        self._ids.append(token)
        self._see(token)
        return token

    def _see(self, token: int) -> None:
        if token in self._end:
            self._finish, self.done = "stop", True
        elif self.ask.stop:
            text = self._decode()
            cuts = [at for s in self.ask.stop if s and (at := text.find(s)) >= 0]
            if cuts:
                self._finish, self.done, self._text = "stop", True, text[: min(cuts)]
        self.done = self.done or len(self._ids) >= self.ask.max_tokens

    def _decode(self) -> str:
        text: str = self._tokenizer.decode(self._ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def score_prompt(self, logits: Any) -> None:
        import torch

        assert self.ask.logprobs is not None
        logs = torch.log_softmax(logits.double(), 1)
        self._prompt = [Token(self.ask.prompt[0], None)]
        self._prompt += [_scored(t, logs[i], self.ask.logprobs) for i, t in enumerate(self.ask.prompt[1:])]

    def answer(self) -> Answer:
        stopped_at_text = self._finish == "stop" and not (self._ids and self._ids[-1] in self._end)
        text = self._text if stopped_at_text else self._decode()
        return Answer(text, self._ids, self._finish, self._tokens, self._prompt)


def _nucleus(p: Any, top_p: float) -> Any:
    """Keep the likeliest tokens that together have at least top_p."""
    import torch

    if top_p >= 1:
        return p
    values, order = p.sort(descending=True)
    kept = values.cumsum(0) - values < top_p
    return torch.zeros_like(p).scatter(0, order, values * kept)


def _scored(token: int, logs: Any, alternatives: int) -> Token:
    top = []
    if alternatives:
        values, ids = logs.topk(min(alternatives, logs.numel()))
        top = [(int(i), float(v)) for i, v in zip(ids, values, strict=True)]
    return Token(token, float(logs[token]), top)
