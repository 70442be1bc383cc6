"""A batch beside what the store has of it: what each run depends on now, its outcome and its verdict, as runs are published."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import compress
from typing import NamedTuple

from pydoit_sc.batch import PLAIN, Batch, Run, RunSet, Settings, Stage, Status, stage_of, task_of
from pydoit_sc.fingerprint import (
    NOTHING,
    FileDigests,
    MissingFileDepError,
    Placeless,
    after_part,
    digest_attempt,
    digest_env,
    digest_text,
)
from pydoit_sc.made import MANY, MadeRuns, keys_of
from pydoit_sc.store import Live, Record, TakenError
from pydoit_sc.times import local
from pydoit_sc.urls import local_path
from pydoit_sc.verdicts import UP_TO_DATE, Verdict, is_current, is_executing, judge


class Work(NamedTuple):
    """One run to execute, with what is known of it: the value that goes from a plan or a chunk to the worker."""

    task: str  # the name of its doit task, `month:2012-01` or `plot`
    run: Run
    output: str  # the URL of its output
    fingerprint: str
    known: Record | None = None  # what the store said when the run was chosen
    files: Mapping[str, str] = {}  # digests of `file_dep`, for `run.json`
    axes: Mapping[str, str | int | float | bool] = {}  # for `run.json`


class Settled(NamedTuple):
    """The runs of a stage whose outcomes were current when the store was read, and are not kept."""

    others: bytearray  # for each run, by its position: 1 where it is none of them
    attempts: array[int]  # for each of them the digest of its attempt; empty where no run comes after them
    seconds: array[float]  # how long each of them took; 0: not known


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
        self._files = FileDigests.of(batch)
        self._placeless = Placeless(local_path(batch.remote_output_path) or batch.remote_output_path)
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

    def decide(self, stage: Stage, run: Run, *, always: bool) -> tuple[str | None, Verdict]:
        """Return the fingerprint of a run whose turn has come, None if it cannot be executed, and its verdict."""
        try:
            fingerprint = self.fingerprint(run)
        except MissingFileDepError:
            return None, self.verdict(stage, run)
        verdict = judge(self.expected(run, fingerprint), self.record(run))
        if run.key in self.taken and (verdict.execute or always):
            return None, Verdict(verdict.status, self.taken[run.key])
        return fingerprint, verdict

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
        """Return what a worker needs to execute a run; raises MissingFileDepError and TakenError, which name the run.

        The fingerprint is taken where it is not given.
        """
        task = stage.task_name(run)
        if run.key in self.taken:
            raise TakenError(f"{task}: {self.taken[run.key]}")
        try:
            now, files = fingerprint or self.fingerprint(run), self.files(run)
        except MissingFileDepError as error:
            raise MissingFileDepError(f"{task}: {error}") from None
        output, record = f"{self.batch.remote_output_path}/{run.key}", self.record(run)
        return Work(task, self.batch.as_executed(run), output, now, record, files, stage.axes_of(run))

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
