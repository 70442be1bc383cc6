"""Write docs/commands.md from the catalogue and the commands' options: `python -m tests.docs.commands`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from doit.cmdparse import CmdOption

from pydoit_sc.catalogue import COMMANDS, HEADINGS
from pydoit_sc.commands.usage import WHICH_RUNS, meaning_of, names_of
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.program import Program
from tests.docs.pages import DOCS

PAGE = DOCS / "commands.md"

_HEAD = """\
# Commands

`pydoit-sc COMMAND --help` shows the same on a terminal. `pydoit-sc` alone is `pydoit-sc run`. Options may stand before
and behind the other words; an option with a value is given once, but for those that say that they may be given several
times.

The exit code is 0 where all is done, 1 where runs have failed, 2 where something could not be executed, 3 where nothing
was started (wrong input, wrong usage), and 128 + n for a worker that was stopped by signal n.

"""
_THE_BATCH = """\
## Which batch

Commands about a batch take it as their first word. Without one it is the batchfile of this folder.

"""
_WHICH = """\
## Which runs

Commands about runs take names, patterns and these words. A run is meant if all of them hold for it. `--limit` counts
what `run`, `plan` and `submit` would execute; what it counts for `results` and `summarize-batch` is told there.

"""


def command_of(name: str) -> Any:
    """Return a command of the program."""
    commands = Program().get_cmds()
    return commands.get_plugin(name)(
        cmds=commands, config={}, bin_name="pydoit-sc", task_loader=BatchfileLoader()
    )


def page() -> str:
    """Return the page."""
    text, shared = _HEAD, dict[str, dict[str, str]]()
    for section in ("batchfile", WHICH_RUNS):
        shared[section] = {}
    for name, entry in COMMANDS.items():
        command = command_of(name)
        options = [option for option in command.shown_options() if option.short or option.long]
        for option in options:
            if option.section in shared:
                row = shared[option.section].setdefault(option.long, _row(option))
                if row != _row(option):
                    option.section = ""  # a meaning of the command's own
        if name in HEADINGS:
            text += f"## {HEADINGS[name]}\n\n"
        text += f"### `{name}`\n\n{entry.purpose[0].upper()}{entry.purpose[1:]}.\n\n"
        text += f"```text\npydoit-sc {name} {command.doc_usage}".rstrip() + "\n```\n\n"
        text += "".join(f"{part}\n\n" for part in _paragraphs(command.doc_description))
        text += "".join(_options(options))
        text += "```text\n" + "".join(f"pydoit-sc {example}\n" for example in entry.examples) + "```\n\n"
    text += _THE_BATCH + _table(shared["batchfile"].values()) + _WHICH + _table(shared[WHICH_RUNS].values())
    return text.rstrip("\n") + "\n"


def _paragraphs(description: str | None) -> Iterator[str]:
    for part in (description or "").split("\n\n"):
        if part:
            yield textwrap.fill(_literal(part), 120, break_on_hyphens=False, break_long_words=False)


def _options(options: list[CmdOption]) -> Iterator[str]:
    """Yield the tables of a command's own options, and the places of those that it shares."""
    sections = {option.section for option in options}
    for section in sorted(sections - {"batchfile", WHICH_RUNS}):
        if section:
            yield f"{section}:\n\n"
        yield _table(_row(option) for option in options if option.section == section)
    also = [
        f"[{text}](#{text.replace(' ', '-')})"
        for text, section in (("which batch", "batchfile"), ("which runs", WHICH_RUNS))
        if section in sections
    ]
    if also:
        yield f"Also the words that say {' and '.join(also)}.\n\n"


def _table(rows: Iterable[str]) -> str:
    return "| option | meaning |\n| --- | --- |\n" + "".join(rows) + "\n"


def _row(option: CmdOption) -> str:
    return f"| <code>{_literal(names_of(option))}</code> | {_literal(meaning_of(option))} |\n"


def _literal(text: str) -> str:
    """Return a text of the help so that Markdown shows it as it is, but for code in backquotes."""
    return "".join(
        part if part[0] == "`" and "|" not in part else re.sub(r"[\\*<>|&]", _entity, part)
        for part in re.findall(r"`[^`]*`|[^`]+|`", text)
    )


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


if __name__ == "__main__":
    PAGE.write_text(page())
