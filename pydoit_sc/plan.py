"""Which runs will execute, and why: the status of each run, from what the batch says and what the store has.

A run is up to date if the store has status code 0 for it, published with the same fingerprint: the command, the
environment that the batchfile sets, the contents of `file_dep`, and which attempts of the runs it comes `after` had
been published. The last part is a digest of attempts, not a comparison of times, so no clock matters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import compress, islice
from typing import NamedTuple

from pydoit_sc.batch import PLAIN, Batch, Run, RunSet, Settings, Share, Stage, Status, stage_of, task_of
from pydoit_sc.fingerprint import (
    NOTHING,
    FileDigests,
    MissingFileDepError,
    Placeless,
    after_part,
    changed_parts,
    digest_attempt,
    digest_env,
    digest_text,
)
from pydoit_sc.globbing import outputs_of
from pydoit_sc.made import MANY, MadeRuns, keys_of
from pydoit_sc.parts import Busy, Settled, in_order
from pydoit_sc.store import Live, Record, TakenError
from pydoit_sc.times import local

_DETAILS = 3  # of one reason, which are counted apart
_TOGETHER = 256  # runs that the store is asked about at once
_COMPLETED = Status.COMPLETED  # which the enum looks up slowly, and every run asks for several times


class Verdict(NamedTuple):
    """The status of a run, and the reason in a few words."""

    status: Status
    reason: str
    detail: str = ""  # ends the reason for this run alone: `align:s17 (failed)`
    ignored: bool = False  # the user has said so, whatever the status

    @property
    def words(self) -> str:
        """The reason, for this run."""
        return f"{self.reason} {self.detail}" if self.detail else self.reason

    @property
    def execute(self) -> bool:
        """Whether the run is to be executed."""
        return self.status is not _COMPLETED and not self.ignored


def is_current(record: Record, fingerprint: str) -> bool:
    """Return whether an outcome is completed and still that of the run as it is now.

    An outcome without a fingerprint, as `sc batch` writes it, is taken as it is.
    """
    return record.code == 0 and record.fingerprint in ("", fingerprint)


UP_TO_DATE = Verdict(Status.COMPLETED, "up to date")
NEW = Verdict(Status.INCOMPLETE, "no outcome yet")
NO_CODE = Verdict(Status.INCOMPLETE, "status_code holds no status code")
FORCED = Verdict(Status.STALE, "forced")
ORPHANED = Verdict(Status.ORPHANED, "its run is no longer in the batch")

#: The reason of a stale run, by the part of its fingerprint that has changed.
CHANGED = {
    "cmd": "the command has changed",
    "env": "shell or env has changed",
    "file_dep": "a file_dep has changed",
    "after": "an earlier run has been published since",
}


def judge(fingerprint: str, record: Record | None) -> Verdict:
    """Return the status of a run from its fingerprint now and what the store has of it."""
    if record is None:
        return NEW
    if record.code is None:
        return NO_CODE
    if record.code:
        return Verdict(Status.ERROR, record.failure)
    if is_current(record, fingerprint):
        return UP_TO_DATE
    parts = changed_parts(record.fingerprint, fingerprint)
    return Verdict(Status.STALE, ", ".join(CHANGED[part] for part in parts))


def waiting(verdict: Verdict, cause: str, state: str = "failed") -> Verdict:
    """Return a run's verdict, given the key of a run that it comes after and that is not completed."""
    was_completed = verdict.status in (_COMPLETED, Status.STALE)
    status = Status.STALE if was_completed else Status.INCOMPLETE
    return Verdict(status, "waits for", f"{task_of(cause)} ({state})")


def is_executing(live: Live | None, record: Record | None) -> bool:
    """Return whether a run executes, given the attempt that a live worker says it executes, and the run's outcome.

    A worker may not have said yet that an attempt has ended. Of what has just been published the attempt may not be known.

    >>> live = Live(host="h", folder="/attempts/w-2", since=50.0)
    >>> is_executing(live, Record(0, "w-1")), is_executing(live, Record(0, "w-2")), is_executing(live, Record(0, ended=60.0))
    (True, False, False)
    """
    if live is None or record is None:
        return live is not None
    if record.attempt:
        return record.attempt != os.path.basename(live.folder)
    return record.code != 0 or live.since > record.ended


