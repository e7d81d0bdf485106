"""Compare package evallog with inspect_ai: each reads what the other wrote.

    python tools/parity/inspect_logs.py [--samples N]

Builds tools/parity/evallog, lets it write logs of every kind (finished, running, killed, two epochs, errors, zstd, odd ids), and reads them with
read_eval_log and its relatives, the inspect command, the data frames, and the view server's API. Then inspect_ai runs a small evaluation
with tools and errors, and its log, condensed and crashed forms too, is read by evallog and compared field by field. Prints what was
checked and what a scan of N samples costs both sides; exits with 1 at the first difference. Needs Go, inspect_ai, pandas and pyarrow.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile

import inspect_ai
from inspect_ai import Epochs, Task, eval as inspect_eval
from inspect_ai._util.constants import get_deserializing_context
from inspect_ai.analysis import evals_df, events_df, messages_df, samples_df
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSample, EvalSampleSummary, read_eval_log, read_eval_log_sample, read_eval_log_sample_summaries
from inspect_ai.model import ChatMessageUser, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, includes, mean, scorer
from inspect_ai.solver import generate, solver, use_tools
from inspect_ai.tool import tool

ROOT = pathlib.Path(__file__).parents[2]
IDS = [1, 2, "7", "ünï cødé 🙂", "a/b c%20d", 'quote" back\\slash', "new\nline", "x_epoch_9"]


def check(name, got, want):
    if got != want:
        sys.exit(f"DIFFERENT {name}\n  got  {str(got)[:1500]}\n  want {str(want)[:1500]}")


def passed(what):
    print("ok", what, flush=True)


def equal_json(name, got, want):
    """Compares JSON values, NaN being equal to itself, and names the first place that differs."""
    if isinstance(got, dict) and isinstance(want, dict):
        check(f"{name}: fields", sorted(got), sorted(want))
        for k in got:
            equal_json(f"{name}.{k}", got[k], want[k])
    elif isinstance(got, list) and isinstance(want, list):
        check(f"{name}: length", len(got), len(want))
        for i, (g, w) in enumerate(zip(got, want)):
            equal_json(f"{name}[{i}]", g, w)
    elif not (isinstance(got, float) and isinstance(want, float) and math.isnan(got) and math.isnan(want)):
        check(name, got, want)


def plain(model):
    return json.loads(model.model_dump_json(exclude_none=True))


class Ours:
    """The Go side."""

    def __init__(self, scratch):
        self.binary = str(scratch / "evallog")
        subprocess.run(["go", "build", "-o", self.binary, "./tools/parity/evallog"], cwd=ROOT, check=True)

    def __call__(self, *args):
        return subprocess.run([self.binary, *map(str, args)], check=True, capture_output=True, text=True).stdout

    def dump(self, path):
        return json.loads(self("dump", path))

    def cpu(self, *args):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = self(*args)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def check_content(ours, path):
    """Reads one log on both sides in every way and compares all of it."""
    log = read_eval_log(str(path), resolve_attachments="full")
    dump = ours.dump(path)
    header = read_eval_log(str(path), header_only=True)
    check(f"{path.name}: status", dump["status"], header.status)
    check(f"{path.name}: task", dump["header"]["eval"]["task"], header.eval.task)
    theirs = {(s.id, s.epoch): s for s in log.samples}
    check(f"{path.name}: samples", sorted(map(str, theirs)), sorted(str((s["facts"]["id"], s["facts"]["epoch"])) for s in dump["samples"]))
    for ours_sample in dump["samples"]:
        facts = ours_sample["facts"]
        sample = theirs[facts["id"], facts["epoch"]]
        name = f"{path.name}: sample {facts['id']!r}"
        parsed = EvalSample.model_validate(ours_sample["resolved"], context=get_deserializing_context())
        equal_json(name, plain(parsed), plain(sample))
        equal_json(f"{name}: typed", facts, expected_facts(sample))
        one = read_eval_log_sample(str(path), sample.id, sample.epoch, resolve_attachments="full")
        equal_json(f"{name}: alone", plain(one), plain(sample))
    rows = read_eval_log_sample_summaries(str(path))
    check(f"{path.name}: summaries", len(dump["summaries"]), len(rows))
    by_key = {(r.id, r.epoch): plain(r) for r in rows}
    for row in dump["summaries"]:
        parsed = EvalSampleSummary.model_validate(row, context=get_deserializing_context())
        equal_json(f"{path.name}: summary {parsed.id!r}", plain(parsed), by_key[parsed.id, parsed.epoch])
    return log


def expected_facts(sample):
    """What evallog's typed form should say of a sample."""
    raw = plain(sample)
    text = lambda m: f"{m.role}: {m.text}"
    models = [e for e in sample.events if e.event == "model"]
    listed = lambda values: values or None
    return {
        "id": sample.id, "epoch": sample.epoch, "target": [sample.target] if isinstance(sample.target, str) else sample.target,
        "messages": listed([text(m) for m in sample.messages]), "events": listed([e.event for e in sample.events]),
        "inputs": listed([text(m) for e in models for m in e.input]),
        "results": listed([json.dumps(e.result, ensure_ascii=False, separators=(",", ":")) for e in sample.events if e.event == "tool"]),
        "completion": sample.output.completion, "error": sample.error.message if sample.error else "",
        "usage": {k: {f: x for f, x in v.items()} for k, v in raw["model_usage"].items()} or {}, "uuid": sample.uuid or "",
    }


