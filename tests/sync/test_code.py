"""Code that machines fetch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.sync.code import fetch_lines, staging_of, start_folder
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name
from pydoit_sc.sync.fetch import fetch_all
from pydoit_sc.sync.upload import FileSync, stage


def test_code_is_fetched_once(tmp_path: Path) -> None:
    project = tmp_path / "my project"
    (project / "sub").mkdir(parents=True)
    (project / "sub" / "work.sh").write_text("echo worked\n")
    (project / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "a"\n'
        '[sync]\ndirs = [".:the code", "sub:lib"]\nexclude = ["*.big"]\n'
    )
    (project / "x.big").write_text("")
    staging = staging_of(load(project / "batchfile.toml"))
    start = start_folder(staging.syncs, str(project))
    lines = fetch_lines(staging.stage_all(lambda _: None), "ID", start, {})
    env = {**os.environ, "TMPDIR": str(tmp_path), "pydoit_sc_python": sys.executable}
    for _ in range(2):
        shown = subprocess.run(
            ["sh", "-c", f"{lines}pwd; ls; sh ../lib/work.sh"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        folder, *names = shown.stdout.splitlines()
        assert names == ["batchfile.toml", "sub", "worked"]
        assert folder == f"{tmp_path}/pydoit-sc-{os.getuid()}/ID/the code"
        (Path(folder).parent / "mark").touch()
    assert os.stat(tmp_path / f"pydoit-sc-{os.getuid()}").st_mode & 0o777 == 0o700
    assert (Path(folder).parent / "mark").exists()


def test_outputs_are_not_sent_by_whatever_link(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "out [1]").mkdir()
    (tmp_path / "link").symlink_to("out [1]")
    (tmp_path / "far").symlink_to(tmp_path_factory.mktemp("far"))  # a link out of the folder would be refused
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "link"\n[[runs]]\ncmd = "a"\n[sync]\ndirs = ["."]\nto = "far"\n'
    )
    staging = staging_of(load(tmp_path / "batchfile.toml"))
    before = staging.stage_all(lambda _: None)
    (tmp_path / "out [1]" / "new").touch()
    assert staging.stage_all(lambda _: None) == [replace(before[0], uploaded=False)]


def test_workers_that_fetch_at_once(tmp_path: Path) -> None:
    """The first to be ready wins; the others take what it has put there."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x").write_text("x" * 100_000)
    url = stage(FileSync(str(tmp_path / "code"), "/c"), f"file://{tmp_path}/staged").url
    words = [sys.executable, "-m", "pydoit_sc.sync", "fetch", str(tmp_path / "f" / "ID"), "{}", url, "c"]
    workers = [subprocess.Popen(words) for _ in range(6)]
    assert [worker.wait(60) for worker in workers] == [0] * 6
    assert os.listdir(tmp_path / "f") == ["ID"]
    with pytest.raises(SyncError, match="no such file"):
        fetch_all(str(tmp_path / "g" / "ID"), [(f"file://{tmp_path}/{archive_name('0' * 64)}", ".")], {})
    assert os.listdir(tmp_path / "g") == []


@pytest.mark.parametrize(
    ("syncs", "start"),
    [
        ([("/p", "/")], "."),
        ([("/p", "/code")], "code"),
        ([("/x", "/x"), ("/", "/all")], "all/p"),
    ],
)
def test_where_runs_start(syncs: list[tuple[str, str]], start: str) -> None:
    assert start_folder([FileSync(*sync) for sync in syncs], "/p") == start
    with pytest.raises(SyncError, match=r"none of sync\.dirs holds the batchfile's folder"):
        start_folder([FileSync("/pp", "/")], "/p")


@pytest.mark.parametrize("text", ["x:/abs", "/abs", "..", "x:../y"])
def test_where_folders_may_go(tmp_path: Path, text: str) -> None:
    (tmp_path / "batchfile.toml").write_text(
        f'[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "a"\n[sync]\ndirs = ["{text}"]\n'
    )
    with pytest.raises(SyncError, match="expected a DEST inside of the folder"):
        staging_of(load(tmp_path / "batchfile.toml"))
