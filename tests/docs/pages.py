"""What a page of the documents has its reader do: files that it shows, commands, and what these print.

```toml title="batchfile.toml"      a file of this name, in any language
```console                          after `$ ` a command; then what it prints, in which `...` means anything
<!-- $ command -->                  a command that readers need not see: it makes what the page takes for granted
<!-- exit 1 -->                     the commands of the next block, or comment, end so
<!-- needs slurm: a cluster -->      the next block takes more than a quick test has
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_PART = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1 *$|^<!-- (.*?) -->$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r' title="(.+?)"')


@dataclass(frozen=True)
class File:
    """A file that the page shows."""

    name: str
    text: str
    needs: str = ""


@dataclass(frozen=True)
class Command:
    """A command line, and what it prints where the page shows that."""

    line: str
    printed: str = ""
    code: int = 0
    needs: str = ""


def steps_of(text: str) -> Iterator[File | Command]:
    """Yield the steps of a page, in its order."""
    needs, code = "", 0
    for _, info, block, comment in _PART.findall(text):
        if comment.startswith("$ "):
            yield from (Command(line, code=code, needs=needs) for line, _ in _commands(comment + "\n"))
            code = 0
        elif comment.startswith("exit "):
            code = int(comment.removeprefix("exit "))
        elif comment.startswith("needs "):
            needs = comment.removeprefix("needs ").partition(":")[0]
        elif not comment:
            if info == "console":
                yield from (Command(line, printed, code, needs) for line, printed in _commands(block))
            elif title := _TITLE.search(info):
                yield File(title[1], block, needs)
            needs, code = "", 0


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield the command lines of a block, each with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        last = next((i for i, line in enumerate(lines) if not line.endswith("\\\n")), len(lines) - 1)
        yield "".join(lines[: last + 1]).rstrip("\n"), "".join(lines[last + 1 :])


def agrees(printed: str, shown: str) -> bool:
    """Return whether a command has printed what a page shows, blanks apart; `...` stands for anything."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in shown.split("...")]
    return re.fullmatch(r"\s*" + r"\s*.*?\s*".join(parts) + r"\s*", printed, re.DOTALL) is not None
