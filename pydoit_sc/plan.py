"""Which runs will execute, and why: the status of each run, from what the batch says and what the store has.

A run is up to date if the store has status code 0 for it, published with the same fingerprint: the command, the
environment that the batchfile sets, the contents of `file_dep`, and which attempts of the stages it comes `after`
had been published. The last part is a digest of attempts, not a comparison of times, so no clock matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from graphlib import TopologicalSorter

from pydoit_sc.batch import Batch, Run, Settings, Share, Stage, Status
from pydoit_sc.fingerprint import (
    NOTHING,
    FileDigests,
    MissingFileDepError,
    changed_parts,
    digest_env,
    digest_runs,
    digest_text,
)
from pydoit_sc.globbing import outputs_of
from pydoit_sc.store import Live, Record, Store, TakenError


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of a run, and the reason in a few words."""

    status: Status
    reason: str
    ignored: bool = False  # the user has said so, whatever the status

    @property
    def execute(self) -> bool:
        """Whether the run is to be executed."""
        return self.status is not Status.COMPLETED and not self.ignored


def is_current(record: Record, fingerprint: str) -> bool:
    """Return whether an outcome is completed and still that of the run as it is now.

    An outcome without a fingerprint, as `sc batch` writes it, is taken as it is.
    """
    return record.code == 0 and record.fingerprint in ("", fingerprint)


UP_TO_DATE = Verdict(Status.COMPLETED, "up to date")
NEW = Verdict(Status.INCOMPLETE, "no status_code")
NO_CODE = Verdict(Status.INCOMPLETE, "status_code holds no status code")
FORCED = Verdict(Status.STALE, "forced")
ORPHANED = Verdict(Status.ORPHANED, "its run is no longer in the batch")

