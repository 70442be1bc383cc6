"""The MD5s of an output's files."""

from __future__ import annotations

import json
import os
from hashlib import md5
from pathlib import Path

import pytest

from pydoit_sc.store import digests as module
from pydoit_sc.store.copying import sizes
from pydoit_sc.store.digests import add_digests, digests

MD5 = md5(b"data").hexdigest()


def test_digests_are_of_files_alone_and_of_the_smallest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DIGESTED", 6)
    for name, text in {"empty": "", "little": "data", "grown": "xy", "large": "more"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("little")
    listed = {**sizes(str(tmp_path)), "link": 1, "grown": 1}  # as it was when it was listed
    del listed["large"]
    found = dict(digests(str(tmp_path), {"large": 7, **listed}))
    assert found == {"empty": md5(b"").hexdigest(), "little": MD5}
    os.chmod(tmp_path / "little", 0)
    assert dict(digests(str(tmp_path), {"little": 4})) == ({"little": MD5} if os.geteuid() == 0 else {})


def test_digests_are_added_to_a_run_json(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("data")
    (tmp_path / "run.json").write_text(json.dumps({"attempt": "a-1", "files": {"stdout": {"size": 4}}}))
    add_digests(str(tmp_path))
    said = json.loads((tmp_path / "run.json").read_text())
    assert said == {"attempt": "a-1", "files": {"stdout": {"size": 4, "md5": MD5}}}
    assert sorted(os.listdir(tmp_path)) == ["run.json", "stdout"]
