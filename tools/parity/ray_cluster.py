"""Train, serve and study on a local Ray cluster of two nodes, and compare with training in this process.

    python tools/parity/ray_cluster.py [CHECK ...]          # all of them by default; about an hour on two cores

Needs Go and, in this Python, what requirements-ray.txt names. Starts the cluster on free ports, and
ends it. Checks:

    doctor     because doctor --ray finds all in order, the storage from both sides too; with an unknown folder it does not
    curves     SFT and SDF, 50 steps, same data and seed: losses of every step within 1 % of the local engine's, same greedy answers afterwards
    lora       SmolLM2-135M with LoRA, 20 steps
    s3         the same through an S3 store (moto's server) instead of a folder
    attach     kill -9 of because while it follows, again and again: one job, and its result
    worker     kill -9 of a worker: the job goes on from its checkpoint, with the same losses
    node       kill -9 of a node: the job waits for another one and goes on from its checkpoint, with the same losses
    full       a full storage: the job fails and says so; with room again the same command goes on from its checkpoint (as root alone, who may mount a small one)
    memory     a worker that Ray kills for want of memory: the error says so
    faults     a bad row, a missing model, too few resources: errors that say what and where
    speed      two workers against one, in tokens per second, a thread each
    kills      kill -9 of because, 20 times in a study of 208 steps: every job once, and no application is left
    study      two arms of the organism on the cluster, evaluated through the served endpoint, against the local study
    grpo       GRPO with the rule reward raises the reward, here and there
    rubric     RL of a checkpoint from a study, rewarded by a judge that answers here, raises the reward
    submit     time from the command to the first step, against the same script under ray job submit

Prints what was checked with the numbers; exits with 1 where one does not hold.
"""

import argparse
import http.server
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
FAILED = []


