"""Runs a job: the part that Ray's job starts on the head node. It needs no GPU and little memory."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from because_ray import checkpoints
from because_ray import job as jobs
from because_ray.errors import PACKAGE, RESOURCES, STORAGE, TRAIN, Failure, classify
from because_ray.events import say, say_failure, say_warning
from because_ray.job import Job
from because_ray.storage import Folder, is_uri
from because_ray.watch import Log, Printer


def train(path: str) -> None:
    """Train what a job's file asks for.

    Failures are raised; their events are the caller's, but for those of workers.
    """
    job = jobs.read(path)
    if not is_uri(job.run.out):
        raise Failure(
            "job", f"run.out is {job.run.out!r}, not a URI", "write file:///path for a folder that all nodes share"
        )
    out = Folder(job.run.out)
    checkpoints.claim(out, job)
    if not _say_done(out):
        connect()
        _run(job, out)
        if not _say_done(out):
            raise Failure(TRAIN, f"training ended, but {out.uri} has no {checkpoints.RESULT_FILE}")


def _say_done(out: Folder) -> bool:
    found = out.read(checkpoints.RESULT_FILE)
    if found is None:
        return False
    try:
        result = json.loads(found)
    except ValueError as e:
        raise Failure(STORAGE, f"read {out.uri}/{checkpoints.RESULT_FILE}: {e}", "remove it") from e
    say(
        "done",
        steps=result.get("steps"),
        rows=result.get("rows"),
        dropped=result.get("dropped"),
        uri=out.uri,
        result=result,
    )
    return True


def connect() -> None:
    """Join the cluster: that of the job, or that of RAY_ADDRESS or of this machine."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")  # where it is not yet the default
    try:
        import ray
    except ImportError as e:
        raise Failure(PACKAGE, str(e), "pip install 'ray[default,train]' in the cluster's image") from e
    options: dict[str, Any] = {"address": os.environ.get("RAY_ADDRESS") or "auto", "log_to_driver": True}
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:
        # Outside of a job the workers have no working directory to find the engine in.
        options["runtime_env"] = {"py_modules": [str(Path(__file__).parent)]}
    try:
        ray.init(**options)
    except ConnectionError as e:
        raise Failure(RESOURCES, f"no Ray cluster: {e}", "send the job to a cluster, or set RAY_ADDRESS") from e


def bundle(job: Job) -> dict[str, float]:
    out = {"CPU": job.run.cpus_per_worker} if job.run.cpus_per_worker else {}
    return out | ({"GPU": job.run.gpus_per_worker} if job.run.gpus_per_worker else {})


def fits(bundle: dict[str, float], nodes: list[dict[str, float]]) -> int:
    """Tell how many workers' bundles a cluster's nodes can hold when they are otherwise empty."""
    return sum(int(min(node.get(k, 0) / v + 1e-9 for k, v in bundle.items())) for node in nodes)


def check_fit(job: Job) -> None:
    """Refuse what the cluster can never hold, instead of waiting for ever.

    A cluster that grows on demand is asked for by BECAUSE_RAY_WAIT=1.
    """
    import ray

    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    room = fits(bundle(job), nodes)
    if room >= job.run.workers or os.environ.get("BECAUSE_RAY_WAIT") == "1":
        return
    wanted = " and ".join(f"{v:g} {k}" for k, v in bundle(job).items())
    held = "; ".join(", ".join(f"{n.get(k, 0):g} {k}" for k in ("CPU", "GPU") if k in n) or "nothing" for n in nodes)
    raise Failure(
        RESOURCES,
        f"{job.run.workers} workers with {wanted} each do not fit in the cluster, which has room for {room} ({held})",
        "ask for fewer workers or less for each; for a cluster that grows on demand set BECAUSE_RAY_WAIT=1 in the job's"
        " environment",
    )


def _run(job: Job, out: Folder) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from because_ray import worker

    check_fit(job)
    if job.run.gpus_per_worker == 0 and job.dtype == "bfloat16":
        say_warning("without GPUs the weights are float32 while training")
    if job.run.gpus_per_worker == 0 and job.run.strategy == "fsdp":
        say_warning("without GPUs each worker has the whole model, as with ddp")
    prepare = ray.remote(worker.prepare).options(
        num_cpus=min(1, job.run.cpus_per_worker) or 1, num_returns=2, max_retries=3
    )
    info_ref, data_ref = prepare.remote(job)
    info = ray.get(info_ref)
    if isinstance(info, Failure):
        raise info
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    log = ray.remote(Log).options(num_cpus=0, scheduling_strategy=here).remote()
    printer = Printer(log, _abandon)
    try:
        _fit(job, out, {"job": job, "info": info, "data": [data_ref], "log": log})
    finally:
        printer.close()


def _fit(job: Job, out: Folder, config: dict[str, Any]) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from because_ray import worker

    gpu = job.run.gpus_per_worker > 0
    scratch = out.at(".ray")
    trainer = TorchTrainer(
        worker.train_loop,
        train_loop_config=config,
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=job.run.workers, use_gpu=gpu, resources_per_worker=bundle(job)),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=job.run.retries), **_storage(scratch)),
    )
    try:
        trainer.fit()
    except Exception as e:
        raise _why(e) from e
    finally:
        scratch.remove()


def _storage(folder: Folder) -> dict[str, Any]:
    """Say where Ray Train keeps its own few files, through the same file system as ours."""
    if folder.local:
        return {"storage_path": folder.root}
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    return {"storage_path": folder.root, "storage_filesystem": PyFileSystem(FSSpecHandler(folder.fs))}


def _why(error: Exception) -> Failure:
    """Say why training failed: the failure of a worker, rather than what Ray makes of it."""
    failures = getattr(error, "worker_failures", None) or {}
    found = [classify(failures[rank]) for rank in sorted(failures)]
    for f in [*found, classify(error)]:
        if f.kind != TRAIN:
            return f
    return found[0] if found else classify(error)


def _abandon(failure: Failure) -> NoReturn:
    """End the driver after a failure that another attempt cannot mend.

    Ray then ends the workers, of which others may wait for the failed one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def main(path: str) -> int:
    """Run a job, and give the exit code: 0 done, 1 failed."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        train(path)
    except Exception as e:
        say_failure(classify(e))
        if not isinstance(e, Failure):
            import traceback

            traceback.print_exc()
        return 1
    return 0
