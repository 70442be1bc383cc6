"""How long runs will take: what each took before, else the median of completed runs that are like it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log

from pydoit_sc.batch import Axes, Run, Stage
from pydoit_sc.ledger import Ledger, Work
from pydoit_sc.times import about, roughly, span

_MOST = 10_000  # completed runs of a stage that medians are taken from
_SHORTEST = 10.0  # seconds that are worth a word
_LEAST = 0.1  # hours that are told

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Durations:
    """What completed runs of a stage took, in seconds."""

    count: int = 0
    median: float | None = None
    axis: str = ""  # the one whose values tell most; "": none does
    medians: Mapping[Value, float] = field(default_factory=dict)  # by its value


def durations_of(known: Sequence[tuple[float, Axes]]) -> Durations:
    """Return what completed runs say of others of their stage, from their seconds and the values of their axes.

    The axis that tells most is the one with which the next duration is foretold best: by the variance of logarithms
    within its values, and that of a mean of so few, if there are few runs of each value.

    >>> known = durations_of([(1.0, {"m": "a", "n": 1}), (9.0, {"m": "b", "n": 1}), (1.1, {"m": "a", "n": 2}), (8.0, {"m": "b", "n": 2})])
    >>> known.axis, known.medians
    ('m', {'a': 1.1, 'b': 9.0})
    """
    if not known:
        return Durations()
    best, axis, medians = _error([[seconds for seconds, _ in known]]), "", dict[Value, float]()
    for name in {name: None for _, axes in known for name in axes}:
        groups: dict[Value, list[float]] = {}
        for seconds, axes in known:
            if name in axes:
                groups.setdefault(axes[name], []).append(seconds)
        if (error := _error(groups.values())) < best:
            best, axis, medians = error, name, {value: _median(times) for value, times in groups.items()}
    return Durations(len(known), _median([seconds for seconds, _ in known]), axis, medians)


def _error(groups: Iterable[Sequence[float]]) -> float:
    """Return the expected square of the error, in logarithms, if the mean of its group foretells a duration."""
    count = number = 0
    total = 0.0
    for group in groups:
        logs = [log(seconds) for seconds in group]
        mean = sum(logs) / len(logs)
        total += sum((one - mean) ** 2 for one in logs)
        count, number = count + len(logs), number + 1
    return total / (count - number) * (1 + number / count) if count > number else inf


def _median(times: Sequence[float]) -> float:
    return sorted(times)[len(times) // 2]


class Forecast:
    """How long the runs of a batch will take, from what its ledger has: nothing is read for it.

    Failures say nothing: they may have come at once, or with the timeout. Of a run that was retried the last attempt
    counts: how often it will fail is not known.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        settled = sum(known.others.count(0) for known in ledger.settled.values())
        self._outcomes = len(ledger.records) + settled
        self._stages = {stage.name: stage for stage in ledger.batch.stages}
        self._known: dict[str, Durations] = {}

    @property
    def durations(self) -> int:
        """How many past durations have been looked at, of the stages whose runs were asked for."""
        return sum(known.count for known in self._known.values())

    def seconds(self, stage: Stage, run: Run) -> float | None:
        """Return how long a run will take; None if nothing is known of its stage."""
        known = self._durations(stage.name)
        if known.median is None:
            return None
        if own := self._ledger.took(run):
            return own
        value = stage.axes_of(run).get(known.axis) if known.axis else None
        return known.median if value is None else known.medians.get(value, known.median)

    def of(self, work: Work) -> float | None:
        """Return how long a run to execute will take; None if nothing is known of its stage."""
        return self.seconds(self.stage(work), work.run)

    def stage(self, work: Work) -> Stage:
        """Return the stage of a run to execute."""
        return self._stages[work.task.partition(":")[0]]

    def _durations(self, name: str) -> Durations:
        if name not in self._known:
            stage = self._stages[name]
            runs = _some(stage.runs, self._outcomes) if self._outcomes else ()
            took = ((self._ledger.took(run), run) for run in runs)
            self._known[name] = durations_of(
                [(seconds, stage.axes_of(run)) for seconds, run in took if seconds]
            )
        return self._known[name]


