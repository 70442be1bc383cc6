"""Which runs a command is about: names, and words that narrow them by what the store has of them; the same on every command."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.batchfile import nearest
from pydoit_sc.batchfile.durations import parse_duration
from pydoit_sc.conditions import Condition, parse_condition
from pydoit_sc.errors import UserError, shortened
from pydoit_sc.ledger import Ledger
from pydoit_sc.numbers import whole_number
from pydoit_sc.outcomes.failed import Failed, failed_among, read_failures
from pydoit_sc.outcomes.kinds import key_of, kinds_of
from pydoit_sc.parts import without_earlier
from pydoit_sc.plan import plan
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.store import Live, Record

Chosen: TypeAlias = list[tuple[Stage, Run]]

_STATUSES = {**{status.value: status for status in Status}, "failed": Status.ERROR}


class NothingMatchesError(Exception):
    """No run is as asked for: an answer, not a mistake. The text says how the runs are."""


class Selection(NamedTuple):
    """What a user has said of the runs that are meant; all of it holds for each of them."""

    words: tuple[str, ...] = ()  # names, patterns, outputs; none: all runs
    where: tuple[Condition, ...] = ()
    statuses: frozenset[Status] = frozenset()
    codes: frozenset[int] = frozenset()
    since: float | None = None  # ended in so many seconds before now
    like: str = ""  # a run that has failed
    group: int | None = None  # the failures of one kind, as `failures` counts them
    slowest: int | None = None
    limit: int | None = None
    said: str = ""  # the options as they were given

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.words or self.said)

    @property
    def of_outcomes(self) -> bool:
        """Whether it takes what the store has to decide it."""
        return bool(
            self.statuses or self.codes or self.since is not None or self.like or self.group or self.slowest
        )

    @property
    def text(self) -> str:
        """What is said, as it is written on a command line."""
        return " ".join((*map(shlex.quote, self.words), *([self.said] if self.said else ())))

    def takes(self, status: Status, record: Record | None, now: float) -> bool:
        """Return whether a run is meant, as far as its status and its outcome tell; `now` in seconds since the epoch.

        >>> Selection(codes=frozenset({7})).takes(Status.ERROR, Record(7, ended=50.0), 100.0)
        True
        >>> Selection(since=60, codes=frozenset({1})).takes(Status.ERROR, Record(7, ended=50.0), 100.0)
        False
        """
        if self.statuses and status not in self.statuses:
            return False
        if self.codes and (record is None or record.code not in self.codes):
            return False
        return self.since is None or (
            record is not None and record.ended > 0 and now - self.since <= record.ended
        )


def parse_selection(options: Mapping[str, Any], words: Iterable[str] = ()) -> Selection:
    """Return what names and options say, as commands/selecting.py describes these; raises UserError."""
    given = {name: options[name] for name in _SAID if options.get(name) not in (None, [])}
    said = [
        f"--{_SAID[name]} {shlex.quote(value)}"
        for name, values in given.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return Selection(
        tuple(words),
        tuple(map(parse_condition, given.get("where", ()))),
        frozenset(map(_status, _listed("status", given.get("statuses")))),
        frozenset(whole_number("--code", code, 0, 255) for code in _listed("code", given.get("codes"))),
        _duration(given["since"]) if "since" in given else None,
        _name("like", given.get("like")),
        _count("group", given),
        _count("slowest", given),
        _count("limit", given),
        " ".join(said),
    )


#: The options, by their names, as they are written on a command line.
_SAID = {
    "statuses": "status", "codes": "code", "like": "like", "group": "group", "where": "where", "since": "since",
    "slowest": "slowest", "limit": "limit",
}  # fmt: skip


def among_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of what failures are grouped among, so that a kind has the same number on every command."""
    return {**options, **dict.fromkeys(("group", "slowest", "limit"))}


