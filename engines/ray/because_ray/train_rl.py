"""Reinforcement learning by TRL's GRPOTrainer (GRPO, arXiv:2402.03300) in each worker.

As because's train/rl: one update per batch of answers, so that the ratio is 1 and nothing is clipped; the loss is the
mean over all answer tokens of
the batch (DAPO, arXiv:2503.14476). TRL adds 1e-4 to the spread of a group's rewards where because adds 0.1. Which
answers are drawn follows from the
seed, the step and the worker, so it depends on the number of workers.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from typing import Any

from because_ray import models
from because_ray.learner import Batches, Mixin, Session, common_arguments
from because_ray.order import PCG, share
from because_ray.reward import Reward


def make_trainer(s: Session, prompts: list[dict[str, Any]]) -> Any:
    """Make a worker's trainer, ready to train."""
    import torch
    from datasets import Dataset
    from trl import GRPOTrainer

    class Trainer(Mixin, GRPOTrainer):
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            if self._step % accumulate == 0:
                # A step's draws do not depend on what was drawn before, so a run goes on after a fall as if there had
                # been none.
                torch.manual_seed(
                    PCG(s.job.seed, (s.start + self.state.global_step) * s.workers + s.rank).uint64() >> 1
                )
            return super().training_step(*args, **kwargs)

        def _step_reward(self) -> float | None:
            values = self._metrics["train"]["reward"]
            return float(values[-1]) if values else None

        def _step_tokens(self) -> int:
            # TRL has summed it over the workers.
            seen, before = int(self.state.num_input_tokens_seen), self._seen
            self._seen = seen
            return seen - before

    grpo = s.job.grpo
    assert grpo is not None
    own = s.job.rows // s.workers
    batch = next(n for n in range(min(s.job.micro_batch, own), 0, -1) if own % n == 0)
    accumulate = own // batch
    data = Prompts(prompts)
    trainer = Trainer(
        model=models.load_model(s.job, s.gpu),
        reward_funcs=Reward(grpo.reward, grpo.group),
        args=_config(s, batch, accumulate),
        train_dataset=Dataset.from_list([{"prompt": prompts[0]["prompt"]}]),
        processing_class=_left(models.load_tokenizer(s.job)),
    )
    sampler = Batches(_batches(s, accumulate), (s.plan.steps - s.start) * accumulate)
    trainer.bind(s, torch.utils.data.DataLoader(data, batch_sampler=sampler, collate_fn=lambda items: items))
    return trainer


def _config(s: Session, batch: int, accumulate: int) -> Any:
    from trl import GRPOConfig

    grpo = s.job.grpo
    assert grpo is not None
    settings: dict[str, Any] = {
        **common_arguments(s, batch, accumulate),
        "num_generations": grpo.group,
        "max_completion_length": grpo.max_tokens,
        "max_prompt_length": None,  # TRL before 1.0 cuts prompts otherwise
        "temperature": grpo.temperature,
        "beta": grpo.beta,
        "num_iterations": 1,
        "steps_per_generation": accumulate,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "mask_truncated_completions": False,
        "shuffle_dataset": False,
        "disable_dropout": True,
        "use_vllm": s.gpu and importlib.util.find_spec("vllm") is not None,
        "vllm_mode": "colocate",
    }
    known = {f.name for f in dataclasses.fields(GRPOConfig)}
    return GRPOConfig(**{k: v for k, v in settings.items() if k in known})


class Prompts:
    """Prompts by number, as TRL's loop wants them: the columns beside "prompt" go to the reward."""

    def __init__(self, prompts: list[dict[str, Any]]) -> None:
        self._prompts = prompts

    def __len__(self) -> int:
        return len(self._prompts)

    def __getitem__(self, i: int) -> dict[str, Any]:
        p = self._prompts[i]
        return {"prompt": p["prompt"], "id": p["id"], "task": p["task"]}


def _batches(s: Session, accumulate: int) -> Iterator[list[int]]:
    """Give a worker's prompts, each as often as it is answered.

    TRL answers a step's at its first batch and skips those of the others.
    """
    assert s.job.grpo is not None
    for step in s.plan.walk(s.start):
        answers = [i for i in step for _ in range(s.job.grpo.group)]
        for _ in range(accumulate):
            yield share(answers, s.rank, s.workers)


def _left(tokenizer: Any) -> Any:
    tokenizer.padding_side = "left"
    return tokenizer
