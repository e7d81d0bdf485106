from __future__ import annotations

import copy
import dataclasses
import json
import typing
from typing import Any

import pytest

from because_ray import errors, events
from because_ray import job as jobs
from tests.conftest import ENGINE

SCHEMA = json.loads((ENGINE / "because_ray" / "job.schema.json").read_text())


def changed(value: dict[str, Any], path: str, to: Any) -> dict[str, Any]:
    value = copy.deepcopy(value)
    at, keys = value, path.split(".")
    for key in keys[:-1]:
        at = at.setdefault(key, {})
    at[keys[-1]] = to
    if to is ...:
        del at[keys[-1]]
    return value


def test_takes_what_the_schema_takes(job: dict[str, Any]) -> None:
    import jsonschema

    full = job | {
        "lora": {"rank": 4, "alpha": 8, "targets": ["q_proj"], "merge": True},
        "adapter": "file:///a",
        "chat_template": "t",
        "revision": "r",
    }
    for value in (job, full):
        jsonschema.validate(value, SCHEMA)
        parsed = jobs.parse(value)
        assert parsed.lr == job["lr"] and parsed.run.workers == 1
    assert jobs.parse(full).lora == jobs.LoRA(4, 8.0, ("q_proj",), True)


def test_has_the_fields_of_the_schema() -> None:
    def compare(cls: type, schema: dict[str, Any], place: str) -> None:
        fields = {f.name: f for f in dataclasses.fields(cls)}
        assert set(fields) == set(schema["properties"]), place
        assert {n for n, f in fields.items() if f.default is dataclasses.MISSING} == set(schema["required"]), place
        assert schema["additionalProperties"] is False
        for name, hint in typing.get_type_hints(cls).items():
            inner = next((a for a in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(a)), None)
            if inner:
                compare(typing.cast(type, inner), schema["properties"][name], f"{place}.{name}")
            else:
                kinds = {"integer": int, "number": float, "string": str, "boolean": bool}
                says = schema["properties"][name]
                item = kinds.get(says.get("items", {}).get("type"), str)
                want = tuple[item, ...] if says["type"] == "array" else kinds[says["type"]]  # type: ignore[valid-type]
                assert hint == want, f"{place}.{name}"

    compare(jobs.Job, SCHEMA, "")


@pytest.mark.parametrize(
    ("path", "to", "want"),
    [
        ("extra", 1, "extra: unknown key"), ("run.extra", 1, "run.extra: unknown key"), ("lr", ..., "lr: missing"), ("run.out", ..., "run.out: missing"),
        ("rows", "4", "rows is \"4\", not an integer"), ("rows", True, "rows is true, not an integer"), ("rows", 1.0, "rows is 1.0, not an integer"),
        ("lr", "x", "lr is"), ("lr", None, "lr is null, not a number"), ("lr", float("nan"), "lr is nan"), ("ordered", 1, "ordered is 1"),
        ("run", [], "run is a list"), ("lora", {"rank": 1}, "lora.alpha: missing"),
        ("lora", {"rank": 1, "alpha": 1, "targets": [1], "merge": False}, "lora.targets[0]"), ("version", 2, "version is 2"), ("method", "dpo", "method is 'dpo'"),
        ("dtype", "fp8", "dtype"), ("long", "drop", "long"), ("schedule", "wsd", "schedule"), ("run.strategy", "zero", "run.strategy"), ("rows", 0, "rows is 0"),
        ("steps", 3, "epochs must be given, or else steps"), ("data_sha256", "abc", "data_sha256"), ("seed", 1 << 64, "seed"), ("method", "rl", "grpo must be given"),
        ("run.workers", 0, "run.workers"), ("adapter", "a", "adapter must be"), ("model", "", "model is empty"), ("beta1", 1, "beta1"),
    ],
)  # fmt: skip
def test_names_the_key_at_fault(job: dict[str, Any], path: str, to: Any, want: str) -> None:
    with pytest.raises(errors.Failure) as e:
        jobs.parse(changed(job, path, to))
    assert e.value.kind == errors.JOB and want in e.value.message


def test_rl_rows_are_groups_and_shares(job: dict[str, Any]) -> None:
    grpo = {"group": 2, "max_tokens": 8, "temperature": 1.0, "beta": 0.0, "reward": "http://localhost:1/"}
    value = job | {"method": "rl", "grpo": grpo}
    assert jobs.parse(value).grpo
    for broken in (
        changed(value, "rows", 5),
        changed(value, "run.workers", 3),
        changed(value, "grpo.reward", "localhost"),
        changed(value, "grpo.temperature", 0),
    ):
        with pytest.raises(errors.Failure):
            jobs.parse(broken)