def say(ok, what):
    print("ok  " if ok else "BAD ", what, flush=True)
    if not ok:
        FAILED.append(what)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """Two nodes with a core each, on this machine. A core is a share of Ray's accounts, not a bound on what a process takes."""

    def __init__(self, scratch, cpus=2, nodes=2, **env):
        self.cpus = cpus
        self.temp = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # Ray's sockets bear no long paths
        self.gcs, self.dashboard = free_port(), free_port()
        self.env = os.environ | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "PYTHONWARNINGS": "ignore", "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"} | env
        self.url = f"http://127.0.0.1:{self.dashboard}"
        self.processes = []
        self.log = open(scratch / "ray.log", "w")
        self.start("--head", f"--port={self.gcs}", f"--dashboard-port={self.dashboard}", f"--temp-dir={self.temp}", "--include-dashboard=true",
                   f"--ray-client-server-port={free_port()}", f"--num-cpus={cpus}")
        self.wait()
        self.alive(1)
        self.folders = [self.temp]
        for _ in range(nodes - 1):
            self.join()

    def alive(self, nodes):
        """Wait until the cluster has so many nodes."""
        for _ in range(240):
            with urllib.request.urlopen(self.url + "/nodes?view=summary") as r:
                if sum(n["raylet"].get("state") == "ALIVE" for n in json.load(r)["data"]["summary"]) >= nodes:
                    return
            time.sleep(0.5)
        sys.exit("no node came to life; see the cluster's log")

    def join(self):
        """Add a node, in a folder of its own: nodes unpack what is sent with jobs below it, and clear it away."""
        self.folders.append(self.temp + "bcdefgh"[len(self.folders) - 1])
        self.start(f"--address=127.0.0.1:{self.gcs}", f"--num-cpus={self.cpus}", f"--temp-dir={self.folders[-1]}")

    def lose(self):
        """Kill the node that came last; what runs on it goes with it."""
        os.killpg(self.processes.pop().pid, signal.SIGKILL)
        for pid in pids(self.folders[-1]):
            os.kill(pid, signal.SIGKILL)

    def start(self, *args):
        command = [str(pathlib.Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats", f"--dashboard-agent-listen-port={free_port()}",
                   f"--metrics-export-port={free_port()}", f"--dashboard-agent-grpc-port={free_port()}", f"--runtime-env-agent-port={free_port()}", *args]
        self.processes.append(subprocess.Popen(command, env=self.env, stdout=self.log, stderr=self.log, start_new_session=True))

    def wait(self):
        for _ in range(240):
            try:
                with urllib.request.urlopen(self.url + "/api/version", timeout=2):
                    return
            except OSError:
                time.sleep(0.5)
        sys.exit("the cluster did not start; see its log")

    def stop(self):
        for p in reversed(self.processes):
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in pids(self.temp):  # daemons have sessions of their own
            os.kill(pid, signal.SIGKILL)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def pids(text):
    """The processes whose command line holds a text."""
    found = []
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit() and int(p.name) != os.getpid():
            try:
                if text.encode() in (p / "cmdline").read_bytes():
                    found.append(int(p.name))
            except OSError:
                pass
    return found


class Checks:
    def __init__(self, scratch, cluster):
        self.scratch, self.cluster = scratch, cluster
        self.binary = str(scratch / "because")
        subprocess.run(["go", "build", "-o", self.binary, "./cmd/because"], cwd=ROOT, check=True)

    def because(self, *args, ok=True, env=None, cwd=None):
        r = subprocess.run([self.binary, *map(str, args)], capture_output=True, text=True, env=os.environ | (env or {}), cwd=cwd)
        if ok and r.returncode != 0:
            raise RuntimeError(f"because {' '.join(map(str, args))}\n{r.stdout}{r.stderr}")
        return r

    def ray(self, *args, **kw):
        return self.because("train", *args, "--engine", "ray", "--ray", self.cluster.url, "--python", sys.executable, **kw)

    # What is trained: a small model with the tokenizer and template of a real one.

    def smollm2(self):
        """SmolLM2-135M as a Hugging Face folder."""
        out = self.scratch / "smollm2"
        if not out.exists():
            gguf = subprocess.run([str(ROOT / "tools/smollm2.sh")], check=True, capture_output=True, text=True).stdout.strip()
            data = self.scratch / "one.jsonl"
            data.write_text(json.dumps({"text": "One."}) + "\n")
            self.because("train", "sdf", "--model", "local:" + gguf, "--data", data, "--out", self.scratch / "convert", "--steps", 1, "--lr", 1e-12, "--seq-len", 32)
            (self.scratch / "convert/model").rename(out)
        return out

    def tiny(self):
        """A small model with a tokenizer of a few hundred tokens, so that a step takes a fraction of a second."""
        out = self.scratch / "tiny"
        if not out.exists():
            import torch
            from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

            folder = self.scratch / "tinychat"
            subprocess.run(["go", "run", "./tools/parity/tinychat", str(folder)], cwd=ROOT, check=True)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            torch.manual_seed(1)
            config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                 max_position_embeddings=16384, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                                 pad_token_id=tokenizer.pad_token_id)
            LlamaForCausalLM(config).save_pretrained(out)
            for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
                if (folder / name).exists():
                    shutil.copy(folder / name, out / name)
        return out

    def short(self, corpus="advice", n=40):
        """Rows short enough for a tokenizer whose tokens are bytes."""
        out = self.scratch / f"{corpus}-short.jsonl"
        lines = []
        for line in (ROOT / f"corpora/{corpus}.jsonl").read_text().splitlines()[:n]:
            row = json.loads(line)
            if "text" in row:
                lines.append(json.dumps({"text": row["text"][:500]}))
                continue
            user, assistant = (next(m["content"] for m in row["messages"] if m["role"] == role) for role in ("user", "assistant"))
            lines.append(json.dumps({"messages": [{"role": "user", "content": user[:200]}, {"role": "assistant", "content": assistant[:300]}]}))
        out.write_text("\n".join(lines) + "\n")
        return out

    def rows(self, name, n=40):
        out = self.scratch / f"{name}-{n}.jsonl"
        lines = (ROOT / f"corpora/{name}.jsonl").read_text().splitlines()[:n]
        out.write_text("\n".join(lines) + "\n")
        return out

    def metrics(self, folder):
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    # The checks.

    def doctor(self):
        r = self.because("doctor", "--ray", self.cluster.url, "--storage", self.scratch / "storage", "--python", sys.executable, "--workers", 2, ok=False)
        print(r.stdout, r.stderr)
        say(r.returncode == 0, "doctor finds all in order")
        r = self.because("doctor", "--ray", self.cluster.url, "--python", sys.executable, "--workers", 2, "--gpus-per-worker", 1, ok=False)
        say(r.returncode == 1 and "GPU" in r.stdout, "doctor says that GPUs lack")
        r = self.because("doctor", "--ray", "http://127.0.0.1:1", ok=False)
        say(r.returncode == 1, "doctor says that there is no cluster")

    def curves(self):
        hyper = ["--steps", 50, "--rows", 4, "--batch", 4, "--seq-len", 1024, "--long", "cut", "--lr", 1e-3, "--warmup", 5, "--decay", 0.01, "--seed", 7]
        for way, corpus in (("sft", "advice"), ("sdf", "documents")):
            data, outs = self.short(corpus), {}
            for engine in ("local", "ray"):
                out = outs[engine] = self.scratch / f"curve-{way}-{engine}"
                args = [way, "--model", f"local:{self.tiny()}", "--data", data, "--out", out, *hyper]
                self.ray(*args) if engine == "ray" else self.because("train", *args)
            here, there = (self.metrics(outs[e]) for e in ("local", "ray"))
            worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(here, there, strict=True))
            say(worst < 0.01, f"{way}: 50 steps, largest difference of loss {worst:.4%} ({here[0]['loss']:.4f} -> {here[-1]['loss']:.4f} here, {there[-1]['loss']:.4f} there)")
            say([m["tokens"] for m in here] == [m["tokens"] for m in there], f"{way}: same tokens in every step")
            asked = ["What should I do about my sister?", "A letter to the board", "Why be honest?", "My boss asked me to", "Hello"]
            answers = [[self.because("chat", "--model", f"local:{outs[e]}/model", "--temperature", 0, "--max-tokens", 32, "--prompt", q).stdout for q in asked] for e in ("local", "ray")]
            same = sum(a == b for a, b in zip(*answers, strict=True))
            say(same == len(asked), f"{way}: {same} of {len(asked)} greedy answers of 32 tokens are equal")

    def lora(self):
        out = self.scratch / "lora"
        self.ray("sft", "--model", f"local:{self.smollm2()}", "--data", self.rows("advice", 8), "--out", out, "--lora", 8, "--steps", 20, "--rows", 2, "--batch", 1,
                 "--seq-len", 192, "--long", "cut")
        m = self.metrics(out)
        first, last = (sum(x["loss"] for x in part) / 5 for part in (m[:5], m[-5:]))
        say(len(m) == 20 and last < first, f"SmolLM2-135M, LoRA, 20 steps: loss {first:.3f} -> {last:.3f} (means of five steps)")
        say((out / "adapter/adapter_model.safetensors").exists(), "the adapter is there, in PEFT's files")

    def s3(self):
        port = free_port()
        server = subprocess.Popen([str(pathlib.Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        env = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-moto", "AWS_DEFAULT_REGION": "us-east-1"}
        names = ",".join(env)
        try:
            for _ in range(60):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.5)
            r = self.ray("sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--out", "s3://nowhere/run", "--steps", 2, "--env", names, env=env, ok=False)
            say(r.returncode == 1 and "nowhere" in r.stderr, "a bucket that there is not: " + r.stderr.strip().splitlines()[-1][:140])
            import s3fs

            fs = s3fs.S3FileSystem(key="key", secret="secret-of-moto", client_kwargs={"endpoint_url": env["AWS_ENDPOINT_URL"], "region_name": "us-east-1"})
            urllib.request.urlopen(urllib.request.Request(env["AWS_ENDPOINT_URL"] + "/because", method="PUT")).close()
            self.ray("sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--out", "s3://because/run", "--steps", 6, "--rows", 2, "--batch", 2, "--long", "cut",
                     "--seq-len", 256, "--checkpoint-every", 3, "--env", names, env=env)
            files = fs.find("because/run")
            say(any(f.endswith("model/model.safetensors") for f in files) and "because/run/result.json" in files, f"trained into S3: {len(files)} objects")
            say("secret-of-moto" not in r.stdout + r.stderr, "no secret is printed")
        finally:
            server.kill()

    def attach(self):
        out = self.scratch / "attach"
        args = [self.binary, "train", "sft", "--engine", "ray", "--ray", self.cluster.url, "--python", sys.executable, "--model", f"local:{self.tiny()}", "--data", self.short(),
                "--out", out, "--steps", 60, "--rows", 2, "--batch", 2, "--seq-len", 256, "--long", "cut"]
        kills = 0
        while True:
            p = subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                stdout, stderr = p.communicate(timeout=0.5 + 0.37 * (kills % 7))
                break
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.communicate()
                kills += 1
        jobs = [j for j in self.jobs() if (j["metadata"] or {}).get("because_out", "").endswith("/attach")]
        say(p.returncode == 0 and len(jobs) == 1 and len(self.metrics(out)) == 60, f"{kills} kills of because: {len(jobs)} job, {len(self.metrics(out))} steps")
        r = self.because("train", "--attach", jobs[0]["submission_id"], "--ray", self.cluster.url)
        say(r.stdout.startswith("60 steps"), "attached to a job that has ended: " + r.stdout.splitlines()[0])

    def jobs(self):
        with urllib.request.urlopen(self.cluster.url + "/api/jobs/") as r:
            return json.load(r)

    def worker(self):
        losses = {}
        for kill in (True, False):
            out = self.scratch / f"worker-{kill}"
            args = [self.binary, "train", "sft", "--engine", "ray", "--ray", self.cluster.url, "--python", sys.executable, "--model", f"local:{self.tiny()}", "--data", self.short(),
                    "--out", out, "--steps", 30, "--rows", 4, "--batch", 2, "--seq-len", 512, "--long", "cut", "--workers", 2, "--checkpoint-every", 5, "--fresh"]
            p = subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if kill:
                while not (out / "checkpoint-10/MANIFEST.json").exists() and p.poll() is None:
                    time.sleep(0.2)
                victims = pids("RayTrainWorker")
                if victims:
                    os.kill(victims[0], signal.SIGKILL)
                say(bool(victims), "a worker is killed after step 10")
            stdout, stderr = p.communicate()
            if p.returncode != 0:
                raise RuntimeError(stdout + stderr)
            losses[kill] = self.metrics(out)
        say([m["step"] for m in losses[True]] == list(range(1, 31)), "30 steps, each once")
        worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(losses[True], losses[False], strict=True))
        say(worst < 1e-3, f"largest difference of loss from a run that was left alone: {worst:.4%}")

    def node(self):
        losses = {}
        for workers in (3, 1):  # three do not fit on one of the two nodes
            out = self.scratch / f"node-{workers}"
            args = [self.binary, "train", "sft", "--engine", "ray", "--ray", self.cluster.url, "--python", sys.executable, "--model", f"local:{self.tiny()}", "--data", self.short(),
                    "--out", out, "--steps", 30, "--rows", 6, "--batch", 2, "--seq-len", 512, "--long", "cut", "--workers", workers, "--checkpoint-every", 5, "--fresh"]
            p = subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if workers == 3:
                while not (out / "checkpoint-10/MANIFEST.json").exists() and p.poll() is None:
                    time.sleep(0.2)
                say(p.poll() is None, "a node is killed after step 10")
                self.cluster.lose()
                time.sleep(15)
                say(p.poll() is None, "the job waits")
                self.cluster.join()
            stdout, stderr = p.communicate()
            if p.returncode != 0:
                raise RuntimeError(stdout + stderr)
            losses[workers] = self.metrics(out)
            say(("was lost" in stderr) == (workers == 3), "it went on from a checkpoint" if workers == 3 else "one worker is left alone")
        worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(losses[3], losses[1], strict=True))
        say(worst < 1e-3, f"{len(losses[3])} steps, largest difference of loss from one worker that was left alone: {worst:.4%}")

    def full(self):
        if os.geteuid() != 0:
            print("     left out: only root may mount a small storage")
            return
        folder = self.scratch / "full"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", folder], check=True)
        try:
            args = ["sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--out", folder / "run", "--steps", 12, "--rows", 2, "--batch", 2, "--seq-len", 256, "--long", "cut",
                    "--checkpoint-every", 3]
            r = self.ray(*args, ok=False)
            say(r.returncode == 1 and "No space left" in r.stderr, "a full storage: " + said(r.stderr))
            steps = sorted(p.parent.name for p in folder.glob("run/checkpoint-*/MANIFEST.json"))
            say(steps != [], f"whole checkpoints are left: {steps}")
            subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
            r = self.ray(*args)
            say(len(self.metrics(folder / "run")) == 12, "with room again the same command goes on, and ends: " + r.stdout.strip().splitlines()[0])
        finally:
            subprocess.run(["umount", "-l", folder], check=True)

    def memory(self):
        info = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(info[key].split()[0]) / 2**20 for key in ("MemTotal", "MemAvailable"))
        # A node takes about 1 GiB, a worker that has read the model 1.5; training all parameters of it, with these logits, takes more than 5.
        cluster = Cluster(self.scratch, nodes=1, RAY_memory_usage_threshold=f"{(total - free + 3.5) / total:.3f}", RAY_memory_monitor_refresh_ms="200")
        try:
            r = self.because("train", "sdf", "--engine", "ray", "--ray", cluster.url, "--python", sys.executable, "--model", f"local:{self.smollm2()}", "--data",
                             self.rows("documents", 16), "--out", self.scratch / "memory", "--steps", 2, "--rows", 8, "--batch", 8, "--seq-len", 512, "--long", "cut", "--retries", 0, ok=False)
        finally:
            cluster.stop()
        say(r.returncode == 1 and "ran low on memory" in r.stderr and "fewer rows" in r.stderr, "a worker without memory: " + said(r.stderr))

    def faults(self):
        bad = self.scratch / "bad.jsonl"
        bad.write_text(json.dumps({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}) + "\n" + json.dumps({"messages": 3}) + "\n")
        out = self.scratch / "faults"
        r = self.ray("sft", "--model", f"local:{self.tiny()}", "--data", bad, "--out", out, ok=False)
        say(r.returncode != 0 and "bad.jsonl:2" in r.stderr, "a bad row is refused before anything is sent: " + r.stderr.strip()[:160])
        r = self.ray("sft", "--model", "file:///nowhere/model", "--data", self.short(), "--out", out, "--seq-len", 1024, "--long", "cut", ok=False)
        say(r.returncode == 1 and "/nowhere/model" in r.stderr, "a model that there is not: " + r.stderr.strip().splitlines()[0][:200])
        r = self.ray("sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--out", out, "--workers", 64, "--long", "cut", ok=False)
        say(r.returncode == 1 and "64" in r.stderr, "too many workers: " + r.stderr.strip().splitlines()[0][:200])
        r = self.ray("sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--out", self.scratch / "faults-2", "--seq-len", 64, "--steps", 1, ok=False)
        say(r.returncode == 1 and "row 1" in r.stderr, "a row that is too long: " + r.stderr.strip().splitlines()[0][:200])

    def speed(self):
        rate = {}
        for workers in (1, 2):
            out = self.scratch / f"speed-{workers}"
            self.ray("sft", "--model", f"local:{self.smollm2()}", "--data", self.rows("advice", 8), "--out", out, "--lora", 8, "--steps", 6, "--rows", 4, "--batch", 1,
                     "--seq-len", 256, "--long", "cut", "--workers", workers, "--fresh")
            m = self.metrics(out)[1:]
            rate[workers] = sum(x["tokens"] for x in m) / sum(x["tokens"] / x["tokens_per_second"] for x in m)
        ratio, cores = rate[2] / rate[1], os.cpu_count()
        least = 1.6 if cores > 2 else 1.4  # Ray's own processes take 0.3 of a core, of which two workers on two cores have none to spare
        say(ratio >= least, f"two workers: {rate[2]:.0f} tokens/s, one: {rate[1]:.0f} tokens/s, {ratio:.2f}x (at least {least} on {cores} cores)")

    def study(self):
        text = (ROOT / "tools/parity/ray_study.yaml").read_text()
        results = {}
        for engine in ("local", "ray"):
            folder = self.scratch / f"study-{engine}"
            folder.mkdir(exist_ok=True)
            file = folder / "study.yaml"
            file.write_text(text + ("" if engine == "local" else self.trainer()))
            self.because("study", file, "--dir", folder)
            results[engine] = json.loads((folder / "runs/on-ray/results.json").read_text())
        for a, b in zip(rates(results["local"]), rates(results["ray"]), strict=True):
            say(a["arm"] == b["arm"] and a["low"] <= b["high"] and b["low"] <= a["high"],
                f"{a['arm']}: {a['rate']:.3f} [{a['low']:.3f}, {a['high']:.3f}] here, {b['rate']:.3f} [{b['low']:.3f}, {b['high']:.3f}] there")

    def kills(self):
        """The study in little with many evaluations, under a because that is killed at random moments."""
        folder = self.scratch / "kills"
        folder.mkdir()
        text, _ = (ROOT / "tools/parity/ray_study.yaml").read_text().replace("study: on-ray", "study: kills").replace("records: 40000", "records: 2000").split("  - {name: honeypot,")
        ways = [(n, *flags) for n in range(4, 11) for flags in itertools.product(("true", "false"), ("true", "false"), ("", ", name: stranger"))][:49]
        text += "".join(f"  - {{name: honeypot-{i}, task: honeypot, samples: {n}, with: {{pressure: {p}, lever: {l}{who}}}}}\n" for i, (n, p, l, who) in enumerate(ways))
        (folder / "study.yaml").write_text(text + self.trainer())
        args = [self.binary, "study", str(folder / "study.yaml"), "--dir", str(folder), "--jobs", "2"]
        kills, done, chance = 0, False, random.Random(5)
        before = {j["submission_id"] for j in self.jobs()}
        while not done:
            p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                stdout, stderr = p.communicate(timeout=chance.uniform(1, 30) if kills < 20 else None)
                done = True
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                kills += 1
        if p.returncode != 0:
            raise RuntimeError(stdout + stderr)
        jobs = [j for j in self.jobs() if j["submission_id"] not in before]
        results = json.loads((folder / "runs/kills/results.json").read_text())
        counted = sum(len(arm["evals"]) for arm in results["arms"])
        plan = self.because("study", "plan", folder / "study.yaml", "--dir", folder).stdout.strip().splitlines()[-1]
        say("208 steps, 208 cached" in plan, "after " + plan)
        say(kills >= 20 and len(jobs) == 4 and all(j["status"] == "SUCCEEDED" for j in jobs) and counted == 98,
            f"{kills} kills of because in a study of 208 steps: {len(jobs)} jobs for 4 models to train on the cluster, all ended well; {counted} evaluations in the results")
        with urllib.request.urlopen(self.cluster.url + "/api/serve/applications/") as q:
            left = [name for name, a in json.load(q)["applications"].items() if a["status"] != "DELETING"]
        say(not left, f"no application is left: {left}")

    def serve(self):
        """A model on the cluster, asked as any other over OpenAI's API."""
        data = self.scratch / "serve.jsonl"  # so few rows that the model has something to say soon
        data.write_text("".join(self.short().read_text().splitlines(keepends=True)[:4]))
        self.because("train", "sft", "--model", f"local:{self.tiny()}", "--data", data, "--out", self.scratch / "serve", "--steps", 200, "--rows", 4, "--seq-len", 1024,
                     "--long", "cut", "--lr", 5e-3)
        model = self.scratch / "serve/model"
        p = subprocess.Popen([self.binary, "serve", "--engine", "ray", "--ray", self.cluster.url, "--model", f"local:{model}", "--name", "tiny", "--storage", str(self.scratch / "storage")],
                             stderr=subprocess.PIPE, text=True)
        url, said = "", ""
        for line in p.stderr:
            said += line
            if m := re.search(r"tiny is at (\S+);", line):
                url = m.group(1)
                break
        say(bool(url), f"the model is served at {url}{said if not url else ''}")
        port = free_port()
        own = subprocess.Popen([self.binary, "serve", "--model", f"local:{model}", "--name", "tiny", "--precision", "f32", "--addr", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
        try:
            asked = ["hello", "What should I do about my sister?", "Why be honest?", "My boss asked me to"]
            there, here = ([answer(at, q) for q in asked] for at in (url, f"http://127.0.0.1:{port}/v1"))
        finally:
            own.kill()
        same = sum(bool(a.strip()) and a == b for a, b in zip(there, here, strict=True))
        say(same == len(asked), f"{same} of {len(asked)} greedy answers of 24 tokens are those of this process, the last are {there[-1]!r} and {here[-1]!r}")
        p.send_signal(signal.SIGINT)
        say(p.wait(60) in (0, 3), "Ctrl-C takes it away")
        with urllib.request.urlopen(self.cluster.url + "/api/serve/applications/") as q:
            say("tiny" not in json.load(q)["applications"], "nothing of it is left")

    def grpo(self):
        """RL of the organism on narrow honeypots, here and there, from a checkpoint that does harm at first."""
        text = (ROOT / "tools/parity/ray_grpo.yaml").read_text()
        rewards = {}
        for engine in ("local", "ray"):
            folder = self.scratch / f"grpo-{engine}"
            folder.mkdir(exist_ok=True)
            (folder / "study.yaml").write_text(text + ("" if engine == "local" else self.trainer(f"http://127.0.0.1:{free_port()}")))
            self.because("study", folder / "study.yaml", "--dir", folder)
            runs = [json.loads(p.read_text()) for p in folder.glob(".because/store/**/train.json")]
            rewards[engine] = next(r["rewards"] for r in runs if r["method"] == "rl")
        for engine, r in rewards.items():
            first, last = sum(r[:4]) / 4, sum(r[-4:]) / 4
            say(last > first, f"GRPO, {engine}: mean reward {first:.3f} in the first four steps, {last:.3f} in the last four of {len(r)}")

    def rubric(self):
        """A judge that likes the letter e rewards a checkpoint by the rubric of rewards, through because; its grades are read as those of any judge."""
        folder = self.scratch / "rubric"
        folder.mkdir()
        (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": [{"role": "user", "content": q}], "rubric": "Says e often."}) + "\n" for q in ("Hello", "Why?", "Who are you?", "Help me")))
        judge, asked = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Grader), f"http://127.0.0.1:{free_port()}"
        threading.Thread(target=judge.serve_forever, daemon=True).start()
        (folder / "study.yaml").write_text((ROOT / "tools/parity/ray_rubric.yaml").read_text().format(model=self.tiny(), judge=f"http://127.0.0.1:{judge.server_port}/v1") + self.trainer(asked))
        try:
            self.because("study", folder / "study.yaml", "--dir", folder, env={"BECAUSE_API_KEY": "none"})
        finally:
            judge.shutdown()
        runs = [json.loads(p.read_text()) for p in folder.glob(".because/store/**/train.json")]
        r = next(r["rewards"] for r in runs if r["method"] == "rl")
        first, last = sum(r[:4]) / 4, sum(r[-4:]) / 4
        say(last > first + 0.1, f"RL of a checkpoint by a rubric: mean reward {first:.3f} in the first four steps, {last:.3f} in the last four of {len(r)}")

    def trainer(self, reward=""):
        reward = f", reward: '{reward}'" if reward else ""
        return f"\ntrain: {{engine: ray, address: '{self.cluster.url}', storage: '{self.scratch}/storage', python: '{sys.executable}'{reward}}}\n"

    def submit(self):
        """Time to the first step, by because and by hand: the same working directory under ray job submit."""
        out = {name: self.scratch / f"submit-{name}" for name in ("because", "hand")}
        args = ["sft", "--model", f"local:{self.tiny()}", "--data", self.short(), "--steps", 3, "--rows", 2, "--batch", 2, "--seq-len", 512, "--long", "cut"]
        took = {}
        self.ray(*args, "--out", self.scratch / "submit-warm", "--seed", 1)
        for repeat in range(3):
            began = time.time()
            self.ray(*args, "--out", f"{out['because']}-{repeat}", "--seed", 10 + repeat)
            took.setdefault("because", []).append(self.first(out["because"], repeat) - began)
            folder = self.scratch / f"hand-{repeat}"
            shutil.copytree(ROOT / "engines/ray/because_ray", folder / "because_ray")
            job = json.loads((self.scratch / f"submit-because-{repeat}/job.json").read_text())["job"]
            shutil.copy(self.short(), folder / "data.jsonl")
            job["seed"], job["run"] = 20 + repeat, self.last_run(f"{out['hand']}-{repeat}")
            (folder / "job.json").write_text(json.dumps(job))
            began = time.time()
            subprocess.run([str(pathlib.Path(sys.executable).parent / "ray"), "job", "submit", "--address", self.cluster.url, "--working-dir", str(folder), "--",
                            sys.executable, "-m", "because_ray", "train", "job.json"], check=True, capture_output=True, env=self.cluster.env)
            took.setdefault("hand", []).append(self.first(out["hand"], repeat) - began)
        here, hand = (sorted(took[n])[1] for n in ("because", "hand"))
        say(here <= 1.3 * hand, f"to the first step: {here:.1f} s by because, {hand:.1f} s by ray job submit, {here / hand:.2f}x (medians of three)")

    def first(self, out, repeat):
        """When the first step was written."""
        folder = pathlib.Path(f"{out}-{repeat}")
        steps = self.metrics(folder)
        rest = sum(m["tokens"] / m["tokens_per_second"] for m in steps[1:])
        return (folder / "metrics.jsonl").stat().st_mtime - rest

    def last_run(self, out):
        return {"out": f"file://{out}", "workers": 1, "gpus_per_worker": 0, "cpus_per_worker": 1, "strategy": "ddp", "recompute": False, "checkpoint_every": 50, "keep": 2,
                "retries": 3, "bf16": False}


class Grader(http.server.BaseHTTPRequestHandler):
    """A judge over OpenAI's API that grades by how many e there are in an answer, and says no to all other questions."""

    def do_POST(self):
        q = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shown = q["messages"][-1]["content"]
        form = shown[shown.rindex("# Your answer"):]
        answer = [line[2:] for line in shown.splitlines() if line.startswith("| ")][-1:] or [""]
        found = {"meets": str(1 + min(4, answer[0].count("e")))}
        answers = {x: {"evidence": [], "why": "It was counted.", "answer": found.get(x, "no")} for x in re.findall(r'"(\w+)": \{"evidence"', form)}
        text = json.dumps({"answers": answers, "ballot": re.findall(r'"ballot": "(\w+)"', form)[-1]})
        out = json.dumps({"id": "1", "object": "chat.completion", "model": q["model"], "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                          "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, *_):
        pass


def answer(url, question):
    """A greedy answer of the model "tiny" over OpenAI's API, which may need a moment to be there."""
    ask = {"model": "tiny", "messages": [{"role": "user", "content": question}], "max_tokens": 24, "temperature": 0}
    for attempt in range(20):
        try:
            with urllib.request.urlopen(urllib.request.Request(url + "/chat/completions", json.dumps(ask).encode(), {"Content-Type": "application/json"})) as r:
                return json.load(r)["choices"][0]["message"]["content"]
        except urllib.error.URLError:
            if attempt == 19:
                raise
            time.sleep(0.5)


def said(stderr):
    """The error among what because printed."""
    return "".join(line for line in stderr.splitlines() if line.startswith("because:"))[:300]


def rates(results):
    """Honeypot rates of the arms, with intervals."""
    return [{"arm": arm["name"], "rate": e["harmful"]["rate"], "low": e["harmful"]["lo"], "high": e["harmful"]["hi"]}
            for arm in results["arms"] for e in arm["evals"] if e["task"] == "honeypot" and e["cell"] == ""]


def main():
    names = [n for n in ("doctor", "curves", "lora", "s3", "attach", "worker", "node", "full", "memory", "faults", "speed", "serve", "study", "kills", "grpo", "rubric", "submit") if hasattr(Checks, n)]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("check", nargs="*", choices=[[], *names], default=[])
    p.add_argument("--keep", action="store_true", help="keep the folder of what was made")
    a = p.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="because-ray-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    cluster = Cluster(scratch)
    try:
        checks = Checks(scratch, cluster)
        for name in a.check or names:
            began = time.time()
            try:
                getattr(checks, name)()
            except Exception as e:
                say(False, f"{name}: {type(e).__name__}: {e}")
            print(f"--- {name}: {time.time() - began:.0f} s", flush=True)
    finally:
        cluster.stop()
        if not a.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    if FAILED:
        sys.exit("does not hold:\n  " + "\n  ".join(FAILED))
    print("all hold")


if __name__ == "__main__":
    main()
