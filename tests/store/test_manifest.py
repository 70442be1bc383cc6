"""Whether the files of a finished run are those that its run.json lists."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.store.base import Contents
from pydoit_sc.store.copying import sizes
from pydoit_sc.store.manifest import describe, fault, with_files

MD5 = md5(b"data").hexdigest()
FILES: dict[str, Any] = {"stdout": {"size": 4, "md5": MD5}, "results/a": {"size": 0}}
SAID = {"attempt": "a-1", "fingerprint": "f", "status_code": 7, "files": FILES}
THERE = {"stdout": (4, MD5), "results/a": (0, ""), "run.json": (9, ""), "status_code": (1, "")}


def contents(said: object, files: dict[str, tuple[int, str]] | None = None, code: bytes = b"7") -> Contents:
    """Return a finished run."""
    return Contents(THERE if files is None else files, code, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (THERE, ""),
        ({**THERE, "stdout": (4, "")}, ""),  # a listing that tells no MD5
        ({**THERE, "stdout": (4, "0" * 32)}, "stdout: its content is not that of the attempt"),
        ({**THERE, "stdout": (5, MD5)}, "stdout: expected 4 bytes, found 5"),
        ({"stdout": (4, MD5)}, "results/a: missing"),
        ({**THERE, "results/b": (1, "")}, "results/b: not of the attempt"),
        (
            {**THERE, "stdout": (1, ""), "x": (1, "")},
            "stdout: expected 4 bytes, found 1; x: not of the attempt",
        ),
    ],
)
def test_files_that_differ_are_named(files: dict[str, tuple[int, str]], expected: str) -> None:
    assert fault(contents(SAID, files)) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (contents(SAID, code=b"x"), "status_code: expected 0 … 255, found b'x'"),
        (contents(SAID, code=b"8"), "status_code: expected 7, as run.json says, found 8"),
        (contents([]), "run.json: torn, or not one of ours"),
        (contents({**SAID, "files": [1]}), "run.json: torn, or not one of ours"),
        (contents({**SAID, "files": {"stdout": {"size": "4"}}}), "run.json: torn, or not one of ours"),
        (contents({**SAID, "status_code": None}), "run.json: torn, or not one of ours"),
        (contents({key: value for key, value in SAID.items() if key != "files"}), None),
        (Contents(THERE, b"7", None), None),  # as `sc` leaves it
        (Contents({"status_code": (1, ""), "stderr": (0, "")}, b"0", None), "run.json and stdout: missing"),
    ],
)
def test_what_run_json_says_is_checked_first(found: Contents, expected: str | None) -> None:
    assert fault(found) == expected


def test_a_file_is_read_only_where_its_listing_does_not_tell_the_content() -> None:
    read: list[str] = []

    def content_md5(name: str) -> str:
        read.append(name)
        return "0" * 32

    assert fault(contents(SAID), content_md5) == ""
    assert read == []
    unknown = {**THERE, "stdout": (4, "")}
    assert fault(contents(SAID, unknown), content_md5) == "stdout: its content is not that of the attempt"
    assert read == ["stdout"]


def test_a_manifest_lists_size_and_content(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "stdout").write_bytes(b"data")
    (tmp_path / "results/a").touch()
    files = {name: describe(str(tmp_path / name)) for name in sizes(str(tmp_path))}
    listed = json.loads(with_files(b'{"attempt": "a-1", "files": {"old": {"size": 1}}}', files))
    assert listed["attempt"] == "a-1"
    assert listed["files"] == {
        "stdout": {"size": 4, "md5": MD5},
        "results/a": {"size": 0, "md5": md5(b"").hexdigest()},
    }