def test_identity_leaves_run_out(job: dict[str, Any]) -> None:
    a, b = jobs.parse(job), jobs.parse(changed(job, "run.workers", 2))
    assert set(a.identity()) == set(job) - {"run"}
    assert a.identity() == b.identity() != jobs.parse(changed(job, "seed", 8)).identity()


def test_read_fails_as_a_job_does(tmp_path: Any) -> None:
    for name, text in (("absent", None), ("broken", "{"), ("list", "[]")):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(errors.Failure) as e:
            jobs.read(tmp_path / name)
        assert e.value.kind == errors.JOB


def test_events_are_lines_with_a_mark(capsys: pytest.CaptureFixture[str]) -> None:
    metric = events.Metric(1, 2.5, 0.1, 1.0, 10, 10, 3.5)
    events.say("step", metric=metric.to_json())
    events.say_failure(errors.Failure(errors.DATA, "line 3: bad", "mend it", row=3, column="text"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("@because {") and json.loads(first[9:])["metric"] == {
        "step": 1, "loss": 2.5, "lr": 0.1, "grad_norm": 1.0, "tokens": 10, "total_tokens": 10, "tokens_per_second": 3.5
    }  # fmt: skip
    assert json.loads(second[9:]) == {
        "event": "error",
        "error": "data",
        "message": "line 3: bad (mend it)",
        "row": 3,
        "column": "text",
    }


def test_summary_is_over_the_last_tenth() -> None:
    metrics = [events.Metric(i + 1, float(i), 0, 0, 5, 5 * (i + 1), 1) for i in range(25)]
    assert events.summarise(metrics) == events.Summary(0.0, 23.5, 125)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate"), errors.MEMORY), (MemoryError(), errors.MEMORY), (ModuleNotFoundError("no", name="peft"), errors.PACKAGE),
        (RuntimeError("Task was killed due to the node running low on memory by the memory monitor"), errors.MEMORY), (ValueError("x"), errors.TRAIN),
        (RuntimeError("The actor died. Some common causes include: (1) the process was killed by the OOM killer due to high memory usage"), errors.TRAIN),
        (errors.Failure(errors.REWARD, "x"), errors.REWARD),
    ],
)  # fmt: skip
def test_classifies(error: BaseException, kind: str) -> None:
    assert errors.classify(error).kind == kind


KILLED = """A worker health check failed.
Worker info: Worker(
  actor=Actor(RayTrainWorker, 7ecf8be7f4643280182bc48302000000),
  metadata=ActorMetadata(
    hostname='vm',
  ),
  log_file_path='/tmp/a.log',
)
5 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: b95) was 5.53GB used / 23.54GB limit (0.234969)
OOM kill reason: Memory usage 5750222848B exceeded threshold of 5586108928B (22.1% of 25276510208B limit)
Top 10 memory users: PID\tMEM(GB)\tCOMMAND
18327\t0.38\tray::TrainController.run
19440\t1.37\tray::RayTrainWorker
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (KILLED, "Memory on the node (IP: 192.0.2.2, ID: b95) was 5.53GB used / 23.54GB limit (0.234969); a worker held 1.37 GB"),
        ("Task was killed due to the node running low on memory.\nMemory on the node (IP: 10.0.0.1, ID: x) was 15.1GB / 15.5GB (0.97). Ray killed this worker (ID: y)",
         "Memory on the node (IP: 10.0.0.1, ID: x) was 15.1GB / 15.5GB (0.97)"),
    ],
)  # fmt: skip
def test_says_what_memory_lacked(text: str, message: str) -> None:
    found = errors.classify(RuntimeError(text))
    assert found.kind == errors.MEMORY
    assert found.message == "Ray killed a worker because the node ran low on memory. " + message


def test_leaves_out_how_ray_names_a_worker() -> None:
    text = KILLED.partition("5 worker(s)")[0] + "The actor died."
    assert errors.classify(RuntimeError(text)).message == "RuntimeError: A worker health check failed.\nThe actor died."


def test_classifies_by_cause_and_survives_pickling() -> None:
    import pickle

    outer = RuntimeError("worker failed")
    outer.__cause__ = errors.Failure(errors.DATA, "m", "h", 4, "text")
    found = pickle.loads(pickle.dumps(errors.classify(outer)))
    assert (found.kind, found.message, found.hint, found.row, found.column) == (errors.DATA, "m", "h", 4, "text")
