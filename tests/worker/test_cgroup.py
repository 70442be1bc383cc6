"""Control groups of both versions, as the kernel shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from pydoit_sc.worker.cgroup import Memory, MemoryKills, memory, memory_kills, processors


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


STAT = "anon 5\nfile 90\nactive_file 7\ninactive_file 20\nslab_reclaimable 3\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("", {}, (102_400, 51_200)),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "9\n"}, (102_400, 51_200)),
        (
            "0::/a\n",
            {"a/memory.max": "1000\n", "a/memory.current": "600\n", "a/memory.stat": STAT},
            (1000, 430),
        ),
        ("0::/a\n", {"a/memory.max": "99999\n", "a/memory.current": "99999\n"}, (99_999, 0)),
        (
            "0::/a/b\n",
            {
                "a/b/memory.max": "900\n",
                "a/b/memory.current": "100\n",
                "a/memory.max": "1000\n",
                "a/memory.current": "950\n",
            },
            (900, 50),
        ),
        (
            "7:memory:/a\n",
            {
                "memory/a/memory.limit_in_bytes": "1000\n",
                "memory/a/memory.usage_in_bytes": "700\n",
                "memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 40\n",
            },
            (1000, 340),
        ),
        (
            "7:memory:/\n",
            {"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "7\n"},
            (102_400, 51_200),
        ),
    ],
)
def test_memory(tmp_path: Path, own: str, files: Mapping[str, str], expected: tuple[int, int]) -> None:
    machine = tmp_path / "meminfo"
    machine.write_text(
        "MemTotal:         100 kB\nMemFree: 2 kB\nMemAvailable:    50 kB\nHugePages_Total:   0\n"
    )
    assert memory(*groups(tmp_path, own, files), machine) == Memory(*expected)


def test_memory_of_which_nothing_is_known(tmp_path: Path) -> None:
    assert memory(*groups(tmp_path, "", {}), tmp_path / "none") == Memory(math.inf, math.inf)


def test_the_groups_of_this_process_are_read() -> None:
    assert (processors() or 1) > 0
    assert memory_kills() >= 0
    assert 0 < memory().available <= memory().total < math.inf


def test_who_died_for_memory_is_known_by_the_count() -> None:
    counts = iter([4, 4, 6, 6, 6])
    kills = MemoryKills(lambda: next(counts))
    assert [kills.has_killed(now) for now in (1.0, 2.0, 2.1, 9.0)] == [False, True, True, False]
