from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from because_ray import storage
from because_ray.errors import STORAGE, Failure
from because_ray.storage import MANIFEST, Folder


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of moto's server."""
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        for _ in range(300):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"]).mkdir("bucket")
        yield "s3://bucket/some/prefix"
    finally:
        server.terminate()
        server.wait()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(params=["file", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "file":
        return Folder((tmp_path / "store" / "x").as_uri())
    return Folder(f"{request.getfixturevalue('s3')}/{tmp_path.name}")


def make(base: Path) -> Path:
    (base / "sub").mkdir(parents=True)
    (base / "sub" / "b").write_bytes(b"bb")
    (base / "a.txt").write_bytes(b"hello\n")
    (base / "Z").write_bytes(b"")
    return base


def test_folder_round_trip(folder: Folder, tmp_path: Path) -> None:
    assert folder.names() == [] and folder.manifest() is None and folder.read("no") is None
    folder.put(make(tmp_path / "src"))
    entries = folder.manifest()
    assert entries is not None and [(e["path"], e["size"]) for e in entries] == [("Z", 0), ("a.txt", 6), ("sub/b", 2)]
    assert entries[1]["sha256"] == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert folder.names() == [MANIFEST, "Z", "a.txt", "sub"]
    other = pickle.loads(pickle.dumps(folder))
    other.get(tmp_path / "back")
    assert (tmp_path / "back" / "sub" / "b").read_bytes() == b"bb"
    folder.write("note.json", b"{}")
    assert folder.read("note.json") == b"{}" and folder.at("sub").names() == ["b"]
    folder.remove()
    assert folder.names() == []


def test_damage_is_found_and_leaves_nothing(folder: Folder, tmp_path: Path) -> None:
    folder.put(make(tmp_path / "src"))
    folder.write("a.txt", b"hellO\n")
    for break_it, want in ((lambda: None, "a.txt"), (lambda: folder.write(MANIFEST, b"{"), MANIFEST)):
        break_it()
        with pytest.raises(Failure, match=want) as e:
            folder.get(tmp_path / "back")
        assert e.value.kind == STORAGE
    folder.fs.rm(folder.path(MANIFEST))
    with pytest.raises(Failure, match="half-written"):
        folder.get(tmp_path / "back")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("back")) == []


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", "", "a\\b"])
def test_manifest_may_not_lead_out(tmp_path: Path, path: str) -> None:
    folder = Folder(tmp_path.as_uri())
    folder.write(MANIFEST, json.dumps({"files": [{"path": path, "size": 0, "sha256": "0" * 64}]}).encode())
    with pytest.raises(Failure, match="bad entry"):
        folder.manifest()


def test_localise(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BECAUSE_CACHE", str(tmp_path / "cache"))
    folder.put(make(tmp_path / "src"))
    first = storage.localise(folder.uri)
    assert (Path(first) / "a.txt").read_text() == "hello\n" and storage.localise(folder.uri) == first
    folder.fs.rm(folder.path(MANIFEST))
    assert (Path(storage.localise(folder.uri)) / "sub" / "b").read_bytes() == b"bb"
    with pytest.raises(Failure) as e:
        storage.localise(folder.uri + "-absent")
    assert e.value.kind == STORAGE


def test_faults_have_hints_and_no_secrets(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Failure) as e:
        Folder("s3://no-such-bucket/x").write("a", b"a")
    assert "bucket" in e.value.hint and "very-secret" not in str(e.value)
    with pytest.raises(Failure, match="SHA-256"):
        (tmp_path / "f").write_bytes(b"x")
        storage.read_checked(str(tmp_path / "f"), "0" * 64)
    with pytest.raises(Failure) as e:
        storage.read_bytes("nosuchscheme://x/y")
    assert e.value.kind == STORAGE
