"""Control groups of both versions, as the kernel shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pydoit_sc.worker.cgroup import MemoryKills, memory_kills, processors


def groups(folder: Path, own: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """Write a tree of control groups; return its root, and the file that names a process's own."""
    for name, text in files.items():
        (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / name).write_text(text)
    (folder / "own").write_text(own)
    return folder / "root", folder / "own"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("", {}, None),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n", "a/cpu.max": "400000 100000\n"}, 3.0),
        ("0::/not/seen/here\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a\n", {"unified/a/cpu.max": "200000 100000\n"}, 2.0),
        (
            "5:cpu,cpuacct:/x\n0::/\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        (
            "5:cpu,cpuacct:/x:y\n",
            {"cpu/x:y/cpu.cfs_quota_us": "400000\n", "cpu/x:y/cpu.cfs_period_us": "100000\n"},
            4.0,
        ),
        ("4:cpuset:/\n", {"cpuset/cpu.max": "100000 100000"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {"cpu.max": "1 0"}, None),
    ],
)
def test_processors(tmp_path: Path, own: str, files: Mapping[str, str], expected: float | None) -> None:
    assert processors(*groups(tmp_path, own, files)) == expected


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, 0),
        ("0::/a\n", {"a/memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n"}, 3),
        (
            "7:memory:/a\n",
            {"memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"},
            5,
        ),
    ],
)
def test_processes_that_died_for_memory(
    tmp_path: Path, own: str, files: Mapping[str, str], expected: int
) -> None:
    assert memory_kills(*groups(tmp_path, own, files)) == expected


def test_the_groups_of_this_process_are_read() -> None:
    assert (processors() or 1) > 0
    assert memory_kills() >= 0


def test_who_died_for_memory_is_known_by_the_count() -> None:
    counts = iter([4, 4, 6, 6, 6])
    kills = MemoryKills(lambda: next(counts))
    assert [kills.has_killed(now) for now in (1.0, 2.0, 2.1, 9.0)] == [False, True, True, False]
