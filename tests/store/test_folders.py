"""A worker's folder is removed once its worker is dead, and nothing of anybody else's is."""

from __future__ import annotations

import os
from pathlib import Path

from pydoit_sc.store.folders import is_alive, locked_folder, remove_dead, scratch_folder


def test_a_folder_is_locked_as_long_as_it_is_there(tmp_path: Path) -> None:
    with locked_folder(str(tmp_path), "w") as own:
        assert is_alive(own)
        remove_dead(str(tmp_path))
        assert os.listdir(own) == ["lock"]
    assert not is_alive(own)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_was_being_removed_is_removed(tmp_path: Path) -> None:
    """Its lock goes last, so what is left is locked by nobody, or empty."""
    for name in ("pydoit-sc-worker-1", "pydoit-sc-worker-2", "pydoit-sc-worker-of somebody else", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "pydoit-sc-worker-1" / "lock").touch()
    (tmp_path / "pydoit-sc-worker-1" / "half").mkdir()
    (tmp_path / "pydoit-sc-worker-of somebody else" / "file").touch()
    with scratch_folder(str(tmp_path), "3") as own:
        Path(own, "attempt").mkdir()
        Path(own, "file").touch()
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"pydoit-sc-worker-3", "pydoit-sc-worker-of somebody else", "other"}
    assert not os.path.exists(own)
