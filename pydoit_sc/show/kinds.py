"""Failures by kind as lines of a screen, with the command that executes those of a kind again."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence

from pydoit_sc.errors import printable
from pydoit_sc.outcomes.kinds import Kind, Tally

_NARROWEST = 20  # characters of a line of stderr
_WIDEST = 60  # characters of how a run ended
_BELOW = " " * 4
_COLUMNS = 120  # where there is no terminal
_SHOWN = 10  # kinds at the end of an execution
_NAMED = 3  # runs


def lines(kinds: Sequence[tuple[Kind, str]], columns: int) -> Iterator[str]:
    """Yield the lines for kinds, given with their commands: one for each where it fits so many columns, else two.

    >>> kind = Kind(1, "exit 1", "KeyError: 'closing_price'", ["day:2022-03-07"] * 11)
    >>> for columns in (120, 60):
    ...     print(*lines([(kind, "pydoit-sc run --group 1")], columns), sep="\\n")
    11 × exit 1  KeyError: 'closing_price'  e.g. day:2022-03-07  pydoit-sc run --group 1
    11 × exit 1  KeyError: 'closing_price'
        e.g. day:2022-03-07  pydoit-sc run --group 1
    """
    if not kinds:
        return
    counts = [f"{len(kind.tasks):,}" for kind, _ in kinds]
    ended = [_cut(kind.ended, _WIDEST) for kind, _ in kinds]
    names = [f"e.g. {printable(kind.tasks[0])}" for kind, _ in kinds]
    number, how, name = (max(map(len, column)) for column in (counts, ended, names))
    said = max(len(kind.said) for kind, _ in kinds)
    longest = max(len(command) for _, command in kinds)
    left = columns - number - how - len(" × ") - len("  ")
    aside = left - name - longest - 2 * len("  ")  # where all is on one line
    width = min(said, max(_NARROWEST, aside if aside >= _NARROWEST else left))
    for (kind, command), count, end, example in zip(kinds, counts, ended, names, strict=True):
        what = f"{count:>{number}} × {end:{how}}  "
        text = _cut(kind.said, width)
        if aside >= _NARROWEST:
            yield f"{what}{text:{width}}  {example:{name}}  {command}"
        else:
            yield f"{what}{text}"
            yield f"{_BELOW}{example}  {command}"


def ending(tally: Tally, command: Callable[..., str]) -> Iterator[str]:
    """Yield the lines that end an execution in which several runs have failed: their kinds, with commands for those.

    `command` returns a command line on the batch. A command names a run of its kind: numbers would change with what is
    executed meanwhile. One failure has been told in full.
    """
    if tally.count > 1:
        kinds = tally.kinds()
        shown = [(kind, command("run", f"--like {shlex.quote(kind.tasks[0])}")) for kind in kinds[:_SHOWN]]
        yield from lines(shown, shutil.get_terminal_size((_COLUMNS, 0)).columns)
        if left := kinds[_SHOWN:]:
            count = sum(len(kind.tasks) for kind in left)
            yield f"and {count:,} more runs of {len(left):,} kinds: {command('failures')}"


def without_outcome(tally: Tally, what: str) -> Iterator[str]:
    """Yield a line for each kind of reason for which runs have got no outcome: how many, what the first says, and some names.

    >>> from pydoit_sc.outcomes.kinds import Failure
    >>> tally = Tally()
    >>> for n in range(1200):
    ...     _ = tally.add(Failure(f"a:{n}", None, f"file_dep `{n}.csv` matches no file", None))
    >>> print(*without_outcome(tally, "not started"))
    1,200 runs were not started: file_dep `0.csv` matches no file (a:0; alike: a:1, a:2 and 1,197 more)
    """
    kinds = tally.kinds()
    for kind in kinds[:_SHOWN]:
        count = len(kind.tasks)
        more = f" and {count - _NAMED:,} more" if count > _NAMED else ""
        first, *alike = map(printable, kind.tasks[:_NAMED])
        names = f"{first}; alike: {', '.join(alike)}{more}" if alike else first
        yield f"{_runs(count)} {what}: {kind.ended} ({names})"
    if left := kinds[_SHOWN:]:
        yield f"{_runs(sum(len(kind.tasks) for kind in left))} {what} for {len(left):,} other reasons"


def _runs(count: int) -> str:
    return f"{count:,} runs were" if count > 1 else "1 run was"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
