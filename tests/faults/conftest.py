"""The fault suite's options, its mark, and the table of what it has tried."""

from __future__ import annotations

import subprocess
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from tests.faults import explore, strace
from tests.faults.power import Disk
from tests.faults.tally import Tally

_TALLY = pytest.StashKey[Tally]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the table."""
    parser.addoption(
        "--write-table", action="store_true", help="write what was tried into docs/reliability.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[_TALLY] = Tally()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, so that it is a stage of its own."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("faults")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what was tried from a process of pytest-xdist to the one that shows it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["faults"] = [astuple(row) for row in session.config.stash[_TALLY].rows.values()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Count what a process of pytest-xdist has tried."""
    for row in getattr(node, "workeroutput", {}).get("faults", ()):
        node.config.stash[_TALLY].add(*row)


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    """Return where each part of the suite reports what it has tried."""
    return pytestconfig.stash[_TALLY]


@pytest.fixture(scope="session")
def can_trace() -> None:
    """Skip what needs strace where there is none that may trace."""
    if not strace.installed():
        pytest.skip("there is no strace that may trace")


@pytest.fixture(scope="session")
def can_cut_power(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip what needs a disk of its own where none can be made."""
    try:
        with closing(Disk(tmp_path_factory.mktemp("power"))) as disk:
            disk.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"power cuts need root, loop devices and ext4: {error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was tried, and write it down if asked to."""
    counted = config.stash[_TALLY]
    if counted.rows:
        mode = (
            "nightly: every point"
            if explore.NIGHTLY
            else f"a part of the points: PYDOIT_SC_SEED={explore.SEED}"
        )
        terminalreporter.section(f"faults ({mode})")
        terminalreporter.write_line(counted.table())
        if config.getoption("--write-table", default=False):
            counted.write()
