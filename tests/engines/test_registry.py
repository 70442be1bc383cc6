"""The engines that are installed, ours and those of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoit_sc import installed
from pydoit_sc.batchfile import BatchfileError, load
from pydoit_sc.engines.base import EngineError
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.installed import engine_names

OTHER = """
from pydantic import Field
from pydoit_sc.batchfile.fields import Count
from pydoit_sc.batchfile.tables import Table

class OtherTable(Table):
    y: Count | None = Field(default=None, description="a number")

class Other:
    name = "other"
    table = OtherTable
"""


def test_our_own_engines() -> None:
    assert {"local", "slurm", "saturn", "dask", "kubernetes"} <= set(engine_names())
    for name in ("local", "slurm", "saturn"):
        assert load_engine(name).name == name
    with pytest.raises(EngineError, match=r"no engine is named `slrum`; did you mean `slurm`\?"):
        load_engine("slrum")


@pytest.fixture
def found_anew() -> Iterator[None]:
    """Let engines be looked for, in the test and after it."""
    installed._points.cache_clear()
    yield
    installed._points.cache_clear()


def install(folder: Path, package: str) -> None:
    """Write the metadata of a package that brings the engine `other`."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydoit_sc.engines]\nother = other_engine:Other\n")


@pytest.mark.usefixtures("found_anew")
def test_two_packages_bring_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "two"):
        install(tmp_path, package)
    monkeypatch.syspath_prepend(tmp_path)
    said = "cannot be used: one and two each bring one; keep one of them"
    with pytest.raises(EngineError, match=f"^engine `other` {said}$"):
        load_engine("other")
    (tmp_path / "b.toml").write_text('[batch]\nremote_output_path = "o"\n[[runs]]\ncmd = "a"\n[other]\n')
    with pytest.raises(BatchfileError, match=f"other: the engine {said}$"):
        load(tmp_path / "b.toml")


@pytest.mark.usefixtures("found_anew")
def test_an_engine_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It brings a table of its name; a broken one is one line."""
    install(tmp_path, "other")
    (tmp_path / "b.toml").write_text(
        '[batch]\nremote_output_path = "o"\n[[runs]]\ncmd = "a"\n[other]\nx = 1\n'
    )
    with pytest.raises(BatchfileError, match="other: unknown table"):
        load(tmp_path / "b.toml")
    monkeypatch.syspath_prepend(tmp_path)
    installed._points.cache_clear()
    with pytest.raises(
        BatchfileError,
        match=r"b\.toml:5:1: other: the engine cannot be used: other_engine:Other of other: ModuleNotFoundError",
    ):
        load(tmp_path / "b.toml")
    with pytest.raises(
        EngineError, match=r"`other` cannot be used: other_engine:Other of other: ModuleNotFoundError"
    ):
        load_engine("other")
    (tmp_path / "other_engine.py").write_text(OTHER)
    assert load_engine("other").name == "other"
    with pytest.raises(BatchfileError, match=r"b\.toml:6:1: other\.x: unknown key; known are `y`"):
        load(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text((tmp_path / "b.toml").read_text().replace("x = 1", "y = 1"))
    assert load(tmp_path / "b.toml").tables["other"].y == 1  # type: ignore[attr-defined]
