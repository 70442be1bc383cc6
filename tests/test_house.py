"""The house of docs/design.md: dependencies run downwards, modules stay short, one noun has one meaning."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.elsewhere import ELSEWHERE

PACKAGE = Path(__file__).parents[1] / "pydoit_sc"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: The rooms, from the top of the house to its ground. A module imports from its own room and from those below.
ROOMS = [
    {"__main__", "cli"},
    {"commands"},
    {"api"},
    {"tasks"},
    {"reproduction"},
    {"submissions"},
    {"chosenresults", "failing"},
    {"selection"},
    {"project"},
    {"engines"},
    {"saturn"},
    {"sync"},
    {"worker"},
    {"chunks"},
    {"report"},
    {"show"},
    {"hooks"},
    {"outcomes"},
    {"standing", "forecast"},
    {"changes"},
    {"order"},
    {"survey", "positions"},
    {"plan"},
    {"ledger"},
    {"verdicts", "origins"},
    {"conditions", "store"},
    {"batchfile"},
    {"ignored", "parts"},
    {"batch", "fingerprint", "globbing", "made"},
    {
        "catalogue",
        "ends",
        "errors",
        "files",
        "forks",
        "git",
        "installed",
        "later",
        "keptdigests",
        "linux",
        "models",
        "native",
        "numbers",
        "passwords",
        "plurals",
        "private",
        "proc",
        "programs",
        "retries",
        "shells",
        "sidebyside",
        "sizes",
        "templates",
        "threads",
        "times",
        "urls",
        "utf8",
        "",
    },
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


NAMES = {name_of(path) for path in MODULES}


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports, also inside of functions, but for types alone."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.ImportFrom) and node.module in NAMES:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in NAMES else node.module


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    return {name_of(path): set(imports_of(path)) for path in MODULES}


def test_every_room_is_in_the_plan() -> None:
    assert {room_of(module) for module in NAMES} == set(LEVEL)


def test_imports_run_downwards(imports: dict[str, set[str]]) -> None:
    upward = [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if LEVEL[room_of(other)] < LEVEL[room_of(module)]
    ]
    assert not upward


def test_imports_have_no_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_nothing_below_tasks_knows_doit() -> None:
    below = [path for path in MODULES if LEVEL[room_of(name_of(path))] > LEVEL["tasks"]]
    doit = re.compile(r"^\s*(import doit\b|from doit\b)", re.MULTILINE)
    assert [name_of(path) for path in below if doit.search(path.read_text())] == []


def test_modules_open_with_their_job_and_stay_short() -> None:
    texts = {name_of(path): path.read_text() for path in MODULES}
    assert [name for name, text in texts.items() if text.count("\n") > 400] == []
    assert [name for name, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []


def test_one_noun_has_one_meaning() -> None:
    """No two public classes or constants of one name."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name_of(path))
    assert not {name: where for name, where in places.items() if len(where) > 1 and not name.startswith("_")}


def test_every_module_is_tested_in_a_file_of_its_name_or_in_one_that_is_named() -> None:
    """A module without a function has nothing to test."""
    tests = PACKAGE.parent / "tests"
    listed = [(module, file) for file, modules in ELSEWHERE.items() for module in modules.split()]
    elsewhere = dict(listed)
    assert len(elsewhere) == len(listed)
    assert [file for file in ELSEWHERE if not (tests / file).exists()] == []
    with_functions = {
        name_of(path).partition(".")[2]: path.relative_to(PACKAGE)
        for path in MODULES
        if path.stem != "__init__" and re.search(r"^ *(async )?def ", path.read_text(), re.MULTILINE)
    }
    own = {
        module
        for module, path in with_functions.items()
        if (tests / path).with_name(f"test_{path.stem.strip('_')}.py").exists()
    }
    assert with_functions.keys() - own == elsewhere.keys(), "tests/elsewhere.py"


def test_no_model_is_built_by_an_import() -> None:
    """Building is a fifth of the time of a short command: each model is built when it is first used."""
    lines = [
        *(f"import {name_of(path)}" for path in MODULES if path.stem != "__main__"),
        "from pydantic import BaseModel",
        "def below(cls): return [cls, *(model for sub in cls.__subclasses__() for model in below(sub))]",
        "ours = [m for m in below(BaseModel) if m.__module__.startswith('pydoit_sc.')]",
        "assert len(ours) > 20, ours",
        "print([m.__qualname__ for m in ours if m.__pydantic_complete__])",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
