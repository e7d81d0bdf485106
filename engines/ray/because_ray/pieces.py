"""The examples of a job after their check.

Token arrays that all workers read from Ray's object store without a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from because_ray.errors import DATA, Failure

if TYPE_CHECKING:
    from because_ray.text import Example

IGNORE = -100  # a label that carries no loss


@dataclass(frozen=True)
class Pieces:
    """Pieces of rows back to back. Each has at least one token that carries loss."""

    tokens: Any  # int32, all pieces
    learn: Any  # bool, likewise; False for the first token of a piece
    starts: Any  # int64, where each piece begins, and the end
    lines: Any  # int32, of the data, from 1
    rows: int  # sequences before cutting
    dropped: int  # those of which cutting left nothing that carries loss

    def __len__(self) -> int:
        return len(self.lines)

    def length(self, i: int) -> int:
        return int(self.starts[i + 1] - self.starts[i])

    def __getitem__(self, i: int) -> dict[str, Any]:
        span = slice(int(self.starts[i]), int(self.starts[i + 1]))
        tokens = self.tokens[span].astype(np.int64)
        return {"input_ids": tokens, "labels": np.where(self.learn[span], tokens, IGNORE)}


def cut(examples: list[tuple[int, Example]], vocabulary: int, seq_len: int, long: str) -> Pieces:
    """Check examples (each with its line) and bring them to the length of seq_len.

    By error, by cutting, or by splitting.
    """
    tokens: list[Any] = []
    learn: list[Any] = []
    lines: list[int] = []
    dropped = 0
    for line, e in examples:
        ids, mask = np.asarray(e.tokens, np.int32), np.asarray(e.learn, bool)
        _check(line, ids, mask, vocabulary, seq_len if long == "error" else 0)
        before = len(lines)
        for at in range(0, len(ids) if long == "split" else 1, seq_len):
            part = mask[at : at + seq_len].copy()
            part[:1] = False
            if part.any():
                tokens.append(ids[at : at + seq_len])
                learn.append(part)
                lines.append(line)
        dropped += before == len(lines)
    if not lines:
        raise Failure(
            DATA,
            f"nothing that carries loss is left of {len(examples)} sequences after cutting them to {seq_len} tokens",
        )
    starts = np.concatenate([[0], np.cumsum([len(t) for t in tokens])]).astype(np.int64)
    return Pieces(
        np.concatenate(tokens), np.concatenate(learn), starts, np.asarray(lines, np.int32), len(examples), dropped
    )


def _check(line: int, ids: Any, mask: Any, vocabulary: int, limit: int) -> None:
    if limit and len(ids) > limit:
        hint = "raise the sequence length, or ask for long rows to be cut or split"
        raise Failure(DATA, f"line {line}: longer than the context: {len(ids)} tokens, at most {limit}", hint, row=line)
    if len(ids) and int(ids.max()) >= vocabulary:
        raise Failure(
            DATA, f"line {line}: token {int(ids.max())} is outside the model's vocabulary of {vocabulary}", row=line
        )
    if not mask[1:].any():
        raise Failure(DATA, f"line {line}: no token carries loss", row=line)
