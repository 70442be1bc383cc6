"""The examples in docstrings say what the code does."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_house import MODULES, name_of


def test_the_examples_of_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    # Those of the Python API need a batch: tests/api.
    names = [name_of(path) for path in MODULES if path.name != "__main__.py" and "api" not in path.parts]
    found = [doctest.testmod(import_module(name)) for name in names]
    assert sum(one.failed for one in found) == 0, capsys.readouterr().out
    assert sum(one.attempted for one in found) > 50