def _count(option: str, given: Mapping[str, str]) -> int | None:
    return whole_number(f"--{option}", given[option]) if option in given else None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"--since: expected {error}, found `{shortened(text)}`") from None


def _listed(option: str, text: str | None) -> list[str]:
    """Return the words of a list that is joined by commas, none if it is not given; raises UserError for an empty one."""
    return [] if text is None else [_name(option, word.strip()) for word in text.split(",")]


def _name(option: str, word: str | None) -> str:
    """Return a word, "" if it is not given. An empty one narrows nothing, and `clean` would remove all: raises UserError."""
    if word == "":
        raise UserError(f"--{option}: expected a value, found an empty one; is a variable unset?")
    return word or ""


def _status(name: str) -> Status:
    if name not in _STATUSES:
        near = nearest(name, _STATUSES)
        hint = f"did you mean `{near}`?" if near else f"expected one of {', '.join(Status)}"
        raise UserError(f"--status: unknown status `{name}`; {hint}")
    return _STATUSES[name]


def are_statuses(word: str) -> bool:
    """Return whether a word is a comma-separated list of statuses.

    >>> are_statuses("error,stale"), are_statuses("month"), are_statuses("")
    (True, False, False)
    """
    return set(word.split(",")).issubset(_STATUSES)


def select(project: Project, selection: Selection, commands: Collection[str] = ()) -> Chosen:
    """Return the selected runs, in the order of the batch, or the slowest first.

    Raises NothingMatchesError where there are none, UserError for names and axes that are not of the batch, and for outputs
    without a run; `commands` as in `Project.select`.
    """
    _check_statuses(selection)
    named = project.select(selection.words, commands) if selection.words else list(project.batch.runs())
    found = considered = _where(named, selection.where)
    if selection.of_outcomes and found:
        running = project.store.running() if selection.statuses else {}  # before the scan
        if len(found) < project.batch.size:
            project.narrow(found)
        found = _by_outcomes(project, selection, found, running)
        if selection.like or selection.group:
            found = _of_kind(project, selection, found)
        if selection.slowest:
            found = _slowest(project.ledger, found)[: selection.slowest]
    found = found[: selection.limit]
    if not found:
        raise NothingMatchesError(_nothing(project, selection, considered, len(named)))
    return found


def check_words(project: Project, selection: Selection) -> None:
    """Raise UserError for names and axes that are not of the batch, and for outputs without a run; the store is not read."""
    _check_statuses(selection)
    named = project.select(selection.words) if selection.words else ()
    if selection.where:
        _where([*named] or list(project.batch.runs()), selection.where)
    if selection.like:
        project.select([selection.like])


def select_to_execute(
    project: Project,
    selection: Selection,
    commands: Collection[str] = (),
    *,
    always: bool = False,
    alone: bool = False,
) -> Sequence[Stage]:
    """Return the selected runs, and unless `alone` all that they come after, as stages that have only these.

    If nothing is said, the whole batch's. `--limit` counts the runs that would execute, in the order of their execution, or
    the slowest first.
    Raises what `select` does.
    """
    if not selection:
        return project.batch.stages
    chosen = select(project, selection._replace(limit=None), commands)
    parts = project.narrow(chosen)
    if selection.limit is not None:
        keys = {run.key for _, run in chosen}
        planned = (item for item in plan(project.ledger, parts, always=always) if item.verdict.execute)
        first = [(item.stage, item.run) for item in planned if item.run.key in keys]
        if selection.slowest:
            first = _slowest(project.ledger, first)
        chosen = first[: selection.limit] or chosen
        parts = project.narrow(chosen)
    return without_earlier(project.batch, chosen) if alone else parts


def _check_statuses(selection: Selection) -> None:
    if Status.ORPHANED in selection.statuses:
        raise UserError(
            "--status: orphaned outputs have no run in the batch any more; `pydoit-sc summarize-batch --status orphaned` "
            "lists them, and `pydoit-sc clean --status orphaned` removes them"
        )