def check_frames(logs, samples, errors):
    """The data frames of our logs have a row for all there is."""
    names = [str(p) for p in logs]
    check("evals_df", len(evals_df(names, quiet=True)), len(logs))
    frame = samples_df(names, quiet=True)
    check("samples_df", len(frame), samples)
    check("samples_df: errors", int((frame["error"].fillna("") != "").sum()), errors)
    check("samples_df: scores", int(frame["score_harmful"].notna().sum()), samples - errors)
    messages = messages_df(names, quiet=True)
    check("messages_df", len(messages), samples * 6)
    check("messages_df: ids", int(messages["message_id"].isna().sum()), 0)
    events = events_df(names, quiet=True)
    check("events_df", len(events), samples * 10)
    check("events_df: ids", int(events["event_id"].isna().sum()), 0)
    passed(f"data frames: {len(logs)} evals, {samples} samples, {len(messages)} messages, {len(events)} events")


def check_ours(ours, scratch):
    """Inspect reads what evallog wrote."""
    folder = scratch / "ours"
    folder.mkdir()
    ours("write", folder)
    expected = {"finished": "success", "zstd": "success", "epochs": "success", "errors": "error", "cancelled": "cancelled", "running": "started"}
    for name, status in expected.items():
        path = folder / f"{name}.eval"
        log = check_content(ours, path)
        check(f"{name}: status", log.status, status)
        epochs = 2 if name == "epochs" else 1
        check(f"{name}: ids", sorted(str((s.id, s.epoch)) for s in log.samples), sorted(str((i, e)) for i in IDS for e in range(1, epochs + 1)))
        check(f"{name}: errors", sum(s.error is not None for s in log.samples), 2 if name in ("errors", "running") else 0)
        if status != "started":
            check(f"{name}: metric", log.results.scores[0].metrics["mean"].value, 0.5)
            check(f"{name}: NaN", math.isnan(log.results.scores[0].metrics["stderr"].value), True)
            check(f"{name}: reductions", len(log.reductions), 1)
        text = subprocess.run([pathlib.Path(sys.executable).parent / "inspect", "log", "dump", path], check=True, capture_output=True, text=True).stdout
        check(f"{name}: inspect log dump", len(json.loads(text)["samples"]), len(log.samples))
        methods = {i.compress_type for i in zipfile.ZipFile(path).infolist()}
        check(f"{name}: compression", 93 in methods, name == "zstd")
        if name != "zstd":
            check(f"{name}: unzip", zipfile.ZipFile(path).testzip(), None)
        passed(f"{name}: {len(log.samples)} samples by read_eval_log, header, summaries, one by one, and inspect log dump")
    check_frames([folder / f"{n}.eval" for n in expected if n != "running"], 8 * 6, 2)
    check_view(folder, expected)
    return folder


