from __future__ import annotations

from pathlib import Path

from because_ray import doctor, driver
from because_ray.doctor import Finding


def test_looks_at_packages_and_storage(tmp_path: Path) -> None:
    found = {f.name: f for f in doctor.look((tmp_path / "s").as_uri(), 0)}
    assert set(doctor.NEEDED) | {"python", "vllm", "storage"} == set(found)
    assert found["torch"].ok and found["storage"].ok and "written, read and deleted" in found["storage"].detail
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "s"])
    blocked = tmp_path / "file"
    blocked.write_text("")
    bad = {f.name: f for f in doctor.look(blocked.as_uri(), 0)}["storage"]
    assert not bad.ok and bad.detail


def test_knows_what_is_missing_or_old() -> None:
    absent = doctor._package("no-such-package", (1, 2), (2,))
    assert not absent.ok and "pip install 'no-such-package>=1.2'" in absent.hint
    old = doctor._package("pytest", (999,), (1000,))
    assert not old.ok and "pytest>=999" in old.hint and doctor._package("pytest", (1,), (1000,)).ok


def test_merges_nodes() -> None:
    a, b = Finding("torch", True, "2.5"), Finding("trl", True, "1.0")
    missing = Finding("trl", False, "not installed", "pip")
    assert doctor.merge({"n1": [a, b], "n2": [a, missing]}) == [
        Finding("torch", True, "2.5 on 2 nodes"), Finding("trl on n1", True, "1.0"), Finding("trl on n2", False, "not installed", "pip")
    ]  # fmt: skip


def test_fits_by_node() -> None:
    nodes: list[dict[str, float]] = [{"CPU": 4, "GPU": 1}, {"CPU": 8}, {}]
    assert driver.fits({"CPU": 3}, nodes) == 3
    assert driver.fits({"CPU": 1, "GPU": 0.5}, nodes) == 2
    assert driver.fits({"CPU": 0.1}, [{"CPU": 0.3}]) == 3
    assert driver.fits({"GPU": 2}, nodes) == 0
