"""The order of the examples and the course of the learning rate:

the same as because's own training, whatever the number of workers.

The random stream is that of Go's math/rand/v2, rand.New(rand.NewPCG(seed, epoch)).Shuffle: PCG with 128 bits of state
and the DXSM output
(O'Neill 2014, https://www.pcg-random.org), numbers below n by Lemire's multiplication (arXiv:1805.10941), Fisher-Yates
from the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

_M64 = (1 << 64) - 1
_M128 = (1 << 128) - 1
_MUL = 2549297995355413924 << 64 | 4865540595714422341
_INC = 6364136223846793005 << 64 | 1442695040888963407
_CHEAP = 0xDA942042E4DD58B5


class PCG:
    """Go's rand.PCG."""

    def __init__(self, seed1: int, seed2: int) -> None:
        self._state = (seed1 & _M64) << 64 | (seed2 & _M64)

    def uint64(self) -> int:
        self._state = (self._state * _MUL + _INC) & _M128
        hi, lo = self._state >> 64, self._state & _M64
        hi ^= hi >> 32
        hi = hi * _CHEAP & _M64
        hi ^= hi >> 48
        return hi * (lo | 1) & _M64

    def below(self, n: int) -> int:
        """Draw a number from 0 to n-1, as Go's Uint64N."""
        if n & (n - 1) == 0:
            return self.uint64() & (n - 1)
        product = self.uint64() * n
        if product & _M64 < n:
            threshold = ((1 << 64) - n) % n
            while product & _M64 < threshold:
                product = self.uint64() * n
        return product >> 64


def shuffled(n: int, seed: int, epoch: int) -> list[int]:
    """Give 0..n-1 in the order of an epoch."""
    order, r = list(range(n)), PCG(seed, epoch)
    for i in range(n - 1, 0, -1):
        j = r.below(i + 1)
        order[i], order[j] = order[j], order[i]
    return order


@dataclass(frozen=True)
class Plan:
    """Which examples each step trains on:

    the next `rows` of the epoch's order; an epoch's last step takes what is left.

    whole asks for steps of equal size instead, which go on into the next epoch (rl).
    """

    examples: int
    rows: int
    seed: int
    ordered: bool
    steps: int  # in all
    whole: bool = False

    @staticmethod
    def of(examples: int, rows: int, seed: int, ordered: bool, epochs: int, steps: int, whole: bool = False) -> Plan:
        if steps == 0:
            steps = -(-examples * epochs // rows) if whole else epochs * -(-examples // rows)
        return Plan(examples, rows, seed, ordered, steps, whole)

    def epoch(self, n: int) -> list[int]:
        return list(range(self.examples)) if self.ordered else shuffled(self.examples, self.seed, n)

    def walk(self, first: int = 0) -> Iterator[list[int]]:
        """Give the examples of each step from `first`, counted from 0, to the last."""
        if self.whole:
            yield from self._walk_whole(first)
            return
        length = -(-self.examples // self.rows)
        epoch, order = -1, list[int]()
        for step in range(first, self.steps):
            if step // length != epoch:
                epoch = step // length
                order = self.epoch(epoch)
            at = step % length * self.rows
            yield order[at : at + self.rows]

    def _walk_whole(self, first: int) -> Iterator[list[int]]:
        epoch, order = -1, list[int]()
        for step in range(first, self.steps):
            out = []
            for at in range(step * self.rows, (step + 1) * self.rows):
                if at // self.examples != epoch:
                    epoch = at // self.examples
                    order = self.epoch(epoch)
                out.append(order[at % self.examples])
            yield out


def share(rows: list[int], worker: int, workers: int) -> list[int]:
    """Give a worker's part of a step's rows: shares differ by one row at most and lie in order."""
    return rows[len(rows) * worker // workers : len(rows) * (worker + 1) // workers]


def batches_per_step(rows: int, workers: int, micro: int) -> int:
    """Tell how many micro-batches of at most `micro` rows each worker needs for a full step."""
    return math.ceil(math.ceil(rows / workers) / micro)


def micro_batches(rows: list[int], worker: int, workers: int, count: int) -> list[list[int]]:
    """Cut a worker's share of a step into `count` batches, whose sizes differ by one at most. Some may be empty."""
    own = share(rows, worker, workers)
    return [share(own, i, count) for i in range(count)]


@dataclass(frozen=True)
class Schedule:
    """The learning rate.

    Up to the peak over the warm-up, then down to floor*peak at the last step. As engine/optim.Schedule.
    """

    peak: float
    floor: float
    warmup: int
    steps: int
    shape: str

    def rate(self, step: int) -> float:
        """Give the rate of a step counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        progress, last = 1.0, self.steps - 1
        if last > self.warmup:
            progress = min(1.0, (step - self.warmup) / (last - self.warmup))
        elif step <= self.warmup:
            progress = 0.0
        if self.shape == "constant":
            left = 1.0
        elif self.shape == "linear":
            left = 1 - progress
        else:
            left = (1 + math.cos(math.pi * progress)) / 2
        return self.peak * (self.floor + (1 - self.floor) * left)
