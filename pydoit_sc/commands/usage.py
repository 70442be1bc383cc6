"""The usage of a command as text: its purpose, its words, its options, ours first, and examples."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

from doit.cmdparse import CmdOption

from pydoit_sc.catalogue import COMMANDS

_WIDEST, _NARROWEST = 80, 40  # columns of a text
_COLUMN = 24  # characters for the names of an option; more of them have a line of their own
_OURS = ("", "batchfile")  # sections
#: Sections of doit's options for its database; where tasks come from a batchfile, it has but one.
DATABASE = frozenset({"DB backend", "doit core"})
#: The section of options that say which runs a command is about.
WHICH_RUNS = "Which runs"
#: The section of options that are about tasks other than runs.
OF_TASKS = "Options for tasks that are not runs"


def usage(program: str, name: str, words: str, description: str | None, options: Iterable[CmdOption]) -> str:
    """Return the text, as wide as the terminal, but at most 80 columns."""
    columns = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_WIDEST, 0)).columns))
    entry = COMMANDS[name]
    lines = [*_wrap(f"{program} {name}: {entry.purpose}", columns), ""]
    lines += _command(f"{program} {name} {words}".rstrip(), columns)
    for paragraph in (description or "").split("\n\n"):
        lines += ["", *_wrap(paragraph, columns)] if paragraph else []
    parts: dict[str, list[CmdOption]] = {}
    for option in sorted(options, key=_rank):
        if option.short or option.long:  # others can be set in doit.cfg alone
            heading = "Options" if option.section in _OURS else option.section
            parts.setdefault(heading, []).append(option)
    for heading, part in parts.items():
        lines += ["", heading]
        for option in part:
            lines += _option(option, columns)
    lines += ["", "Examples"]
    for example in entry.examples:
        lines += _command(f"{program} {example}", columns)
    return "\n".join(lines)


def _rank(option: CmdOption) -> int:
    """Return the place of an option's section: the command's own first, those of the batch, then doit's."""
    sections = [*_OURS, WHICH_RUNS, OF_TASKS]
    return sections.index(option.section) if option.section in sections else len(sections)


def names_of(option: CmdOption) -> str:
    """Return how an option is written, with the word for its value."""
    value = "" if option.type is bool else f" {metavar(option)}"
    names = ", ".join(
        [
            *([f"-{option.short}"] if option.short else []),
            *([f"--{option.long}"] if option.long else []),
            *([f"--{option.inverse}"] if option.inverse else []),
        ]
    )
    return f"{names}{value}"


def meaning_of(option: CmdOption) -> str:
    """Return what an option does, and which values it takes."""
    text = option.help % {"default": option.default}
    if option.choices:
        text += f" (one of {', '.join(option.choices)})"
    if option.env_var:
        text += f" (also ${option.env_var})"
    return " ".join(text.split())


def _option(option: CmdOption, columns: int) -> Iterator[str]:
    """Yield the lines on an option."""
    name = f"  {names_of(option)}"
    indent = " " * (_COLUMN + 2) if columns == _WIDEST else " " * 6
    lines = _wrap(meaning_of(option), columns, indent)
    if len(name) < len(indent) - 1:
        lines[0] = name + lines[0][len(name) :]
    else:
        yield name
    yield from lines


def metavar(option: CmdOption) -> str:
    """Return the word for the value of an option."""
    if option.metavar != "ARG":
        return str(option.metavar)
    return str(option.long or option.name).rpartition("-")[2].upper()


def _command(line: str, columns: int) -> list[str]:
    """Return a command line, continued as a shell has it where it is too long."""
    lines = textwrap.wrap(
        line,
        columns - 2,
        initial_indent="  ",
        subsequent_indent="      ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*(f"{one} \\" for one in lines[:-1]), lines[-1]]


def _wrap(text: str, columns: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    ) or [""]