def _some(runs: Sequence[Run], outcomes: int) -> Iterable[Run]:
    """Return the runs of a stage, of many some thousands that have outcomes: at random, since steps would miss axis values."""
    count = max(_MOST, len(runs) * _MOST // outcomes)
    if len(runs) <= count:
        return runs
    return (runs[position] for position in sorted(random.Random(0).sample(range(len(runs)), count)))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What executing some runs will take."""

    seconds: float | None  # until the end; None: it is not known how many execute at once
    how: str  # "on 8 machines", "with 8 at once"
    hours: float  # of slots
    unit: str  # "core-hours"
    durations: int  # past ones that were looked at
    too_long: Sequence[tuple[float, str]]  # tasks that alone take longer than a job has, the longest first
    limit: float  # seconds that a job has

    @property
    def figures(self) -> Mapping[str, object]:
        """All of it, for programs."""
        return {
            "seconds": self.seconds and round(self.seconds, 3),
            "slot_hours": round(self.hours, 3),
            "past_durations": self.durations,
            "too_long": [task for _, task in self.too_long],
        }

    @property
    def words(self) -> str:
        """When they end and what that costs, in words; "" where it is a matter of seconds."""
        if (self.seconds if self.seconds is not None else self.hours * 3600) < _SHORTEST:
            return ""
        told = [] if self.seconds is None else [f"about {about(self.seconds)} {self.how}"]
        told += [f"{roughly(self.hours)} {self.unit}"] if self.hours >= _LEAST else []
        return f"{', '.join(told)} (from {self.durations:,} past durations)" if told else ""

    @property
    def warning(self) -> str:
        """Which runs take too long, in words; "" if none does."""
        if not self.too_long:
            return ""
        seconds, task = self.too_long[0]
        many = f"{len(self.too_long):,} runs take" if len(self.too_long) > 1 else "1 run takes"
        longest = f"the longest is {task}, about {about(seconds)}"
        return f"{many} longer than the {span(self.limit)} that a job has for its runs; {longest}"

    @property
    def lines(self) -> list[str]:
        """What is told of it."""
        return [line for line in (self.words, self.warning and f"warning: {self.warning}") if line]


class Estimate:
    """What executing some runs will take, as they are added."""

    def __init__(self, forecast: Forecast, limit: float | None = None) -> None:
        self._forecast, self._limit = forecast, inf if limit is None else limit
        self._count = self._known = 0
        self._work = 0.0  # seconds of slots that the known ones take
        self._chains: dict[str, float] = {}  # of each stage: its longest run, after those of earlier stages
        self._too_long: list[tuple[float, str]] = []

    def add(self, stage: Stage, run: Run) -> None:
        """Add a run; all runs of a stage before those that come after it."""
        self._count += 1
        seconds = self._forecast.seconds(stage, run)
        if seconds is None:
            return
        self._known += 1
        self._work += seconds * run.settings.slots
        before = max((self._chains.get(name, 0.0) for name in stage.after), default=0.0)
        self._chains[stage.name] = max(self._chains.get(stage.name, 0.0), before + seconds)
        if seconds > self._limit:
            self._too_long.append((seconds, stage.task_name(run)))

    @property
    def is_known(self) -> bool:
        """Whether something is known of at least half of the runs; the others count as the mean of these."""
        return self._known > 0 and self._count <= 2 * self._known

    def expected(self, at_once: int | None, how: str, unit: str) -> Outlook:
        """Return what the runs take where so many slots are in use at once, none of them idle before the end."""
        work = self._work * self._count / self._known
        end = max(work / at_once, *self._chains.values()) if at_once else None
        too_long = sorted(self._too_long, reverse=True)
        return Outlook(end, how, work / 3600, unit, self._forecast.durations, too_long, self._limit)
