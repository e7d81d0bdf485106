"""The workers' part: against a plain loop of torch's, and against itself with other workers and after a fall."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from because_ray import job as jobs
from because_ray import worker
from because_ray.order import Schedule
from because_ray.storage import Folder
from tests import trainers
from tests.conftest import DATA, job_value, save_tiny, write_rows

ROWS = [
    {"prompt": f"hello number {i} " * (1 + i % 4), "completion": f"the answer is {i * i}" * (1 + i % 3)}
    for i in range(10)
]
LORA = {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"], "merge": True}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_tiny(folder / "model")
    write_rows(folder / "rows.jsonl", ROWS)
    write_rows(
        folder / "texts.jsonl",
        [{"text": f"document {i} says people rely on our word " * (1 + i % 3)} for i in range(10)],
    )
    return folder


def make(base: Path, out: Path, data: str = "rows.jsonl", **changes: Any) -> dict[str, Any]:
    return job_value(base / data, (base / "model").as_uri(), out, **changes)


def reference(value: dict[str, Any]) -> list[dict[str, float]]:
    """Train by the book: one sequence after the other, no padding, no trainer."""
    import torch
    from transformers import AutoModelForCausalLM

    job = jobs.parse(value)
    info, data = worker.prepare(job)
    assert isinstance(info, dict)
    plan = worker.plan_of(job, info["examples"])
    schedule = Schedule(job.lr, job.floor, job.warmup, plan.steps, job.schedule)
    model = AutoModelForCausalLM.from_pretrained(job.model.removeprefix("file://"), dtype=torch.float32)
    model.get_input_embeddings().padding_idx = None
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1, betas=(job.beta1, job.beta2), eps=job.eps, weight_decay=job.decay
    )
    out = []
    for step, rows in enumerate(plan.walk()):
        total, count = torch.zeros(()), 0
        for i in rows:
            ids, labels = (torch.from_numpy(data[i][k]) for k in ("input_ids", "labels"))
            logits = model(ids[None]).logits[0, :-1]
            total = total + torch.nn.functional.cross_entropy(logits, labels[1:], reduction="sum", ignore_index=-100)
            count += int((labels[1:] != -100).sum())
        loss = total / count
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), job.clip)
        optimizer.param_groups[0]["lr"] = schedule.rate(step)
        optimizer.step()
        out.append(
            {
                "loss": float(loss),
                "grad_norm": float(norm),
                "lr": schedule.rate(step),
                "tokens": sum(data.length(i) for i in rows),
            }
        )
    return out


def same(a: list[dict[str, Any]], b: list[dict[str, Any]], rel: float = 2e-5) -> None:
    assert len(a) == len(b) > 0
    for x, y in zip(a, b, strict=True):
        assert x["tokens"] == y["tokens"]
        for key in ("loss", "grad_norm", "lr"):
            assert x[key] == pytest.approx(y[key], rel=rel), (x, y)


@pytest.mark.parametrize("kind", ["sft", "sdf"])
def test_equals_a_plain_loop(base: Path, tmp_path: Path, kind: str) -> None:
    changes: dict[str, Any] = (
        {"data": "texts.jsonl", "method": "sdf", "long": "split", "seq_len": 24} if kind == "sdf" else {}
    )
    value = make(base, tmp_path / "out", **changes)
    got = trainers.run(value)
    same(got, reference(value))
    out = Folder(value["run"]["out"])
    lines = [json.loads(line) for line in (out.read("metrics.jsonl") or b"").splitlines()]
    assert lines == got and [m["step"] for m in got] == list(range(1, len(got) + 1))
    result = json.loads(out.read("result.json") or b"")
    assert result["steps"] == len(got) and result["model"] == "model" and result["loss"] == got[-1]["loss"]
    assert result["tokens"] == sum(m["tokens"] for m in got) == got[-1]["total_tokens"]
    assert out.at("model").manifest() and result["engine"]["trl"]
    check_model(Path(out.root) / "model", value, result)


@pytest.mark.parametrize("workers", [1, 2])
def test_equals_becauses_own_training(tmp_path: Path, workers: int) -> None:
    """The curve is that of because's train/finetune on the same model, rows and settings (data/vectors.go.txt)."""
    value = job_value(
        DATA / "curve.jsonl", (DATA / "tinychat").as_uri(), tmp_path, rows=3, epochs=3, run_workers=workers
    )
    same(trainers.run(value, workers), json.loads((DATA / "curve.json").read_text()), rel=2e-4)


