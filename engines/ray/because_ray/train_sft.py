"""Supervised fine-tuning and training on documents, by TRL's SFTTrainer in each worker.

A step's loss is the mean over all its tokens that carry loss, whatever workers and micro-batches they are spread over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from because_ray import models
from because_ray.learner import Batches, Mixin, Session, common_arguments
from because_ray.order import batches_per_step, micro_batches
from because_ray.pieces import IGNORE, Pieces


def make_trainer(s: Session, data: Pieces) -> Any:
    """Make a worker's trainer, ready to train."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    class Trainer(Mixin, SFTTrainer):
        def _step_tokens(self) -> int:
            # All workers know the whole plan, so nothing has to be gathered.
            return sum(data.length(i) for i in next(lengths))

        def _place(self, step: int) -> str:
            rows = next(x for n, x in enumerate(s.plan.walk(step - 1)) if n == 0)
            lines = sorted({int(data.lines[i]) for i in rows})
            return f" on lines {', '.join(map(str, lines[:8]))}{' and others' if len(lines) > 8 else ''}"

    job, count = s.job, batches_per_step(s.job.rows, s.workers, s.job.micro_batch)
    lengths = s.plan.walk(s.start)
    tokenizer = models.load_tokenizer(job)
    config = SFTConfig(
        **common_arguments(s, job.micro_batch, count),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    pad = int(tokenizer.pad_token_id)

    def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
        return padded(items, pad)

    trainer = Trainer(
        model=models.load_model(job, s.gpu),
        args=config,
        train_dataset=Dataset.from_dict({"input_ids": [[pad]], "labels": [[IGNORE]]}),
        data_collator=collate,
        processing_class=tokenizer,
    )
    sampler = Batches(_batches(s, count), (s.plan.steps - s.start) * count)
    trainer.bind(s, torch.utils.data.DataLoader(data, batch_sampler=sampler, collate_fn=collate))
    return trainer


def _batches(s: Session, count: int) -> Iterator[list[int]]:
    for rows in s.plan.walk(s.start):
        yield from micro_batches(rows, s.rank, s.workers, count)


def padded(items: list[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Lay sequences side by side.

    Without any, give one that carries no loss, so that all workers take equally many passes.
    """
    import torch

    width = max([len(x["input_ids"]) for x in items], default=2)
    rows = max(1, len(items))
    ids = torch.full((rows, width), pad, dtype=torch.long)
    labels = torch.full((rows, width), IGNORE, dtype=torch.long)
    mask = torch.zeros((rows, width), dtype=torch.long)
    for i, x in enumerate(items):
        n = len(x["input_ids"])
        ids[i, :n], labels[i, :n], mask[i, :n] = torch.from_numpy(x["input_ids"]), torch.from_numpy(x["labels"]), 1
    if not items:
        mask[0, :] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}
