"""One run of a batch from Python: its status, its outcome and what it has written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from pydoit_sc.api.html import page
from pydoit_sc.batch import Axes, Run, Stage, Status
from pydoit_sc.batchfile.errors import show
from pydoit_sc.errors import UserError
from pydoit_sc.ledger import Ledger
from pydoit_sc.project import Project
from pydoit_sc.store import Live, Record
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.times import moment_of
from pydoit_sc.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a batch's store: all that is said of its runs is of one moment."""

    project: Project
    ledger: Ledger  # what the store had of the runs
    running: Mapping[str, Live]  # what live workers say they execute, by key


class LoadedRun:
    """A run, with its outcome as the store had it when the batch was asked for it; its files are read when they are asked for.

    >>> import pydoit_sc as sc
    >>> run = sc.load("batchfile.toml")["day:2022-03-07"]
    >>> run
    day:2022-03-07: error, status code 1
    >>> run.status is sc.Status.ERROR, run.code, run.stage
    (True, 1, 'day')
    >>> run.stderr
    'cat: data/2022-03-07.csv: No such file or directory\\n'
    """

    __slots__ = ("_look", "_run", "_stage")

    def __init__(self, look: Look, stage: Stage, run: Run) -> None:
        self._look, self._stage, self._run = look, stage, run

    @property
    def name(self) -> str:
        """Its name, as it is written on a command line: `day:2022-03-07`."""
        return self._stage.task_name(self._run)

    @property
    def stage(self) -> str:
        """The name of its stage."""
        return self._stage.name

    @property
    def cmd(self) -> str:
        """Its command."""
        return self._run.cmd

    @property
    def axes(self) -> Axes:
        """The values that it was made from: `{"day.start": "2022-03-07", …}`; none for a run of a plain list."""
        return self._stage.axes_of(self._run)

    @property
    def output(self) -> str:
        """The URL of its output."""
        return self._look.project.output(self._run)

    @property
    def status(self) -> Status:
        """Its status: completed, error, incomplete, stale, or running."""
        return self._verdict.status

    @property
    def reason(self) -> str:
        """Why it has this status: `status code 1`, `the command has changed`, `on node3 since …`."""
        return self._verdict.words

    @property
    def code(self) -> int | None:
        """Its status code; None where it has none."""
        return self._record.code if self._record else None

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took; None where that is not known."""
        return (self._record and self._record.seconds) or None

    @property
    def memory(self) -> int | None:
        """The peak of its largest process in bytes; None where that is not known."""
        return (self._record and self._record.memory) or None

    @property
    def host(self) -> str | None:
        """The machine that has executed it; None where that is not known."""
        return (self._record and self._record.host) or None

    @property
    def started(self) -> datetime | None:
        """When its last attempt was started, by the clock of that machine, in UTC; None where that is not known."""
        return _moment(self._record.started) if self._record else None

    @property
    def ended(self) -> datetime | None:
        """When that has ended."""
        return _moment(self._record.ended) if self._record else None

    @property
    def stdout(self) -> str:
        """What it has written to standard output; bytes that are no UTF-8 are escapes, `open` has them as they are."""
        return self._text(STDOUT)

    @property
    def stderr(self) -> str:
        """What it has written to standard error."""
        return self._text(STDERR)

    @property
    def files(self) -> Mapping[str, int]:
        """The files of its output with their sizes in bytes, by path: `stdout`, `results/loss.json`; none without an outcome."""
        return self._look.project.store.files(self._run.key) if self._record else {}

    def open(self, path: str | os.PathLike[str]) -> BinaryIO:
        """Open one of its `files` to read; raises UserError where there is none.

        >>> import pydoit_sc as sc
        >>> with sc.load("batchfile.toml")["day:2022-03-05"].open("stdout") as file:
        ...     file.read()
        b'12.8\\n'
        """
        path = path_of("open: path", path)
        if self._record is None:
            raise UserError(f"`{self.name}` has no output in {self._look.project.store.url}")
        try:
            if path.startswith("/") or ".." in path.split("/"):
                raise FileNotFoundError
            return self._look.project.store.open(self._run.key, path)
        except FileNotFoundError:
            has = ", ".join(sorted(self.files))
            raise UserError(f"`{self.name}` has no file `{path}`; it has {has}") from None

    def _text(self, path: str) -> str:
        with self.open(path) as file:
            return file.read().decode(errors="backslashreplace")

    @property
    def _record(self) -> Record | None:
        return self._look.ledger.records.get(self._run.key)

    @property
    def _verdict(self) -> Verdict:
        return self._look.ledger.verdict(self._stage, self._run, self._look.running.get(self._run.key))

    def __repr__(self) -> str:
        verdict = self._verdict
        return f"{self.name}: {verdict.status}, {verdict.words}"

    def _repr_html_(self) -> str:
        names = ("cmd", "output", "code", "seconds", "memory", "host", "started", "ended")
        facts = ((name, getattr(self, name)) for name in names)
        return page(repr(self), ("", ""), [(name, value) for name, value in facts if value is not None])


def path_of(what: str, given: object) -> str:
    """Return a path that was given as a text or a path; raises UserError for anything else."""
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if isinstance(path, str):
        return path
    raise UserError(f"{what} is a text or a path, found {show(given)}")


def _moment(seconds: float) -> datetime | None:
    return moment_of(seconds) if seconds else None
