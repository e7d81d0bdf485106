"""Files and folders by URI (file://, s3://, gs:// and the like), with the manifest that makes a folder whole.

A stored folder has MANIFEST.json, written last: {"files": [{"path", "size", "sha256"}]}, sorted by path, of every file
but itself. The format is
that of because's internal/storage. Credentials come from the environment and the usual files of each service alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from because_ray.errors import PACKAGE, STORAGE, Failure

MANIFEST = "MANIFEST.json"
_CHUNK = 4 << 20


def is_uri(name: str) -> bool:
    return "://" in name


@contextlib.contextmanager
def _explained(what: str, uri: str) -> Iterator[None]:
    """Turn what storage libraries raise into a Failure that says what to do.

    Their texts name no credentials; ours repeat only the first line.
    """
    try:
        yield
    except (Failure, KeyboardInterrupt):
        raise
    except ImportError as e:
        scheme = uri.split("://", maxsplit=1)[0]
        package = {"s3": "s3fs", "gs": "gcsfs"}.get(scheme, e.name or scheme)
        raise Failure(
            PACKAGE, f"{what} {uri}: {e}", f"pip install {package} in the cluster's image, or name it in runtime_env"
        ) from e
    except Exception as e:
        raise Failure(STORAGE, f"{what} {uri}: {_first_line(e)}", _hint(e)) from e


def _first_line(e: Exception) -> str:
    return f"{type(e).__name__}: {e}".splitlines()[0][:500]


def _hint(e: Exception) -> str:
    text = f"{type(e).__name__} {e}".lower()
    for marks, hint in (
        (("nosuchbucket", "bucket does not exist"), "create the bucket, or correct its name"),
        (
            ("credential", "anonymous caller"),
            "give the workers credentials, by env_vars of the job or a role of the node",
        ),
        (("accessdenied", "forbidden", "permission", "403"), "the workers' credentials do not allow this"),
        (("no space left", "enospc", "quota"), "free some space"),
        (
            ("connect", "endpoint", "resolve", "timeout"),
            "is the storage reachable from the cluster's nodes? AWS_ENDPOINT_URL is honoured for s3",
        ),
    ):
        if any(mark in text for mark in marks):
            return hint
    return ""


def filesystem(uri: str) -> tuple[Any, str]:
    """Give fsspec's file system of a URI and the path in it."""
    import fsspec

    with _explained("open", uri):
        if uri.startswith("file://") or not is_uri(uri):
            return fsspec.filesystem("file"), os.path.abspath(uri.removeprefix("file://"))
        options: dict[str, Any] = {"use_listings_cache": False}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if uri.startswith("s3://") and endpoint:
            options |= {"endpoint_url": endpoint, "config_kwargs": {"s3": {"addressing_style": "path"}}}
        fs, path = fsspec.core.url_to_fs(uri, **options)
        return fs, path.rstrip("/")


def read_bytes(uri: str) -> bytes:
    fs, path = filesystem(uri)
    with _explained("read", uri):
        data: bytes = fs.cat_file(path)
        return data


def read_checked(uri: str, sha256: str) -> bytes:
    """Read a file whose SHA-256 is known."""
    data = read_bytes(uri)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Failure(
            STORAGE,
            f"read {uri}: its SHA-256 is {found}, not {sha256}",
            "the file was changed, or is half-written; send it again",
        )
    return data


