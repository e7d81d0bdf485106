"""What runs in each worker process of Ray Train, and the task that reads and tokenises the data."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from because_ray import checkpoints, models, pieces, rows
from because_ray.errors import DATA, Failure, classify, lost_peer
from because_ray.job import Job
from because_ray.learner import Session
from because_ray.order import Plan
from because_ray.storage import Folder
from because_ray.watch import Reporter

# Errors of these types come of code or settings, not of lost machines: another attempt would fail the same way.
_FINAL = (TypeError, ValueError, KeyError, AttributeError, NotImplementedError, ImportError, IndexError, AssertionError)


def prepare(job: Job) -> tuple[dict[str, int] | Failure, Any]:
    """Read, check and tokenise the data: what the driver needs to know of it, and what the workers read."""
    try:
        read = rows.read(job.data, job.data_sha256, job.method)
        text, vocabulary = models.load_text(job)
        if job.method == "rl":
            data, dropped = prompts(job, text, read)
            return {"rows": len(read), "dropped": dropped, "examples": len(data)}, data
        found = pieces.cut(_examples(job, text, read), vocabulary, job.seq_len, job.long)
        return {"rows": found.rows, "dropped": found.dropped, "examples": len(found)}, found
    except Exception as e:
        return classify(e), None


def _examples(job: Job, text: Any, read: list[rows.Row]) -> list[tuple[int, Any]]:
    out = []
    for row in read:
        try:
            if row.rendered:
                made = [text.rendered(*row.rendered)]
            elif job.method == "sdf":
                made = [text.document(row.text)]
            else:
                made = text.examples(row.messages, row.tools, row.loss)
        except ValueError as e:
            column = "text" if job.method == "sdf" else "messages"
            raise Failure(DATA, f"line {row.line}: {column}{e}", row=row.line, column=column) from e
        out += [(row.line, e) for e in made]
    return out


def prompts(job: Job, text: Any, read: list[rows.Row]) -> tuple[list[dict[str, Any]], int]:
    """Check that prompts leave room for an answer. Longer ones are dropped where the job does not refuse them."""
    assert job.grpo is not None
    room, out = job.seq_len - job.grpo.max_tokens, []
    for row in read:
        try:
            n = len(text.prompt(row.prompt))
        except ValueError as e:
            raise Failure(DATA, f"line {row.line}: prompt: {e}", row=row.line, column="prompt") from e
        if n <= room:
            out.append({"prompt": row.prompt, "id": row.id, "task": row.task, "line": row.line})
        elif job.long == "error":
            wants = f"{n} tokens and an answer of {job.grpo.max_tokens}"
            message = f"line {row.line}: prompt: {wants} are longer than {job.seq_len}"
            raise Failure(DATA, message, "raise the sequence length", row=row.line, column="prompt")
    if not out:
        raise Failure(DATA, f"no prompt leaves room for an answer in {job.seq_len} tokens")
    return out, len(read) - len(out)


def train_loop(config: dict[str, Any]) -> None:
    """Train as one worker among others. Ray Train calls it anew after a worker or a node was lost."""
    import ray
    import ray.train

    context = ray.train.get_context()
    reporter, job = Reporter(config["log"]), config["job"]
    try:
        data = ray.get(config["data"][0])
        train(job, config["info"], data, reporter, context.get_world_rank(), context.get_world_size())
    except Exception as e:
        found = classify(e)
        if isinstance(e, Failure) or found.kind != "train" or (isinstance(e, _FINAL) and not lost_peer(e)):
            reporter.failure(found)
        raise


def train(job: Job, info: dict[str, int], data: Any, reporter: Any, rank: int, workers: int) -> None:
    """Train as worker `rank` of a process group that stands, from the newest checkpoint on, and write the results."""
    import torch

    if job.run.gpus_per_worker == 0:
        torch.set_num_threads(max(1, int(job.run.cpus_per_worker)))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    plan = plan_of(job, info["examples"])
    s = Session(job, plan, Folder(job.run.out), reporter, rank, workers, info["rows"], info["dropped"])
    if rank == 0 and reporter.attempt() > 1:
        reporter.warn("a worker or a node was lost; going on from the last checkpoint")
    s.start = _agree(checkpoints.newest(s.out, reporter.warn) if rank == 0 else 0, workers)
    scratch = tempfile.TemporaryDirectory(prefix="because-ray-", ignore_cleanup_errors=True)
    s.scratch, held = scratch.name, scratch
    if s.start:
        s.restored, s.metrics, held = checkpoints.fetch(s.out, s.start, job)
    try:
        trainer = _make_trainer(s, data)
        if rank == 0:
            reporter.start(
                {"step": s.start, "steps": plan.steps, "rows": s.rows, "dropped": s.dropped, "trained": trainer.trained}
            )
            for metric in s.metrics:
                reporter.step(metric)
        trainer.train()
        result = trainer.finish()
    finally:
        held.cleanup()
        scratch.cleanup()
    if result is not None:
        s.out.write(checkpoints.RESULT_FILE, (json.dumps(result.to_json(), indent=2) + "\n").encode())


def plan_of(job: Job, examples: int) -> Plan:
    if job.grpo is not None:
        return Plan.of(examples, job.rows // job.grpo.group, job.seed, job.ordered, job.epochs, job.steps, whole=True)
    return Plan.of(examples, job.rows, job.seed, job.ordered, job.epochs, job.steps)


def _make_trainer(s: Session, data: Any) -> Any:
    if s.job.method == "rl":
        from because_ray import train_rl

        return train_rl.make_trainer(s, data)
    from because_ray import train_sft

    return train_sft.make_trainer(s, data)


def _agree(step: int, workers: int) -> int:
    """Make the first worker's step everybody's, so that all go on from the same checkpoint."""
    import torch

    if workers == 1:
        return step
    value = [step]
    torch.distributed.broadcast_object_list(value, src=0)
    return value[0]