def _where(runs: Chosen, conditions: Sequence[Condition]) -> Chosen:
    """Return the runs for whose values of axes all conditions hold; raises UserError for axes that none of them has."""
    if not conditions:
        return runs
    known, faults, found = set[str](), list[str](), []
    for stage, run in runs:
        axes = stage.axes_of(run)
        if not axes.keys() <= known:
            faults += filter(None, (condition.fault(axes) for condition in conditions))
            known.update(axes)
        if all(condition.holds(axes) for condition in conditions):
            found.append((stage, run))
    for condition in conditions:
        if not known & {condition.axis, f"{condition.axis}.start"}:
            near = nearest(condition.axis, sorted(known))
            hint = f"did you mean `{near}`?" if near else f"the axes are {', '.join(sorted(known)) or 'none'}"
            raise UserError(f"--where: no run has an axis `{condition.axis}`; {hint}")
    if faults and not found:
        raise UserError(faults[0])
    return found


def _by_outcomes(project: Project, selection: Selection, runs: Chosen, running: Mapping[str, Live]) -> Chosen:
    ledger, now, found = project.ledger, time.time(), []
    for stage, run in runs:
        status = Status.INCOMPLETE
        if selection.statuses:  # a verdict may read files
            status = ledger.verdict(stage, run, running.get(run.key)).status
        if selection.takes(status, ledger.record(run), now):
            found.append((stage, run))
    return found


def _of_kind(project: Project, selection: Selection, runs: Chosen) -> Chosen:
    """Return the runs that have failed like another one, or as the group that has this number."""
    failed = failed_among(runs, project.ledger.records)
    names: Collection[str]
    if selection.like:
        names = _alike(project, selection.like, failed)
        failed = [one for one in failed if one.task in names]
    if selection.group:
        kinds = kinds_of(read_failures(project.store, failed))[selection.group - 1 : selection.group]
        names = {name for kind in kinds for name in kind.tasks}
        for kind in kinds:
            project.say(f"group {selection.group}: {kind.words}")
    return [(stage, run) for stage, run in runs if stage.task_name(run) in names]


def _alike(project: Project, name: str, failed: Sequence[Failed]) -> set[str]:
    """Return the names of those of the failed runs that have failed like the run of this name."""
    chosen = project.select([name])
    (_, run), *others = chosen
    record = project.ledger.record(run) or project.store.scan([run.key]).get(run.key)
    if others:
        raise UserError(f"--like: expected one run, found `{name}`, which is {len(chosen):,}")
    if record is None or not record.code:
        raise UserError(f"--like: expected a run that has failed, found `{name}`, which has not")
    (known,) = read_failures(project.store, [Failed(name, run.key, record)])
    way = key_of(known)
    perhaps = [one for one in failed if key_of(one.failure())[:2] == way[:2]]
    return {
        failure.task
        for failure in read_failures(project.store, perhaps, len(perhaps))
        if key_of(failure) == way
    }


def _slowest(ledger: Ledger, runs: Chosen) -> Chosen:
    """Return those runs of which it is known how long they took, the slowest first."""
    times = {run.key: record.seconds for _, run in runs if (record := ledger.record(run))}
    known = [(stage, run) for stage, run in runs if times.get(run.key)]
    return sorted(known, key=lambda pair: -times[pair[1].key])


def _nothing(project: Project, selection: Selection, runs: Chosen, named: int) -> str:
    """Return that no run matches of so many that are named, and how those are that axes leave."""
    some = f"{len(runs):,} of " if 0 < len(runs) < named else ""
    text = f"no run matches {selection.said}: {some}{counted(named, 'run')}"
    if not selection.of_outcomes or not runs:
        return text
    counts = Counter(project.ledger.verdict(stage, run).status for stage, run in runs)
    words = [f"{counts[status]:,} {status}" for status in Status if counts[status]]
    return ", ".join((text, *words, *(() if counts[Status.ERROR] else ("none failed",))))
