"""What supervised and reinforcement learning share in a worker:

settings, optimiser, the steps' metrics, checkpoints and the result.

Mixin goes in front of a trainer of TRL's. It keeps TRL's loss and its loop, and takes from it what would make a run
depend on the number of workers:
the sampler, the schedule, the groups without weight decay, and the checkpoints.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from because_ray import checkpoints, models
from because_ray.errors import TRAIN, Failure
from because_ray.events import Metric, Result, summarise
from because_ray.job import Job
from because_ray.order import Plan, Schedule
from because_ray.storage import Folder

if TYPE_CHECKING:
    from because_ray.watch import Reporter


@dataclass
class Session:
    """A worker's part in a run."""

    job: Job
    plan: Plan
    out: Folder
    reporter: Reporter
    rank: int
    workers: int
    rows: int  # of the data
    dropped: int
    start: int = 0  # the step gone on from
    metrics: list[Metric] = field(default_factory=list)
    restored: dict[str, Any] | None = None
    scratch: str = ""  # a local folder for what trainers write of their own accord

    @property
    def gpu(self) -> bool:
        return self.job.run.gpus_per_worker > 0

    @property
    def sharded(self) -> bool:
        """Tell whether each worker holds a share of the model. accelerate shards on GPUs alone."""
        return self.job.run.strategy == "fsdp" and self.workers > 1 and self.gpu

    @property
    def first(self) -> bool:
        return self.rank == 0

    def schedule(self) -> Schedule:
        j = self.job
        return Schedule(j.lr, j.floor, j.warmup, self.plan.steps, j.schedule)


def common_arguments(s: Session, batch: int, accumulate: int) -> dict[str, Any]:
    """Settings of TrainingArguments that both ways of training have."""
    j = s.job
    out: dict[str, Any] = {
        "output_dir": s.scratch,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulate,
        "max_steps": s.plan.steps - s.start,
        "learning_rate": j.lr,
        "max_grad_norm": j.clip,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "seed": j.seed % (1 << 32),
        "bf16": s.gpu and j.dtype == "bfloat16",
        "gradient_checkpointing": j.run.recompute,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if j.run.recompute else None,
        "use_cpu": not s.gpu,
        "ddp_backend": "nccl" if s.gpu else "gloo",
        "ddp_find_unused_parameters": False,
        "average_tokens_across_devices": True,
    }
    if s.sharded:
        out["fsdp"] = "full_shard auto_wrap"
        out["fsdp_config"] = {"version": 2, "reshard_after_forward": True}
    return out