_CHANGED = {
    "cmd": "the command has changed",
    "env": "shell or env has changed",
    "file_dep": "a file_dep has changed",
    "after": "an earlier stage has been published since",
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
    return Verdict(Status.STALE, ", ".join(_CHANGED[part] for part in parts))


def judge_live(verdict: Verdict, live: Live | None) -> Verdict:
    """Return a run's verdict, given the attempt that a live worker says it executes now."""
    if live is None or not verdict.execute:
        return verdict
    return Verdict(Status.RUNNING, f"on {live.host} since {live.since}")


@dataclass(frozen=True, slots=True)
class Work:
    """One run to execute, with what is known of it: the value that goes from a plan or a chunk to the worker."""

    task: str  # the name of its doit task, `month:2012-01` or `plot`
    run: Run
    output: str  # the URL of its output
    fingerprint: str
    known: Record | None = None  # what the store said when the run was chosen


class Ledger:
    """A batch beside what the store has of it; kept up to date as runs are published."""

    def __init__(
        self,
        batch: Batch,
        records: dict[str, Record],
        taken: Mapping[str, str] | None = None,
        ignored: Set[str] = frozenset(),
    ) -> None:
        self.batch = batch
        self.records = records
        self.taken = taken or {}  # runs whose places in the store something else takes, in words
        self.ignored = ignored  # stages and tasks that are not executed, by name
        self._stages = {stage.name: stage for stage in batch.stages}
        folders = (run.key.partition("/")[0] for _, run in batch.runs())
        outputs = outputs_of(batch.remote_output_path, str(batch.folder), folders)
        self._files = FileDigests(batch.folder, outputs)
        self._settings: dict[int, str] = {}
        self._after: dict[str, str] = {}

    def fingerprint(self, stage: Stage, run: Run) -> str:
        """Return what the run depends on now; raises MissingFileDepError."""
        parts = self._settings.get(id(run.settings)) or self._digest(run.settings)
        return f"{digest_text(run.cmd)}-{parts}-{self._digest_after(stage) if stage.after else NOTHING}"

    def verdict(self, stage: Stage, run: Run) -> Verdict:
        """Return the status of a run now."""
        verdict = self._verdict(stage, run)
        if self.is_ignored(stage, run):
            return Verdict(verdict.status, f"ignored; {verdict.reason}", ignored=True)
        return verdict

    def is_ignored(self, stage: Stage, run: Run) -> bool:
        """Return whether the user has said that a run, or its stage, is to be left as it is."""
        return bool(self.ignored) and (stage.name in self.ignored or stage.task_name(run) in self.ignored)

    def _verdict(self, stage: Stage, run: Run) -> Verdict:
        if run.key in self.taken:
            return Verdict(Status.INCOMPLETE, self.taken[run.key])
        try:
            return judge(self.fingerprint(stage, run), self.records.get(run.key))
        except MissingFileDepError as error:
            return Verdict(Status.STALE if run.key in self.records else Status.INCOMPLETE, str(error))

    def work(self, stage: Stage, run: Run) -> Work:
        """Return what a worker needs to execute a run; raises MissingFileDepError, TakenError."""
        if run.key in self.taken:
            raise TakenError(f"{stage.task_name(run)}: {self.taken[run.key]}")
        output = f"{self.batch.remote_output_path}/{run.key}"
        return Work(
            stage.task_name(run), run, output, self.fingerprint(stage, run), self.records.get(run.key)
        )

    def publish(self, run: Run, record: Record) -> None:
        """Record the new outcome of a run."""
        self.records[run.key] = record
        self._after.clear()

    def reread_files(self) -> None:
        """Read the contents of `file_dep` again: something may have written them."""
        self._files.reread()
        self._settings.clear()

    def _digest(self, settings: Settings) -> str:
        # The batch keeps every Settings alive, so an id is never used again.
        parts = f"{digest_env(settings.env, settings.shell)}-{self._files.digest(settings.file_dep)}"
        self._settings[id(settings)] = parts
        return parts

    def _digest_after(self, stage: Stage) -> str:
        if stage.name not in self._after:
            attempts = (
                (run.key, record.attempt)
                for name in stage.after
                for run in self._stages[name].runs
                if (record := self.records.get(run.key))
                and (record.code == 0 or not self.is_ignored(self._stages[name], run))
            )
            self._after[stage.name] = digest_runs(attempts)
        return self._after[stage.name]


def open_ledger(batch: Batch, store: Store, ignored: Set[str] = frozenset()) -> Ledger:
    """Read what the store has of a batch, in one bulk scan; raises StoreError."""
    found = store.survey(run.key for _, run in batch.runs())
    return Ledger(batch, found.records, found.taken, ignored)


@dataclass(frozen=True, slots=True)
class Planned:
    """A run, its stage and its status."""

    stage: Stage
    run: Run
    verdict: Verdict


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages in an order in which each follows those that it comes `after`."""
    by_name = {stage.name: stage for stage in stages}
    graph = {stage.name: [name for name in stage.after if name in by_name] for stage in stages}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def plan(ledger: Ledger, stages: Iterable[Stage], *, always: bool = False) -> Iterator[Planned]:
    """Yield every run with its verdict, stage by stage, in the order of an execution.

    A completed run of a stage is stale too if a run of a stage before it is going to be executed.
    """
    busy: set[str] = set()
    for stage in in_order(list(stages)):
        before = [name for name in stage.after if name in busy]
        for run in stage.runs:
            verdict = ledger.verdict(stage, run)
            if not (verdict.execute or verdict.ignored) and before:
                verdict = Verdict(Status.STALE, f"comes after `{before[0]}`, which has runs to execute")
            if not (verdict.execute or verdict.ignored) and always:
                verdict = FORCED
            if verdict.execute:
                busy.add(stage.name)
            yield Planned(stage, run, verdict)


def moved(ledger: Ledger) -> list[str]:
    """Return the unnamed runs whose place in the store holds the outcome of another run's command.

    Their position identifies them, so a line that is inserted or removed makes all that follow it stale.
    """
    found = []
    for stage in ledger.batch.stages:
        if ledger.records and not stage.named:
            digests = {run.name: digest_text(run.cmd) for run in stage.runs}
            known = set(digests.values())
            for run in stage.runs:
                record = ledger.records.get(run.key)
                was = record.fingerprint.partition("-")[0] if record else ""
                if was in known and was != digests[run.name]:
                    found.append(run.name)
    return found


def failure_budget(max_failures: int | Share | None, runs: int) -> int | None:
    """Return the number of failures after which no further run starts, of so many runs; None without a limit.

    >>> failure_budget(Share(0.05), 40)
    2
    """
    return max(1, round(max_failures.value * runs)) if isinstance(max_failures, Share) else max_failures


def count(planned: Iterable[Planned]) -> Mapping[Verdict, int]:
    """Count runs by verdict, the most frequent first."""
    counts: dict[Verdict, int] = {}
    for item in planned:
        counts[item.verdict] = counts.get(item.verdict, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
