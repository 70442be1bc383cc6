"""What the tests of the worker are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_build import compile_library
from tests.worker.workplace import Workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """Give a test a workplace of its own."""
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker's library in C, compiled."""
    if (built := compile_library(tmp_path_factory.mktemp("library"))) is None:
        pytest.skip("no C compiler for x86-64")
    return built
