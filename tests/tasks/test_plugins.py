"""Other packages' plugins for doit are found, and nothing is read for them where there are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.tasks.plugins import entry_points


def test_our_own_need_no_search() -> None:
    assert [(point.name, point.module, point.attr) for point in entry_points("doit.BACKEND")] == [
        ("batchfile", "pydoit_sc.tasks.state", "StateDB")
    ]
    assert list(entry_points("doit.REPORTER")) == []


@pytest.mark.parametrize("kind", ["dist-info", "egg-info"])
def test_those_of_another_package_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / f"theirs-1.0.{kind}"
    folder.mkdir()
    (folder / ("METADATA" if kind == "dist-info" else "PKG-INFO")).write_text("Name: theirs\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[doit.REPORTER]\ntheirs = their.module:Reporter\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [point.name for point in entry_points("doit.REPORTER")] == ["theirs"]
    assert [point.name for point in entry_points("doit.BACKEND")] == ["batchfile"]


def test_executing_runs_reads_no_metadata_of_packages(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nname = "b"\nremote_output_path = "file://out"\n[[runs]]\ncmd = "true"\n'
    )
    lines = [
        "import sys",
        "from pydoit_sc.cli import main",
        "sys.argv = ['pydoit-sc', 'run']",
        "code = main()",
        "print(code, 'importlib.metadata' in sys.modules)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("0 False", "")
    assert (tmp_path / "out" / "0" / "status_code").exists()