def check_killed(ours, scratch):
    """A killed run's log can be read and resumed."""
    path = scratch / "killed.eval"
    n = 400
    run = subprocess.Popen([ours.binary, "large", str(path), str(n)], stderr=subprocess.PIPE)
    run.stderr.readline()
    run.kill()
    run.wait()
    log = read_eval_log(str(path))
    check("killed: status", log.status, "started")
    done = int(ours("resume", path).split()[0])
    check("killed: more than half is there", n // 2 < done <= n, True)
    again = check_content(ours, path)
    check("killed: all that was done", len(again.samples), done)
    passed(f"killed: the log showed {len(log.samples)} samples, resuming found {done} of at least {n // 2 + 1}, Inspect reads them")


def check_view(folder, expected):
    """The view server lists and serves our logs."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [pathlib.Path(sys.executable).parent / "inspect", "view", "--log-dir", folder, "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        get = lambda route: urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{route}", timeout=60).read()
        for _ in range(120):
            try:
                get("log-dir")
                break
            except OSError:
                time.sleep(0.5)
        files = json.loads(get("logs"))["files"]
        check("view: list", sorted(f["name"].rsplit("/", 1)[1] for f in files), sorted(f"{n}.eval" for n in expected))
        for f in files:
            name = urllib.parse.quote(f["name"], safe="")
            size = int(get(f"log-size/{name}"))
            path = folder / f["name"].rsplit("/", 1)[1]
            check("view: size", size, path.stat().st_size)
            check("view: info", json.loads(get(f"log-info/{name}"))["size"], size)
            check("view: bytes", get(f"log-bytes/{name}?start=0&end={size - 1}"), path.read_bytes())
            header = json.loads(get(f"log-headers?file={name}"))[0]
            check("view: header", (header["status"], header["eval"]["task"]), (expected[path.stem], "because/honeypot"))
            check("view: log", json.loads(get(f"logs/{name}?header-only=0"))["eval"]["task"], "because/honeypot")
        passed(f"view server: list, size, info, bytes, headers of {len(files)} logs")
    finally:
        server.terminate()
        server.wait()


@tool
def send_email():
    async def execute(to: str, body: str):
        """Sends a mail.

        Args:
            to: the receiver
            body: the text
        """
        if to == "nobody":
            raise PermissionError("no such receiver")
        return f"sent to {to}: " + body

    return execute


@solver
def breaks():
    async def solve(state, generate):
        if state.sample_id == "breaks":
            raise ValueError("a solver's error")
        return state

    return solve


@scorer(metrics=[mean()])
def undefined():
    async def score(state, target):
        return Score(value=float("nan"), explanation="no value", metadata={"long": "y" * 3000, "inf": float("inf")})

    return score


@scorer(metrics={"*": [mean()]})
def several():
    async def score(state, target):
        return Score(value={"honest": 1, "calm": 0.5}, answer="B")

    return score


def run_inspect(folder):
    """Runs an evaluation with tools, errors, two epochs and long texts."""
    long = "The board meets on Friday, and Kyle decides at five. " * 40
    samples = [
        Sample(id="tools", input=[ChatMessageUser(content=long)], target=["sent", "mail"], metadata={"condition": "x", "long": long}),
        Sample(id="breaks", input=long, target="x"), Sample(id="ünï/cødé", input="Two? " + long, target="answer"),
    ]

    def outputs():
        while True:
            for output in (
                ModelOutput.for_tool_call("mockllm/model", "send_email", {"to": "kyle", "body": long}, content="I write. " + long),
                ModelOutput.for_tool_call("mockllm/model", "send_email", {"to": "nobody", "body": "b"}),
                ModelOutput.from_content("mockllm/model", "The answer \u2028 is \U0001F600 sent. " + long),
            ):
                output.usage = ModelUsage(input_tokens=9, output_tokens=5, total_tokens=14)  # or it would count with a tokenizer from the network
                yield output

    task = Task(dataset=samples, solver=[use_tools(send_email()), breaks(), generate()], scorer=[includes(), undefined(), several()], epochs=Epochs(2, "mean"), name="peer")
    model = get_model("mockllm/model", custom_outputs=outputs())
    log = inspect_eval(task, model=model, log_dir=str(folder), log_format="eval", display="none", fail_on_error=False, max_samples=1, retry_on_error=1)[0]
    check("inspect: status", log.status, "success")
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(log.location).path))


def check_theirs(ours, scratch):
    """evallog reads what Inspect wrote."""
    folder = scratch / "theirs"
    path = run_inspect(folder)
    log = check_content(ours, path)
    raw = zipfile.ZipFile(path)
    texts = [raw.read(n) for n in raw.namelist() if n.startswith("samples/")]
    check("inspect: errors", sorted(s.id for s in log.samples if s.error), ["breaks", "breaks"])
    check("inspect: condensed samples", any(b'"attachment://' in t for t in texts) and any(b'"input_refs"' in t for t in texts), True)
    check("inspect: NaN", any(b"NaN" in t for t in texts), True)
    passed(f"Inspect's own log: {len(log.samples)} samples, {sum(len(s.events) for s in log.samples)} events, attachments and pools, {sum(s.error is not None for s in log.samples)} errors")
    crashed = folder / "crashed.eval"
    with zipfile.ZipFile(crashed, "w") as out:
        for info in raw.infolist():
            if info.filename not in ("header.json", "summaries.json", "reductions.json"):
                out.writestr(info.filename, raw.read(info.filename))
    log = check_content(ours, crashed)
    check("crashed: status", log.status, "started")
    passed("the same as a crashed run leaves it, stored")
    return path


def check_cost(ours, scratch, n):
    """What scanning a large log costs both."""
    path = scratch / "large.eval"
    write_cpu, _ = ours.cpu("large", path, n)
    scan_cpu, out = ours.cpu("scan", path)
    check("scan", out.split()[0], str(n))
    page_cpu, _ = ours.cpu("page", path)
    begun = time.process_time()
    check("large", len(read_eval_log(str(path)).samples), n)
    theirs = time.process_time() - begun
    begun = time.process_time()
    check("large: summaries", len(read_eval_log_sample_summaries(str(path))), n)
    rows = time.process_time() - begun
    size = path.stat().st_size
    raw = sum(i.file_size for i in zipfile.ZipFile(path).infolist() if i.filename.startswith("samples/"))
    print(f"{n} samples, {raw / n / 1000:.1f} KB each, {size / n / 1000:.1f} KB zipped; CPU: making and writing {1000 * write_cpu / n:.3f} ms a sample; reading all {scan_cpu:.2f} s, "
          f"inspect_ai {theirs:.2f} s, ratio {theirs / scan_cpu:.1f}; first page of summaries {page_cpu:.3f} s, all by inspect_ai {rows:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000, help="size of the log that is timed; 0: none")
    parser.add_argument("--keep", type=pathlib.Path, help="copy the log that Inspect wrote to this file")
    args = parser.parse_args()
    print("inspect_ai", inspect_ai.__version__)
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        ours = Ours(scratch)
        path = check_theirs(ours, scratch)
        if args.keep:
            shutil.copy(path, args.keep)
        check_ours(ours, scratch)
        check_killed(ours, scratch)
        if args.samples:
            check_cost(ours, scratch, args.samples)
    print("all equal")


if __name__ == "__main__":
    os.environ.setdefault("INSPECT_DISPLAY", "none")
    main()
