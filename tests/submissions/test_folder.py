"""The local folder of a split: which files in it are chunks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pydoit_sc.submissions.folder import FolderError, check_folder, present, write_chunks, write_files

CHUNK = {
    "runs": [{"remote_output_path": "/out/a", "cmd": "a"}],
    "remote_output_path": "/out",
    "nprocs": 1,
    "pydoit_sc": {"submission": "s"},
}


@pytest.mark.parametrize(
    "change",
    [{"runs": 1}, {"runs": [1]}, {"runs": [{}]}, {"runs": [{"remote_output_path": []}]}, {"runs": None}],
    ids=str,
)
def test_a_file_that_is_no_chunk_is_neither_read_nor_overwritten(
    tmp_path: Path, change: dict[str, object]
) -> None:
    (tmp_path / "0.json").write_text(json.dumps(CHUNK))
    assert present(str(tmp_path)) == ("s", [json.dumps(CHUNK)])
    check_folder(str(tmp_path), 1)
    (tmp_path / "0.json").write_text(json.dumps({**CHUNK, **change}))
    assert present(str(tmp_path)) is None
    with pytest.raises(FolderError, match=r"0\.json: not a chunk"):
        check_folder(str(tmp_path), 1)


def test_others_cannot_change_chunks_nor_read_what_may_hold_a_password(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_chunks(str(tmp_path), [json.dumps(CHUNK)])
        write_files(str(tmp_path), {"dask.json": '{"options": {"password": "x"}}'})
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"0.json": 0o644, "dask.json": 0o600}
