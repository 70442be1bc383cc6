"""Write the reference of the Python API into its page, from the docstrings: `python -m tests.api.reference`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pydoit_sc as sc
from pydoit_sc import api

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
_PART = re.compile(r"(<!-- reference -->\n).*(<!-- end -->)", re.DOTALL)


def reference() -> str:
    """Return the reference: `load` first, then each class with its members."""
    return "\n".join(line for name in sorted(sc.__all__, key=_rank) for line in _of(name, getattr(api, name)))


def _rank(name: str) -> tuple[bool, str]:
    return name != "load", name


def _of(name: str, one: object) -> Iterator[str]:
    yield f"### `{name if isinstance(one, type) else _call(name, one)}`"
    yield ""
    yield from _text(one)
    if isinstance(one, type):
        members = list(_members(one))
        yield from ("| | |", "| --- | --- |") if members else ()
        yield from (f"| `{call}` | {meaning} |" for call, meaning in members)
        yield from ("",) if members else ()
        for method in _own(one).values():
            if inspect.isfunction(method) and ">>>" in (method.__doc__ or ""):
                yield from (f"#### `{name}.{method.__name__}`", "", *_text(method))


def _text(one: object) -> Iterator[str]:
    """Yield a docstring, its examples as such."""
    words, mark, examples = (inspect.getdoc(one) or "").partition(">>>")
    yield from (words.strip(), "")
    if mark:
        yield from ("```pycon", f"{mark}{examples}".rstrip(), "```", "")


def _members(one: type) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(one):
        comments = _comments(one)
        for field in dataclasses.fields(one):
            yield f"{field.name}: {field.type}".replace("|", "\\|"), comments.get(field.name, "")
    if issubclass(one, enum.Enum):
        comments = _comments(one)
        yield from ((member.name, comments.get(member.name, "")) for member in one)
    for name, member in _own(one).items():
        getter = member.fget if isinstance(member, property) else member
        if getter is None or not (isinstance(member, property) or inspect.isfunction(member)):
            continue
        first = (inspect.getdoc(getter) or "").partition("\n\n")[0].replace("\n", " ")
        if first:
            yield (name if isinstance(member, property) else _call(name, member)).replace("|", "\\|"), first


def _own(one: type) -> dict[str, object]:
    """Return what a class has itself that is for everybody, the operators that are documented among it."""
    return {
        name: member
        for name, member in vars(one).items()
        if not name.startswith("_") or name in ("__getitem__", "__iter__")
    }


def _comments(one: type) -> dict[str, str]:
    """Return what the comments behind the fields of a class say."""
    lines = re.findall(r"^    (\w+)\b[^#\n]*#\s*(.*)$", inspect.getsource(one), re.MULTILINE)
    return dict(lines)


def _call(name: str, function: object) -> str:
    assert callable(function)
    words = [word for word in inspect.signature(function).parameters.values() if word.name != "self"]
    return f"{name}{inspect.Signature([word.replace(annotation=word.empty) for word in words])}"


def written(text: str) -> str:
    """Return the page with its reference as the docstrings have it."""
    return _PART.sub(lambda part: f"{part[1]}{reference()}{part[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