class Mixin:
    """Goes in front of SFTTrainer or GRPOTrainer. bind() must be called before train()."""

    session: Session

    def bind(self: Any, session: Session, loader: Any) -> None:
        self.session, self._loader = session, loader
        # Before the model is sharded. Parameters that share their memory count once.
        self.trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        self._loss_sum, self._clock, self._seen = 0.0, time.monotonic(), 0
        from transformers import PrinterCallback

        self.remove_callback(PrinterCallback)
        self.add_callback(_begin_callback(self))

    def get_train_dataloader(self: Any) -> Any:
        return self._loader

    def create_optimizer(self: Any, model: Any = None) -> Any:
        import torch

        j = self.session.job
        if self.optimizer is None:
            trained = [p for p in (model or self.model).parameters() if p.requires_grad]
            self.optimizer = torch.optim.AdamW(
                trained, lr=j.lr, betas=(j.beta1, j.beta2), eps=j.eps, weight_decay=j.decay
            )
        return self.optimizer

    def create_scheduler(self: Any, num_training_steps: int, optimizer: Any = None) -> Any:
        import torch

        schedule, start, peak = self.session.schedule(), self.session.start, self.session.job.lr
        if self.lr_scheduler is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda n: schedule.rate(min(start + n, schedule.steps - 1)) / peak
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        self._loss_sum += float(loss)
        return loss

    def log(self: Any, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Trainers call this after each step, and once at the end."""
        norm = logs.get("grad_norm")
        reward = self._step_reward() if norm is not None else None
        super().log(logs, *args, **kwargs)  # type: ignore[misc]
        if norm is not None:
            self._finish_step(float(norm), reward)

    def _step_reward(self) -> float | None:
        return None

    def _step_tokens(self) -> int:
        raise NotImplementedError

    def _finish_step(self: Any, norm: float, reward: float | None) -> None:
        s: Session = self.session
        step = s.start + self.state.global_step
        loss, self._loss_sum = self._mean_over_workers(self._loss_sum), 0.0
        if not (math.isfinite(loss) and math.isfinite(norm)):
            message = f"step {step}: the loss is {loss} and the gradient's norm {norm}{self._place(step)}"
            raise Failure(TRAIN, message, "lower the learning rate, or look at these rows")
        tokens, now = self._step_tokens(), time.monotonic()
        total = (s.metrics[-1].total_tokens if s.metrics else 0) + tokens
        rate, self._clock = tokens / max(now - self._clock, 1e-9), now
        s.metrics.append(Metric(step, loss, s.schedule().rate(step - 1), norm, tokens, total, rate, reward))
        if s.first:
            s.reporter.step(s.metrics[-1])
        every = s.job.run.checkpoint_every
        if step < s.plan.steps and step in s.job.snapshots:
            self._keep_snapshot(step)
        if step < s.plan.steps and every and step % every == 0:
            self.keep_checkpoint()
        self._clock = time.monotonic()

    def _place(self, step: int) -> str:
        return ""

    def _mean_over_workers(self: Any, value: float) -> float:
        import torch

        tensor = torch.tensor([value], dtype=torch.float64, device="cpu" if not self.session.gpu else self.args.device)
        if self.session.workers > 1:
            torch.distributed.all_reduce(tensor)
        return float(tensor.item()) / self.session.workers

    def _trained_state(self: Any) -> dict[str, Any]:
        """Gather the full state of the trained parameters; on the first worker it is whole."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        state: dict[str, Any] = get_model_state_dict(self.model_wrapped, options=options)
        # A frozen embedding that is the output head as well comes through under its second name.
        named = self.model.named_parameters(remove_duplicate=False)
        trained = {name for name, p in named if p.requires_grad}
        return {name: t for name, t in state.items() if name in trained}

    def _keep_snapshot(self: Any, step: int) -> None:
        """Keep the model as it is. It comes before the step's checkpoint, so that no run goes on without it."""
        s: Session = self.session
        state = self._trained_state()
        if s.first:
            models.save_snapshot(s.job, self._unwrapped(), self.processing_class, state, s.out.at(f"step-{step}"))
        if s.workers > 1:
            import torch

            torch.distributed.barrier()

    def _unwrapped(self: Any) -> Any:
        return self.accelerator.unwrap_model(self.model_wrapped, keep_torch_compile=False)

    def keep_checkpoint(self: Any) -> None:
        """Store all that going on needs. All workers take part, since each holds a share."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        s: Session = self.session
        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        weights = self._trained_state()
        optimizer = get_optimizer_state_dict(self.model_wrapped, _inner(self.optimizer), options=options)
        rng = _gather(_generators(s.gpu), s.workers)
        if s.first:
            uri = checkpoints.store(s.out, s.job, s.metrics, {"weights": weights, "optimizer": optimizer, "rng": rng})
            s.reporter.checkpoint(s.metrics[-1].step, uri)
        if s.workers > 1:
            import torch

            torch.distributed.barrier()

    def restore(self: Any) -> None:
        """Take up the state that the session was restored to, when model and optimiser are in their places."""
        import torch
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            set_model_state_dict,
            set_optimizer_state_dict,
        )

        s: Session = self.session
        self._clock = time.monotonic()
        if s.sharded and not any(hasattr(p, "device_mesh") for p in self.model_wrapped.parameters()):
            message = "the model was not sharded over the workers, as fsdp asks for"
            raise Failure(TRAIN, message, "use other versions of accelerate and transformers, or ddp")
        if s.restored is None:
            return
        path = s.restored["path"]
        options = StateDictOptions(full_state_dict=True, strict=False, ignore_frozen_params=True)

        def load(name: str) -> Any:
            return torch.load(os.path.join(path, name), map_location="cpu", weights_only=True)

        set_model_state_dict(self.model_wrapped, load("weights.pt"), options=options)
        set_optimizer_state_dict(self.model_wrapped, _inner(self.optimizer), load("optimizer.pt"), options=options)
        for group, rate in zip(_inner(self.optimizer).param_groups, self.lr_scheduler.get_last_lr(), strict=True):
            group["lr"] = rate
        rng = load("rng.pt")
        if len(rng) == s.workers:
            _set_generators(rng[s.rank], s.gpu)

    def finish(self: Any) -> Result | None:
        """Write the results, result.json last. Only the first worker gets something to return."""
        s: Session = self.session
        state = self._trained_state()
        if not s.first:
            return None
        done = models.save(s.job, self._unwrapped(), self.processing_class, state, s.out)
        checkpoints.write_metrics(s.out, s.metrics)
        rewards = [m.reward for m in s.metrics if m.reward is not None]
        summary = summarise(s.metrics)
        result = Result(
            steps=s.plan.steps,
            rows=s.rows,
            dropped=s.dropped,
            tokens=summary.tokens,
            trained=self.trained,
            first_loss=summary.first_loss,
            loss=summary.loss,
            model=done.get("model", ""),
            adapter=done.get("adapter", ""),
            rewards=rewards,
            engine=models.versions(),
        )
        return result


def _begin_callback(trainer: Any) -> Any:
    from transformers import TrainerCallback

    class Begin(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            trainer.restore()

    return Begin()


def _inner(optimizer: Any) -> Any:
    """Give the optimiser in accelerate's wrapping."""
    return getattr(optimizer, "optimizer", optimizer)


def _gather(value: Any, workers: int) -> list[Any]:
    import torch

    if workers == 1:
        return [value]
    out: list[Any] = [None] * workers
    torch.distributed.all_gather_object(out, value)
    return out


def _generators(gpu: bool) -> dict[str, Any]:
    """Take the states of the random generators, in types that torch loads without running code."""
    import numpy as np
    import torch

    version, numbers, gauss = random.getstate()
    name, keys, at, has, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), int(at), int(has), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if gpu else None,
    }


def _set_generators(state: dict[str, Any], gpu: bool) -> None:
    import numpy as np
    import torch

    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, at, has, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), at, has, cached))
    torch.set_rng_state(state["torch"])
    if gpu and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])


class Batches:
    """The batch sampler of a worker: for each step from the first on, its micro-batches, as indices."""

    def __init__(self, batches: Iterator[list[int]], length: int) -> None:
        self._batches, self._length = batches, length

    def __iter__(self) -> Iterator[list[int]]:
        return self._batches

    def __len__(self) -> int:
        return self._length


__all__ = ["Batches", "Mixin", "Session", "common_arguments"]