class Folder:
    """A folder in storage."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.fs, self.root = filesystem(self.uri)
        self.local = getattr(self.fs, "protocol", "") in ("file", ("file", "local"))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Folder, (self.uri,))

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def at(self, name: str) -> Folder:
        return Folder(f"{self.uri}/{name}")

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it is not there."""
        with _explained("read", f"{self.uri}/{name}"):
            self.fs.invalidate_cache()
            try:
                data: bytes = self.fs.cat_file(self.path(name))
            except FileNotFoundError:
                return None
            return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        with _explained("write", f"{self.uri}/{name}"):
            path = self.path(name)
            if not self.local:
                self.fs.pipe_file(path, data)
                return
            os.makedirs(os.path.dirname(path), exist_ok=True)
            part = f"{path}.{uuid.uuid4().hex[:8]}.part"
            with open(part, "wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.replace(part, path)

    def names(self) -> list[str]:
        """Name what lies directly in the folder, sorted; nothing if it is not there."""
        with _explained("list", self.uri):
            self.fs.invalidate_cache()
            try:
                names = self.fs.ls(self.root, detail=False)
            except FileNotFoundError:
                return []
            return sorted({n.rstrip("/").rsplit("/", 1)[-1] for n in names} - {""})

    def remove(self) -> None:
        """Remove the folder and all in it, the manifest first: a half-removed one is not a whole one."""
        with _explained("remove", self.uri):
            self.fs.invalidate_cache()
            for path, recursive in ((self.path(MANIFEST), False), (self.root, True)):
                with contextlib.suppress(FileNotFoundError):
                    self.fs.rm(path, recursive=recursive)

    def put(self, local: str | Path) -> None:
        """Store all files of a local folder here in place of what was there, and the manifest last."""
        base = Path(local)
        files = sorted((p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file()), key=str.encode)
        self.remove()
        entries = []
        with _explained("write", self.uri):
            for name in files:
                source, target = str(base / name), self.path(name)
                if self.local:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    shutil.copyfile(source, target)
                    _sync(target)
                else:
                    self.fs.put_file(source, target)
                entries.append({"path": name, "size": os.path.getsize(source), "sha256": _sha256(source)})
        self.write(MANIFEST, (json.dumps({"files": entries}, indent=1) + "\n").encode())

    def manifest(self) -> list[dict[str, Any]] | None:
        """Read the manifest; None if there is none, so that the folder is half-written or nobody's."""
        data = self.read(MANIFEST)
        if data is None:
            return None
        try:
            files = json.loads(data)["files"]
            for f in files:
                bad = (
                    not f["path"]
                    or f["path"].startswith("/")
                    or "\\" in f["path"]
                    or {"", ".", ".."} & set(f["path"].split("/"))
                )
                if bad or type(f["size"]) is not int or f["size"] < 0 or len(f["sha256"]) != 64:
                    raise ValueError(f"bad entry {f}")
            if not files:
                raise ValueError("it lists no files")
        except (ValueError, KeyError, TypeError) as e:
            raise Failure(STORAGE, f"read {self.uri}/{MANIFEST}: {e}", "the folder is damaged; store it again") from e
        out: list[dict[str, Any]] = files
        return out

    def get(self, local: str | Path) -> None:
        """Fetch a whole folder and check every file. Nothing is left at `local` if that fails."""
        entries = self.manifest()
        if entries is None:
            raise Failure(STORAGE, f"read {self.uri}: it has no {MANIFEST}, so it is half-written", "store it again")
        part = Path(tempfile.mkdtemp(prefix=Path(local).name + ".", dir=Path(local).parent))
        try:
            for f in entries:
                target = part / f["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                with _explained("read", f"{self.uri}/{f['path']}"):
                    self.fs.get_file(self.path(f["path"]), str(target))
                if target.stat().st_size != f["size"] or _sha256(target) != f["sha256"]:
                    raise Failure(
                        STORAGE,
                        f"read {self.uri}/{f['path']}: it is not the file of the manifest",
                        "the folder is damaged; store it again",
                    )
            os.replace(part, local)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sha256(path: str | Path) -> str:
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(_CHUNK):
            h.update(chunk)
    return h.hexdigest()


def cache_dir() -> Path:
    path = Path(os.environ.get("BECAUSE_CACHE") or Path(tempfile.gettempdir()) / f"because-ray-{os.getuid()}")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def localise(uri: str) -> str:
    """Give a local path with the contents of a stored folder.

    Other services' folders are fetched once per node, under a lock.

    A folder of somebody else's has no manifest; it is taken as it lies.
    """
    folder = Folder(uri)
    if folder.local:
        if not os.path.isdir(folder.root):
            raise Failure(
                STORAGE,
                f"read {uri}: there is no such folder",
                "the path must be on a file system that all nodes share",
            )
        return folder.root
    manifest = folder.read(MANIFEST)
    listing: Any = manifest.decode() if manifest is not None else _listing(folder)
    key = hashlib.sha256(json.dumps([uri, listing]).encode()).hexdigest()[:32]
    target = cache_dir() / key
    with open(cache_dir() / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            if manifest is not None:
                folder.get(target)
            else:
                _get_plain(folder, target)
    return str(target)


def _listing(folder: Folder) -> list[list[Any]]:
    with _explained("list", folder.uri):
        found = folder.fs.find(folder.root, detail=True)
    if not found:
        raise Failure(STORAGE, f"read {folder.uri}: there is no such folder", "")
    return [
        [name, info.get("size"), str(info.get("ETag") or info.get("etag") or info.get("mtime"))]
        for name, info in sorted(found.items())
    ]


def _get_plain(folder: Folder, target: Path) -> None:
    part = Path(tempfile.mkdtemp(prefix=target.name + ".", dir=target.parent))
    try:
        with _explained("read", folder.uri):
            for name in folder.fs.find(folder.root):
                to = part / name.removeprefix(folder.root).lstrip("/")
                to.parent.mkdir(parents=True, exist_ok=True)
                folder.fs.get_file(name, str(to))
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