def check_model(folder: Path, value: dict[str, Any], result: dict[str, Any]) -> None:
    """What was written has learnt: its loss on the data is below that of the last step, and its tokenizer is the one it began with."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job = jobs.parse(value)
    _, data = worker.prepare(job)
    losses = {}
    for name in (folder, Path(job.model.removeprefix("file://"))):
        model = AutoModelForCausalLM.from_pretrained(name)
        batch = [{k: torch.from_numpy(v)[None] for k, v in data[i].items()} for i in range(len(data))]
        with torch.no_grad():
            losses[name] = sum(float(model(**b).loss) for b in batch) / len(batch)
    assert losses[folder] < 0.9 * losses[Path(job.model.removeprefix("file://"))]
    assert AutoTokenizer.from_pretrained(folder).chat_template
    assert result["trained"] == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())


@pytest.mark.parametrize(
    ("workers", "changes"),
    [(2, {"run_recompute": True}), (3, {"micro_batch": 1})],
    ids=["recomputed", "more workers than rows in the last step"],
)
def test_workers_do_not_matter(base: Path, tmp_path: Path, workers: int, changes: dict[str, Any]) -> None:
    value = make(base, tmp_path / "out", run_workers=workers, rows=8, **changes)
    same(trainers.run(value, workers), reference(value))
    assert Folder(value["run"]["out"]).at("model").manifest()


def test_lora(base: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    one = trainers.run(make(base, tmp_path / "one", lora=LORA, snapshots=[3, 6]))
    two = trainers.run(make(base, tmp_path / "two", lora=LORA, snapshots=[2], run_workers=2), 2)
    same(one, two)
    assert one[-1]["loss"] < one[0]["loss"]
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert (result["adapter"], result["model"]) == ("adapter", "model") and result["trained"] == 2 * 4 * (
        32 + 32 + 32 + 16 + 64 + 32
    )
    adapted = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base / "model"), tmp_path / "one" / "adapter"
    )
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "one" / "model")
    ids = torch.arange(20)[None]
    assert torch.allclose(adapted(ids).logits, merged(ids).logits, atol=1e-5)
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "one" / "step-3")(ids).logits
    assert not torch.allclose(kept, merged(ids).logits, atol=1e-5) and not (tmp_path / "one" / "step-6").exists()
    again = trainers.run(make(base, tmp_path / "again", lora=LORA, adapter=(tmp_path / "one" / "adapter").as_uri()))
    assert again[0]["loss"] < one[-1]["loss"] * 1.1


@pytest.mark.parametrize("changes", [{}, {"lora": LORA}], ids=["full", "lora"])
def test_goes_on_after_a_fall(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """With other workers too: what a checkpoint holds does not depend on how many wrote it."""
    whole = trainers.run(make(base, tmp_path / "whole", **changes))
    value = make(base, tmp_path / "out", **changes)
    trainers.run(value, stop_after=5)
    out = Folder(value["run"]["out"])
    broken = out.at("checkpoint-5")
    broken.write("weights.pt", b"half")
    value["run"]["workers"] = 2
    rest = trainers.run(value, 2)
    same(rest, whole)
    assert rest[:4] == [json.loads(line) for line in (out.read("metrics.jsonl") or b"").splitlines()][:4]


def test_another_jobs_folder_is_refused(base: Path, tmp_path: Path) -> None:
    from because_ray import checkpoints
    from because_ray.errors import Failure

    value = make(base, tmp_path / "out")
    out = Folder(value["run"]["out"])
    checkpoints.claim(out, jobs.parse(value))
    value["run"]["workers"] = 2
    checkpoints.claim(out, jobs.parse(value))
    with pytest.raises(Failure, match="another job"):
        checkpoints.claim(out, jobs.parse(value | {"seed": 8}))


def test_a_loss_that_is_not_finite_names_the_lines(base: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on lines"):
        trainers.run(make(base, tmp_path / "out", lr=1e30, clip=0.0, warmup=0, steps=9, epochs=0))
