"""requirements.lock has all that an install without extras needs, at the versions of constraints.txt, each with hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())
ENTRY = re.compile(r"(\S+)==(\S+)(?: ; .+?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def locked() -> dict[str, str]:
    text = "".join(
        line for line in (ROOT / "requirements.lock").read_text().splitlines(True) if line[0] != "#"
    )
    assert ENTRY.sub("", text) == "", "what is neither a version nor a hash"
    return {name: version for name, version, _ in ENTRY.findall(text)}


def needed(names: list[str]) -> Iterator[str]:
    """Yield what these requirements bring with them, on this machine."""
    waiting, seen = [Requirement(name) for name in names], set[str]()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in seen or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        yield name
        with suppress(PackageNotFoundError):
            waiting += map(Requirement, requires(name) or ())


def test_all_that_is_needed_is_locked() -> None:
    names = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    assert set(needed(names)) <= locked().keys()
    for requirement in map(Requirement, names):
        assert locked()[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_versions_are_those_that_the_tests_pass_with() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    entries = [re.split(r"==| ;", line) for line in lines if line[0] != "#"]
    known: dict[str, str] = {canonicalize_name(entry[0]): entry[1] for entry in entries}
    assert {name: known.get(name, version) for name, version in locked().items()} == locked()
