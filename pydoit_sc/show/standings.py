"""How stages stand, as lines of text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from pydoit_sc.batch import Status
from pydoit_sc.plurals import counted
from pydoit_sc.show.tables import one_line
from pydoit_sc.standing import Standing
from pydoit_sc.times import clock, pace

#: The words for statuses, in the order of a line.
WORDS = {
    Status.COMPLETED: "completed",
    Status.ERROR: "failed",
    Status.STALE: "stale",
    Status.INCOMPLETE: "incomplete",
    Status.RUNNING: "running",
}
_COLUMN = 24  # characters of the column of names; longer names move their line
_HOSTS = 3  # that are named


def lines(standings: Sequence[tuple[str, Standing]], width: int) -> Iterator[str]:
    """Yield a line for each of these by name, in so many columns: the rest of a longer one is indented below it."""
    column = min(_COLUMN, width // 3, max(len(name) for name, _ in standings))
    for name, standing in standings:
        yield from textwrap.wrap(
            _words(standing),
            width,
            initial_indent=f"{name:{column}}  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _words(standing: Standing) -> str:
    counts = {word: standing.statuses[status] for status, word in WORDS.items()}
    counts["ignored"] = standing.ignored
    shown = [f"{count:,} {word}" for word, count in counts.items() if count and word != "running"]
    shown += _running(standing.hosts)
    text = counted(standing.size, "run") + (": " if shown else "") + ", ".join(shown)
    if standing.pace and standing.seconds_left is not None:
        text += f"; about {pace(standing.pace)}, {clock(standing.seconds_left)} left"
    return text


def _running(hosts: Counter[str]) -> Iterator[str]:
    """Yield `2 running on node3`, for each of the hosts that run the most."""
    for host, count in hosts.most_common(_HOSTS):
        yield f"{count:,} running on {one_line(host)}"
    others = sum(count for _, count in hosts.most_common()[_HOSTS:])
    if others:
        yield f"{others:,} running on {len(hosts) - _HOSTS:,} more"
