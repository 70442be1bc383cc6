"""The options that say which runs a command is about, the same on every command; pydoit_sc/selection.py says what they mean."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pydoit_sc.batch import Run, Stage
from pydoit_sc.commands.parsing import OptionsAnywhere, option
from pydoit_sc.commands.usage import WHICH_RUNS
from pydoit_sc.project import Project
from pydoit_sc.selection import NothingMatchesError, Selection, parse_selection, select

NAMES = "[BATCH] [STAGE | RUN | PATTERN ...]"
#: The same of commands that need a name, and what their descriptions say of it.
SOME_NAMES = "[BATCH] (STAGE | RUN | PATTERN ...)"
OR_OPTIONS = "Options that say which runs may stand for names."


def _narrowing(name: str, help: str, **more: Any) -> dict[str, Any]:  # noqa: A002 - doit's word
    return option(name, help, **{"section": WHICH_RUNS, **more})


SELECTING = (
    _narrowing("statuses", "only runs of this status, or of several: error,stale", long="status"),
    _narrowing("codes", "only runs with this status code, or one of several: 1,137", long="code"),
    _narrowing("group", "only the failures of one kind, by its number in `failures`", metavar="N"),
    _narrowing("like", "only runs that have failed like this one", metavar="RUN"),
    _narrowing(
        "where",
        "only runs whose value of an axis is so: 'model=a', 'model!=b*', 'seed<10'; may be given several times",
        metavar="CONDITION",
        type=list,
        default=[],
    ),
    _narrowing("since", "only runs that have ended since so long ago: 2h, 1day", metavar="TIME"),
    _narrowing("slowest", "only so many runs, those that took longest", metavar="N"),
    _narrowing("limit", "only so many runs, the first", metavar="N"),
)


def selecting(limit: str) -> tuple[dict[str, Any], ...]:
    """Return these options for a command where `--limit` means something of its own."""
    return tuple({**one, "help": limit} if one["name"] == "limit" else one for one in SELECTING)


class Selecting(OptionsAnywhere):
    """A command of doit's whose tasks our loader selects; where nothing matches, that is its answer."""

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; called by doit."""
        try:
            return super().execute(params, args)  # type: ignore[misc]
        except NothingMatchesError as answer:
            return self.answer(params, str(answer))

    def answer(self, params: Any, text: str) -> int:  # noqa: ARG002 - for commands that answer in another way
        """Tell that nothing matches, and return the exit code."""
        print(text)
        return 0


def selected(
    project: Project, options: dict[str, Any], words: Sequence[str]
) -> list[tuple[Stage, Run]] | None:
    """Return the runs that a command is to show; none, which is said, where nothing matches; None where all are meant."""
    selection = parse_selection(options, words)
    return chosen_of(project, selection) if selection else None


def chosen_of(project: Project, selection: Selection) -> list[tuple[Stage, Run]]:
    """Return the selected runs; none where nothing matches, which is said on standard error."""
    try:
        return select(project, selection)
    except NothingMatchesError as answer:
        print(answer, file=sys.stderr)
        return []
