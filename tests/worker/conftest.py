"""What the tests of the worker are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workplace import Workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """Give a test a workplace of its own."""
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()
