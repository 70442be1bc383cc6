"""A batch of four days, of which one fails, executed once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Box

WEATHER = """\
[batch]
name = "weather"
remote_output_path = "file://out"
nprocs = 2
durable = false

[runs.day]
cmd = "cat data/{day.start}.csv && cp data/{day.start}.csv $SATURN_RUN_LOCAL_RESULTS_DIR/degrees.json"
name = "{day.start}"
matrix = { day = { from = 2022-03-05, to = 2022-03-08, every = "1 day" } }
"""


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the batch with its outcomes, which tests copy."""
    box = Box(tmp_path_factory.mktemp("weather"))
    box.batchfile(WEATHER)
    for day, degrees in {5: 12.8, 6: 11.1, 8: 9.4}.items():
        box.write(f"data/2022-03-0{day}.csv", f"{degrees}\n")
    assert box("--quiet").code == 1
    return box.folder


@pytest.fixture
def weather(executed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """The batch, in a folder of its own that is the current one."""
    folder = tmp_path / "weather"
    shutil.copytree(executed, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYDOIT_SC_FILE", raising=False)
    return Box(folder)
