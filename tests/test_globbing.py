"""Which files a pattern means: as a shell's, but without loops of links, folders, and the batch's own outputs."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from pydoit_sc.globbing import escape, files_below, find, outputs_of


def make(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize(
    "pattern",
    ["*", "*.csv", "**", "**/*", "**/*.csv", "d/**", "d/**/*.csv", "*/*.csv", "d/*/c.csv", "**/e/*", "./*.csv", "d//a.csv",
     "[ab].csv", "?.csv", ".*", "**/.*", ".h/*", "d/../*.csv", "no/*", "*/", "**/", "d", "a.csv", "a**.csv", "[[]x].csv", "**/**/c.csv"],
)  # fmt: skip
def test_patterns_mean_what_they_mean_to_python(tmp_path: Path, pattern: str) -> None:
    make(
        tmp_path,
        "a.csv",
        "b.csv",
        "[x].csv",
        ".h/x.csv",
        ".h.csv",
        "d/a.csv",
        "d/.i.csv",
        "d/e/c.csv",
        "d/e/f/c.csv",
        "ab.csv",
    )
    (tmp_path / "empty").mkdir()
    found = glob.glob(pattern, root_dir=tmp_path, recursive=True)
    files = {os.path.normpath(path) for path in found if (tmp_path / path).is_file()}
    assert {os.path.normpath(path) for path in find(pattern, str(tmp_path))} == files
    absolute = find(f"{tmp_path}/{pattern}", "/nowhere")
    assert {os.path.relpath(path, tmp_path) for path in absolute} == files


def test_folders_and_broken_links_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "folder.csv/b")
    (tmp_path / "broken.csv").symlink_to("nowhere")
    (tmp_path / "itself.csv").symlink_to("itself.csv")
    (tmp_path / "link.csv").symlink_to("a.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert find("*.csv", str(tmp_path)) == ["a.csv", "link.csv"]


@pytest.mark.parametrize("pattern", ["**/*.csv", "*/*.csv", "**"])
def test_links_to_folders_multiply_nothing_and_end(tmp_path: Path, pattern: str) -> None:
    make(tmp_path, "p/d/a.csv", "p/e/b.csv", "elsewhere/c.csv")
    for link, target in [
        ("here", "."),
        ("too", "."),
        ("d/up", ".."),
        ("c", "d"),
        ("out", "../elsewhere"),
        *((f"{n}", "d") for n in range(20)),
    ]:
        (tmp_path / "p" / link).symlink_to(target)
    assert find(pattern, f"{tmp_path}/p") == ["d/a.csv", "e/b.csv", "out/c.csv"]
    assert files_below(".", f"{tmp_path}/p") == ["./d/a.csv", "./e/b.csv", "./out/c.csv"]


def test_outputs_of_the_batch_are_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        "in/a.csv",
        "out/s/1/results/b.csv",
        ".pydoit_sc.json",
        ".pydoit_sc/x.csv",
        "in/.pydoit_sc/x.csv",
    )
    (tmp_path / "in/link").symlink_to("../out/s")
    outputs = outputs_of(f"file://{tmp_path}/out", str(tmp_path), [])
    assert find("**/*.csv", str(tmp_path), outputs) == ["in/a.csv"]
    assert find("out/**/*.csv", str(tmp_path), outputs) == []
    assert find(".*", str(tmp_path), outputs) == find("in/.*/*", str(tmp_path), outputs) == []
    assert files_below(".", str(tmp_path), outputs) == ["./in/a.csv"]


def test_outputs_beside_the_batchfile_and_around_it(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "s/1/b.csv", "p/c.csv")
    assert find("**/*.csv", str(tmp_path), outputs_of(f"file://{tmp_path}", str(tmp_path), ["s"])) == [
        "a.csv",
        "p/c.csv",
    ]
    assert outputs_of(f"file://{tmp_path}", f"{tmp_path}/p", ["s", "s"]) == (f"{tmp_path}/s",)
    assert outputs_of("s3://bucket/x", "/p", ["s"]) == ()
    (tmp_path / "link").symlink_to(".")
    assert outputs_of(f"file://{tmp_path}/link", f"{tmp_path}/p", ["s"]) == (f"{tmp_path}/link/s",)


def test_an_escaped_name_is_that_file_alone(tmp_path: Path) -> None:
    make(tmp_path, "a[1].csv", "a1.csv", "*b?/x.csv", "cb2/x.csv")
    assert find(escape("a[1].csv"), str(tmp_path)) == ["a[1].csv"]
    assert find(f"{escape('*b?')}/*", str(tmp_path)) == ["*b?/x.csv"]
