"""Writes and reads folders as internal/storage does, with fsspec, on moto's server and on a disk. Run by storage.sh."""

import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import fsspec

FILES = {"config.json": 23, "model.safetensors": 70 << 20, "state/rank 0/optimizer.pt": 1 << 20, "state/empty": 0, "ünï@1.txt": 7}
MANIFEST = "MANIFEST.json"


class HalfWritten(Exception):
    """The folder has no manifest."""


class Damaged(Exception):
    """A file is not what the manifest says."""


def pattern(seed: int, n: int) -> bytes:
    block = bytes((j * 31 + seed) % 251 for j in range(1004))
    return (block * (n // len(block) + 1))[:n]


def write_folder(uri: str, files: dict[str, bytes], manifest: bool = True) -> None:
    """Writes files, then the manifest, in the format that package storage documents."""
    fs, root = fsspec.core.url_to_fs(uri, **options(uri))
    lines = []
    for path in sorted(files, key=str.encode):
        if not uri.startswith("s3"):
            fs.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        with fs.open(f"{root}/{path}", "wb") as f:
            f.write(files[path])
        lines.append({"path": path, "size": len(files[path]), "sha256": hashlib.sha256(files[path]).hexdigest()})
    if manifest:
        with fs.open(f"{root}/{MANIFEST}", "wb") as f:
            f.write(json.dumps({"files": lines}, ensure_ascii=False).encode())


def read_folder(uri: str) -> dict[str, bytes]:
    """Reads a folder and holds every file against the manifest."""
    fs, root = fsspec.core.url_to_fs(uri, **options(uri))
    try:
        with fs.open(f"{root}/{MANIFEST}", "rb") as f:
            manifest = json.loads(f.read())
    except FileNotFoundError as e:
        raise HalfWritten(uri) from e
    out = {}
    for line in manifest["files"]:
        with fs.open(f"{root}/{line['path']}", "rb") as f:
            text = f.read()
        if len(text) != line["size"] or hashlib.sha256(text).hexdigest() != line["sha256"]:
            raise Damaged(line["path"])
        out[line["path"]] = text
    return out


def options(uri: str) -> dict:
    return {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "use_listings_cache": False} if uri.startswith("s3") else {}


def expect(ok: bool, what: str) -> None:
    print(("ok    " if ok else "FAIL  ") + what, flush=True)
    if not ok:
        sys.exit(1)


def refused(error: type[Exception], uri: str) -> bool:
    try:
        read_folder(uri)
    except error:
        return True
    return False


def check(uri: str) -> None:
    mine = {name: pattern(1, n) for name, n in FILES.items()}
    write_folder(f"{uri}/from-python", mine)
    write_folder(f"{uri}/half-written", mine, manifest=False)
    write_folder(f"{uri}/damaged", mine)
    fs, root = fsspec.core.url_to_fs(f"{uri}/damaged", **options(uri))
    with fs.open(f"{root}/config.json", "wb") as f:
        f.write(pattern(3, FILES["config.json"]))
    done = subprocess.run(
        ["go", "test", "./internal/storage", "-run", "^TestParity$", "-count=1", "-v"],
        env={**os.environ, "BECAUSE_STORAGE_URI": uri}, check=False, capture_output=True, text=True)
    passed = done.returncode == 0 and "--- PASS: TestParity" in done.stdout
    expect(passed, f"{uri}: Go reads Python's folders and writes its own" + ("" if passed else f"\n{done.stdout}{done.stderr}"))
    theirs = {name: pattern(2, n) for name, n in FILES.items()}
    expect(read_folder(f"{uri}/from-go") == theirs, f"{uri}: Python reads Go's folder, {len(theirs)} files, {sum(FILES.values())} bytes")
    expect(refused(HalfWritten, f"{uri}/from-go-half-written"), f"{uri}: Python refuses Go's half-written folder")
    fs, root = fsspec.core.url_to_fs(f"{uri}/from-go", **options(uri))
    with fs.open(f"{root}/config.json", "wb") as f:
        f.write(b"x" * FILES["config.json"])
    expect(refused(Damaged, f"{uri}/from-go"), f"{uri}: Python refuses Go's folder with a changed file")
    name = hashlib.sha256(theirs["config.json"]).hexdigest()
    fs, root = fsspec.core.url_to_fs(f"{uri}/blobs/sha256/{name}/config.json", **options(uri))
    expect(fs.cat_file(root) == theirs["config.json"], f"{uri}: Python reads Go's blob under its content")


def main() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    run = "import sys; from moto.server import main; main(sys.argv[1:])"
    server = subprocess.Popen([sys.executable, "-c", run, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(endpoint + "/moto-api/", timeout=1).close()
                break
            except OSError:
                if server.poll() is not None:
                    sys.exit("moto's server does not start: is the package moto[server] installed?")
                time.sleep(0.1)
        fsspec.filesystem("s3", endpoint_url=endpoint).mkdir("because-parity")
        check("s3://because-parity/runs")
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder).as_uri() + "/store")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