class Work(NamedTuple):
    """One run to execute, with what is known of it: the value that goes from a plan or a chunk to the worker."""

    task: str  # the name of its doit task, `month:2012-01` or `plot`
    run: Run
    output: str  # the URL of its output
    fingerprint: str
    known: Record | None = None  # what the store said when the run was chosen
    files: Mapping[str, str] = {}  # digests of `file_dep`, for `run.json`
    axes: Mapping[str, str | int | float | bool] = {}  # for `run.json`


class Ledger:
    """A batch beside what the store has of it; kept up to date as runs are published.

    Records of current outcomes may be missing in `records` where a stage has many runs: `record` reads these again.
    """

    def __init__(
        self,
        batch: Batch,
        records: dict[str, Record],
        taken: dict[str, str] | None = None,
        ignored: Set[str] = frozenset(),
        accepted: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.batch = batch
        self.records = records
        self.settled: dict[str, Settled] = {}  # by stage
        self.scan: Callable[[Iterable[str]], Mapping[str, Record]] = lambda _: {}  # outcomes not kept, by key
        self._has_changed = False  # since the store was read
        self.taken = taken or {}  # runs whose places in the store something else takes, in words
        #: Tells of outcomes that are to be replaced, by their keys, what lies beside them and is of no run.
        self.beside: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {}
        self.ignored = ignored  # stages and tasks that are not executed, by name
        self._accepted = cache(accepted)  # the fingerprints that attempts stand for; read if needed
        folders = (name for stage in batch.stages for name in stage.folders)
        outputs = outputs_of(batch.remote_output_path, str(batch.folder), folders)
        self._files = FileDigests(batch.folder, outputs)
        self._placeless = Placeless(batch.remote_output_path.removeprefix("file://"))
        self._settings: dict[int, str] = {}
        self._read_at: dict[int, int] = {}  # of Settings: how often earlier stages had been published
        self._published: dict[str, int] = {}  # how often, by stage
        self._gathered: dict[int, tuple[int, int]] = {}  # of RunSet: that of its stage, and the sum

    def fingerprint(self, run: Run) -> str:
        """Return what the run depends on now; raises MissingFileDepError."""
        earlier = after_part(self._sum(run.after)) if run.after else NOTHING
        return f"{self.command_part(run.cmd, run.after)}-{self._parts_of(run.settings)}-{earlier}"

    def command_part(self, cmd: str, after: Sequence[Run | RunSet]) -> str:
        """Return the first part of a fingerprint; the outputs of earlier runs that a command names may be moved."""
        return digest_text(self._placeless(cmd) if after else cmd)

    def record(self, run: Run) -> Record | None:
        """Return the outcome of a run; raises StoreError where it has to be read again, and cannot be."""
        found = self.records.get(run.key)
        return self.scan([run.key]).get(run.key) if found is None and self._settled_with(run) else found

    def took(self, run: Run) -> float | None:
        """Return how many seconds a run took; None if its outcome does not say how long it takes, as that of a failure."""
        record = self.records.get(run.key)
        if record is None and (known := self._settled_with(run)):
            return known.seconds[run.position] or None
        return (record.seconds or None) if record and record.code == 0 else None

    def fingerprints(self, runs: MadeRuns) -> Iterator[str | None]:
        """Yield what each of many runs depends on now; None where a `file_dep` is missing."""
        for cmd, settings, after in zip(runs.cmds, runs.settings, runs.after, strict=True):
            earlier = after_part(self._sum(after)) if after else NOTHING
            try:
                yield f"{self.command_part(cmd, after)}-{self._parts_of(settings)}-{earlier}"
            except MissingFileDepError:
                yield None

    def unsettled(self, stage: Stage, live: Collection[str] = ()) -> Iterable[Run]:
        """Return the runs of a stage but for those that are known to be up to date, or all of them.

        Runs are among them that live workers execute, by their keys.
        """
        known = self.settled.get(stage.name)
        if known is None or self._has_changed or self.ignored or len(known.others) != len(stage.runs):
            return stage.runs
        others = known.others
        if live:
            keys = keys_of(stage.runs)
            others = bytearray(other or key in live for other, key in zip(others, keys, strict=True))
        if MANY * others.count(1) > len(others):  # many are made one after the other in less time
            return compress(stage.runs, others)
        return map(stage.runs.__getitem__, compress(range(len(stage.runs)), others))

    def _settled_with(self, run: Run) -> Settled | None:
        """Return what is known of the outcomes of a stage that are not kept, where a run's is one of them."""
        if not self.settled:
            return None
        # A plain list, which has no stage in its keys, is the only one.
        known = self.settled.get(PLAIN) or self.settled.get(stage_of(run.key))
        return known if known and not known.others[run.position] else None

    def _is_settled(self, run: Run) -> bool:
        """Return whether a run is known to be up to date, though nothing is kept of its outcome."""
        return not self._has_changed and self._settled_with(run) is not None

    def expected(self, run: Run, now: str) -> str:
        """Return the fingerprint of a current outcome: the run's own, or what an accepted outcome has; raises StoreError."""
        if self._is_settled(run):
            return now
        record = self.record(run)
        if record is None or record.code or is_current(record, now):
            return now
        return record.fingerprint if self._accepted().get(record.attempt) == now else now

    def verdict(self, stage: Stage, run: Run, live: Live | None = None) -> Verdict:
        """Return the status of a run now, given the attempt that a live worker says it executes."""
        verdict = UP_TO_DATE if self._is_settled(run) else self._verdict(run)
        if self.is_ignored(stage, run):
            return Verdict(verdict.status, f"ignored; {verdict.reason}", verdict.detail, ignored=True)
        if live is not None and is_executing(live, self.record(run)):
            return Verdict(Status.RUNNING, f"on {live.host} since {local(live.since)}")
        return verdict

    def is_ignored(self, stage: Stage, run: Run) -> bool:
        """Return whether the user has said that a run, or its stage, is to be left as it is."""
        return bool(self.ignored) and not self.ignored.isdisjoint((stage.name, stage.task_name(run)))

    def _verdict(self, run: Run) -> Verdict:
        return self.within(run, self._judged(run))

    def within(self, run: Run, verdict: Verdict) -> Verdict:
        """Return the verdict of a run, or why it is not executed where something else takes its place."""
        words = self.taken.get(run.key) if verdict.execute else None
        return Verdict(verdict.status, words) if words else verdict

    def look_beside(self, runs: Iterable[Run]) -> None:
        """Find those of the runs to execute whose outcomes cannot be replaced, since something else lies beside them."""
        keys = [run.key for run in runs if run.key in self.records or self._settled_with(run)]
        self.taken.update(self.beside(keys) if keys else {})

    def _judged(self, run: Run) -> Verdict:
        try:
            if (record := self.record(run)) is None or record.code != 0:
                self._parts_of(run.settings)  # all that counts is that its `file_dep` are there
                return judge("", record)
            return judge(self.expected(run, self.fingerprint(run)), record)
        except MissingFileDepError as error:
            return Verdict(Status.STALE if self.record(run) else Status.INCOMPLETE, str(error))

    def work(self, stage: Stage, run: Run, fingerprint: str = "") -> Work:
        """Return what a worker needs to execute a run; raises MissingFileDepError, TakenError.

        The fingerprint is taken where it is not given.
        """
        if run.key in self.taken:
            raise TakenError(f"{stage.task_name(run)}: {self.taken[run.key]}")
        return Work(
            stage.task_name(run),
            self.batch.as_executed(run),
            f"{self.batch.remote_output_path}/{run.key}",
            fingerprint or self.fingerprint(run),
            self.record(run),
            self.files(run),
            stage.axes_of(run),
        )

    def files(self, run: Run) -> Mapping[str, str]:
        """Return the digests of a run's `file_dep`, or of their folders if they are many; raises MissingFileDepError."""
        return self._files.parts(run.settings.file_dep)

    def publish(self, run: Run, record: Record) -> None:
        """Record the new outcome of a run."""
        self.records[run.key] = record
        self._has_changed = True
        stage = stage_of(run.key)
        self._published[stage] = self._published.get(stage, 0) + 1

    def reread_files(self) -> None:
        """Read the contents of `file_dep` again: something may have written them."""
        self._has_changed = True
        self._files.reread()
        self._settings.clear()

    def reread_files_of(self, stage: Stage, run: Run) -> None:
        """Read a run's `file_dep` again if runs of the stages before have been published since: they may have written it."""
        published = sum(self._published.get(name, 0) for name in stage.after)
        if run.settings.file_dep and self._read_at.get(id(run.settings), 0) != published:
            self._read_at[id(run.settings)] = published
            self._settings.pop(id(run.settings), None)
            self._files.forget(run.settings.file_dep)

    def _parts_of(self, settings: Settings) -> str:
        """Return two parts of a fingerprint, those of environment and files; raises MissingFileDepError."""
        parts = self._settings.get(id(settings))
        if parts is None:  # an id is never used again: the batch keeps every Settings alive
            parts = f"{digest_env(settings.env, settings.shell)}-{self._files.digest(settings.file_dep)}"
            self._settings[id(settings)] = parts
        return parts

    def _sum(self, after: Iterable[Run | RunSet]) -> int:
        """Return the sum of the digests of what has been published of earlier runs."""
        return sum(self._attempt(one) if isinstance(one, Run) else self._gather(one) for one in after)

    def _gather(self, runs: RunSet) -> int:
        published = self._published.get(runs.stage, 0)
        found = self._gathered.get(id(runs))
        if found is None or found[0] != published:
            found = self._gathered[id(runs)] = published, sum(map(self._attempt, runs.members))
        return found[1]

    def _attempt(self, run: Run) -> int:
        record = self.records.get(run.key)
        if record is None and (known := self._settled_with(run)):
            return known.attempts[run.position]
        if record is None or (record.code and self.leaves(run)):
            return 0
        return digest_attempt(run.key, record.attempt)

    def leaves(self, run: Run) -> bool:
        """Return whether the user has said that a run that others come after is to be left as it is."""
        return bool(self.ignored) and not self.ignored.isdisjoint((stage_of(run.key), task_of(run.key)))


class Planned(NamedTuple):
    """A run, its stage and its status."""

    stage: Stage
    run: Run
    verdict: Verdict


def plan(ledger: Ledger, stages: Iterable[Stage], *, always: bool = False) -> Iterator[Planned]:
    """Yield every run with its verdict, stage by stage, in the order of an execution.

    A completed run is stale too if a run that it comes after is going to be executed. Runs that a sparing ledger has
    settled are left out where they are up to date: `count` knows their number.
    """
    busy, ordered = Busy(), in_order(list(stages))
    awaited = {name for stage in ordered for name in stage.after}
    for stage in ordered:
        looks_at_all = always or (stage.after and busy)
        runs = iter(stage.runs if looks_at_all else ledger.unsettled(stage))
        while some := list(islice(runs, _TOGETHER)):
            verdicts = [_planned(ledger, stage, run, busy, always=always) for run in some]
            ledger.look_beside(run for run, verdict in zip(some, verdicts, strict=True) if verdict.execute)
            for run, verdict in zip(some, verdicts, strict=True):
                if verdict.execute and stage.name in awaited:
                    busy.add(run)
                yield Planned(stage, run, ledger.within(run, verdict))


def _planned(ledger: Ledger, stage: Stage, run: Run, busy: Busy, *, always: bool) -> Verdict:
    verdict = ledger.verdict(stage, run)
    if not (verdict.execute or verdict.ignored) and (before := busy.before(run)):
        verdict = Verdict(Status.STALE, "an earlier run is to be executed:", task_of(before.key))
    return FORCED if always and not (verdict.execute or verdict.ignored) else verdict


def failure_budget(max_failures: int | Share | None, runs: int) -> int | None:
    """Return the number of failures after which no further run starts, of so many runs; None without a limit.

    >>> failure_budget(Share(0.05), 40)
    2
    """
    return max(1, round(max_failures.value * runs)) if isinstance(max_failures, Share) else max_failures


def count(verdicts: Iterable[Verdict], of: int = 0) -> Mapping[Verdict, int]:
    """Count runs by verdict, the most frequent first; of many details of one reason a few are kept apart.

    Where there are verdicts of fewer than `of` runs, the others are up to date.
    """
    counts: dict[Verdict, int] = {}
    details: dict[Verdict, int] = {}
    for verdict in verdicts:
        counted = verdict
        if verdict.detail and verdict not in counts:
            alike = verdict._replace(detail="")
            details[alike] = details.get(alike, 0) + 1
            if details[alike] > _DETAILS:
                counted = verdict._replace(detail="others")
        counts[counted] = counts.get(counted, 0) + 1
    if (others := of - sum(counts.values())) > 0:
        counts[UP_TO_DATE] = counts.get(UP_TO_DATE, 0) + others
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
