"""The examples of the Python API say what it does; each is executed in a batch of its own."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.api.reference import PAGE, written
from tests.conftest import Box
from tests.test_house import MODULES, name_of

NAMES = [name for name in map(name_of, MODULES) if name.startswith("pydoit_sc.api")]


def test_the_examples_of_the_page(weather: Box, capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text().partition("## Reference")[0]
    found = doctest.DocTestParser().get_doctest(text, {}, "api.md", str(PAGE), 0)
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0, capsys.readouterr().out


def test_the_reference_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), "python -m tests.api.reference"


@pytest.mark.parametrize("name", NAMES)
def test_the_examples(weather: Box, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = doctest.testmod(import_module(name))
    assert found.failed == 0, capsys.readouterr().out
