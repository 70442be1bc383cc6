"""The program that machines fetch by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.sync.__main__ import main
from pydoit_sc.sync.upload import FileSync, stage


def test_download_and_fetch_as_a_program(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "pydoit_sc.sync"]
    (tmp_path / "a[b]").write_text("x")
    subprocess.run([*program, "download", f"local://{tmp_path}/a[b]", "-c"], cwd=tmp_path, check=True)
    assert (tmp_path / "-c").read_text() == "x"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "file").write_text("y")
    url = stage(FileSync(str(tmp_path / "code"), "/c"), f"file://{tmp_path}/staged").url
    subprocess.run([*program, "fetch", tmp_path / "f" / "ID", "{}", url, "c"], check=True)
    assert (tmp_path / "f" / "ID" / "c" / "file").read_text() == "y"


def test_errors_and_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "local:///none", str(tmp_path / "x")]) == 1
    assert capsys.readouterr().err == "local:///none: no such file\n"
    assert main(["fetch", str(tmp_path / "f" / "ID"), "{}", "local:///none/data.tar.gz", "."]) == 1
    said = "local:///none/data.tar.gz: expected the name of an archive, data-SHA256.tar.gz\n"
    assert capsys.readouterr().err == said
    for words in ([], ["download", "x"], ["fetch", "x"], ["fetch", "x", "{}", "url"], ["extract", "a", "b"]):
        assert main(words) == 3
        assert capsys.readouterr().err.startswith("usage: python3 -m pydoit_sc.sync download URL FILE\n")
    assert os.listdir(tmp_path) == ["f"]
