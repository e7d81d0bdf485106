from __future__ import annotations

import json
from itertools import islice

import pytest

from because_ray.order import PCG, Plan, Schedule, batches_per_step, micro_batches, share, shuffled
from tests.conftest import DATA

VECTORS = json.loads((DATA / "order.json").read_text())


@pytest.mark.parametrize("v", VECTORS["shuffles"], ids=lambda v: f"{v['n']}")
def test_shuffles_as_go_does(v: dict) -> None:
    assert shuffled(v["n"], v["seed"], v["epoch"]) == v["order"]


def test_draws_as_go_does() -> None:
    r = PCG(3, 4)
    assert [r.below((1 << 63) + 1) for _ in VECTORS["below"]] == VECTORS["below"]


@pytest.mark.parametrize("v", VECTORS["schedules"], ids=lambda v: f"{v['Shape']}-{v['Steps']}")
def test_rates_as_go_does(v: dict) -> None:
    s = Schedule(v["Peak"], v["Floor"], v["Warmup"], v["Steps"], v["Shape"])
    assert [s.rate(i) for i in range(v["Steps"])] == pytest.approx(v["Rates"], rel=1e-15, abs=1e-18)


@pytest.mark.parametrize(
    ("n", "rows", "epochs", "steps"),
    [(10, 4, 2, 0), (10, 4, 0, 8), (3, 4, 2, 0), (8, 4, 3, 0), (1, 1, 0, 5), (5, 5, 0, 2)],
)
@pytest.mark.parametrize("ordered", [True, False])
def test_each_epoch_visits_all_once(n: int, rows: int, epochs: int, steps: int, ordered: bool) -> None:
    plan = Plan.of(n, rows, 7, ordered, epochs, steps)
    length = -(-n // rows)
    assert plan.steps == (steps or epochs * length)
    walk = list(plan.walk())
    assert len(walk) == plan.steps
    for at in range(0, len(walk), length):
        epoch = walk[at : at + length]
        assert all(len(step) == rows for step in epoch[: length - 1])
        if len(epoch) == length:
            assert sorted(sum(epoch, [])) == list(range(n))
        assert sum(epoch, []) == plan.epoch(at // length)[: sum(map(len, epoch))]
    for first in range(plan.steps + 1):
        assert list(plan.walk(first)) == walk[first:]


def test_whole_steps_go_on_into_the_next_epoch() -> None:
    plan = Plan.of(3, 2, 1, False, 3, 0, whole=True)
    walk = list(plan.walk())
    assert [len(s) for s in walk] == [2] * 5
    assert sum(walk, []) == (plan.epoch(0) + plan.epoch(1) + plan.epoch(2) + plan.epoch(3))[:10]
    assert list(plan.walk(3)) == walk[3:]
    assert list(islice(Plan.of(3, 2, 1, True, 0, 4, whole=True).walk(), 2)) == [[0, 1], [2, 0]]


@pytest.mark.parametrize("rows", range(1, 20))
@pytest.mark.parametrize(("workers", "micro"), [(1, 1), (2, 3), (3, 2), (4, 100)])
def test_workers_share_a_step(rows: int, workers: int, micro: int) -> None:
    step, count = list(range(rows)), batches_per_step(19, workers, micro)
    parts = [micro_batches(step, w, workers, count) for w in range(workers)]
    assert sum((sum(p, []) for p in parts), []) == step
    assert all(len(p) == count and max(map(len, p)) <= micro for p in parts)
    sizes = [len(share(step, w, workers)) for w in range(workers)]
    assert max(sizes) - min(sizes) <= 1
