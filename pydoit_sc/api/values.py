"""What a batch answers when it is asked from Python: plans, standings and failures as small values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydoit_sc.api.html import page
from pydoit_sc.batch import Stage, Status
from pydoit_sc.changes import in_full
from pydoit_sc.outcomes.kinds import Kind
from pydoit_sc.plan import Planned, plan
from pydoit_sc.project import Project
from pydoit_sc.show.kinds import lines as kind_lines
from pydoit_sc.show.progress import summary
from pydoit_sc.show.standings import WORDS
from pydoit_sc.show.standings import lines as standing_lines
from pydoit_sc.standing import Standing
from pydoit_sc.verdicts import Verdict, count

_SHOWN = 20  # rows of a table in a notebook
_COLUMNS = 1 << 20  # of a text whose lines are not broken


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that would execute, and why."""

    name: str  # `day:2022-03-07`
    cmd: str  # its command
    status: Status  # error, incomplete or stale
    reason: str  # `status code 1`, `no outcome yet`, `the command has changed`


class Plan:
    """What `run` would execute: an iterable of `PlannedRun`, stage by stage, in the order of an execution.

    It is made anew each time that it is iterated, from what the store had when it was asked for, so a plan of a million
    runs is no list. `len(plan)` is how many would execute.

    >>> import pydoit_sc as sc
    >>> plan = sc.load("batchfile.toml").plan()
    >>> plan
    1 of 4 runs to execute: 1 failed before
    >>> for run in plan:
    ...     print(run.name, run.status, run.reason, sep=", ")
    day:2022-03-07, error, status code 1
    """

    def __init__(self, project: Project, parts: Sequence[Stage], *, always: bool) -> None:
        self._ledger, self._store = project.ledger, project.store
        self._parts, self._always = parts, always

    def __iter__(self) -> Iterator[PlannedRun]:
        for item in self._planned():
            if item.verdict.execute:
                name, verdict = item.stage.task_name(item.run), item.verdict
                yield PlannedRun(name, item.run.cmd, verdict.status, verdict.words)

    def __len__(self) -> int:
        return sum(number for verdict, number in self._counts.items() if verdict.execute)

    @property
    def size(self) -> int:
        """The number of runs that were looked at, those that are up to date among them."""
        return sum(self._counts.values())

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many runs would execute, by reason, the most frequent one first."""
        found: dict[str, int] = {}
        for verdict, number in self._counts.items():
            if verdict.execute:
                found[verdict.words] = found.get(verdict.words, 0) + number
        return found

    def _planned(self) -> Iterator[Planned]:
        return in_full(self._ledger, self._store, plan(self._ledger, self._parts, always=self._always))

    @cached_property
    def _counts(self) -> Mapping[Verdict, int]:
        return count(item.verdict for item in self._planned())

    def __repr__(self) -> str:
        return summary(self._counts)

    def _repr_html_(self) -> str:
        rows = [(run.name, run.status, run.reason, run.cmd) for run in itertools.islice(self, _SHOWN)]
        return page(repr(self), ("run", "status", "reason", "command"), rows, _and_more(len(self)))


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How a batch stands: each stage, and all together.

    >>> import pydoit_sc as sc
    >>> status = sc.load("batchfile.toml").status()
    >>> status
    day    4 runs: 3 completed, 1 failed
    total  4 runs: 3 completed, 1 failed
    >>> status.total.statuses[sc.Status.ERROR], status.stages["day"].size
    (1, 4)
    """

    stages: Mapping[str, Standing]  # by name
    total: Standing  # of all of them

    def __repr__(self) -> str:
        return "\n".join(standing_lines([*self.stages.items(), ("total", self.total)], _COLUMNS))

    def _repr_html_(self) -> str:
        rows = [
            (name, one.size, *(one.statuses[status] for status in WORDS), one.ignored)
            for name, one in [*self.stages.items(), ("total", self.total)]
        ]
        return page("", ("stage", "runs", *WORDS.values(), "ignored"), rows)


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Failures of one kind: the same status code and reason, and the same last line of stderr but for what varies."""

    group: int  # its number: `batch.select(group=1)`
    code: int | None  # the status code
    failure: str  # how they ended, in words
    stderr: str | None  # the line that says what is wrong, of the first run; None: not read
    runs: Sequence[str]  # the names of all of them

    def __len__(self) -> int:
        return len(self.runs)


class FailureKinds(tuple[FailureKind, ...]):
    """The failures of a batch by kind, the most frequent first.

    >>> import pydoit_sc as sc
    >>> kinds = sc.load("batchfile.toml").failures()
    >>> kinds
    1 × exit 1  cat: data/2022-03-07.csv: No such file or directory  e.g. day:2022-03-07  group 1
    >>> kinds[0].runs
    ['day:2022-03-07']
    """

    __slots__ = ()

    def __repr__(self) -> str:
        kinds = [
            (Kind(kind.code, kind.failure, kind.stderr, list(kind.runs)), f"group {kind.group}")
            for kind in self
        ]
        return "\n".join(kind_lines(kinds, _COLUMNS)) or "no failures"

    def _repr_html_(self) -> str:
        rows = [
            (kind.group, len(kind), kind.failure, kind.stderr, kind.runs[0])
            for kind in itertools.islice(self, _SHOWN)
        ]
        failed = sum(map(len, self))
        headers = ("group", "runs", "ended", "stderr", "for example")
        return page(f"{failed:,} failed", headers, rows, _and_more(len(self)))


def _and_more(count: int) -> str:
    return f"and {count - _SHOWN:,} more" if count > _SHOWN else ""
