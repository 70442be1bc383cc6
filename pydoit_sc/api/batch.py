"""A batch from Python: what can be asked of it and done with it, by the same functions as those of the commands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydoit_sc.api.execution import execute, words_of
from pydoit_sc.api.html import page
from pydoit_sc.api.run import LoadedRun, Look, path_of
from pydoit_sc.api.submission import SubmittedBatch
from pydoit_sc.api.values import BatchStatus, FailureKind, FailureKinds, Plan
from pydoit_sc.batchfile.document import STDIN
from pydoit_sc.batchfile.errors import show
from pydoit_sc.chosenresults import results_of
from pydoit_sc.engines.registry import chosen_engine
from pydoit_sc.errors import UserError
from pydoit_sc.failing import failing
from pydoit_sc.origins import check_same
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.selection import (
    Chosen,
    NothingMatchesError,
    Selection,
    among_options,
    check_words,
    parse_selection,
    select,
    select_to_execute,
)
from pydoit_sc.show import frames
from pydoit_sc.standing import stand_all
from pydoit_sc.submissions.choose import Wanted
from pydoit_sc.submissions.submit import submit
from pydoit_sc.utf8 import check_encoding

if TYPE_CHECKING:
    import polars

_WARNINGS = 20  # of files of results that cannot be read


class ChosenRuns:
    """Runs of a batch, chosen by words. Each answer is of the moment when it is asked for: the store is read again."""

    def __init__(self, project: Project, options: dict[str, Any], words: tuple[str, ...] = ()) -> None:
        self._project, self._options, self._words = project, options, words
        self._selection = parse_selection(options, words)

    def __iter__(self) -> Iterator[LoadedRun]:
        """Yield the runs, in the order of the batch, or the slowest first; the store is read once for all of them."""
        project = self._project.again()
        running = project.store.running()  # before the scan: what ends in between is completed
        chosen = self._chosen(project, self._selection)
        if chosen is not None:
            project.narrow(chosen)
        seen = Look(project, project.ledger, running)
        for stage, run in project.batch.runs() if chosen is None else chosen:
            yield LoadedRun(seen, stage, run)

    def __len__(self) -> int:
        chosen = self._chosen(self._project.again(), self._selection)
        return self._project.batch.size if chosen is None else len(chosen)

    def plan(self, *, always: bool = False) -> Plan:
        """Return what `run` would execute, and why; with `always` also what is up to date.

        >>> import pydoit_sc as sc
        >>> sc.load("batchfile.toml").plan()
        1 of 4 runs to execute: 1 failed before
        """
        project = self._project.again()
        try:
            parts = select_to_execute(project, self._selection, always=always)
        except NothingMatchesError:
            parts = ()
        return Plan(project, parts, always=always)

    def status(self) -> BatchStatus:
        """Return how the runs stand, stage by stage and together.

        >>> import pydoit_sc as sc
        >>> sc.load("batchfile.toml").select("day:2022-03-0[56]").status().total.size
        2
        """
        project = self._project.again()
        running = project.store.running()  # before the scan: what ends in between is completed
        stages = project.stages_of(self._chosen(project, self._selection))
        return BatchStatus(*stand_all(project.ledger, stages, running))

    def failures(self) -> FailureKinds:
        """Return what has failed, by kind.

        >>> import pydoit_sc as sc
        >>> for kind in sc.load("batchfile.toml").failures():
        ...     print(kind.group, len(kind), kind.failure, kind.stderr)
        1 1 exit 1 cat: data/2022-03-07.csv: No such file or directory
        """
        project = self._project.again()
        among = parse_selection(among_options(self._options), self._words)
        chosen = self._chosen(project, among)
        if chosen is None:
            chosen = list(project.batch.runs())
        found = failing(project, self._selection, chosen, scanned=among.of_outcomes)
        kinds = (
            FailureKind(number, kind.code, kind.ended, kind.line, kind.tasks) for number, kind in found.kinds
        )
        return FailureKinds(kinds)

    def results(self, *columns: str, sort: str | None = None) -> polars.DataFrame:
        """Return what the runs have written into their files of results, as `pydoit-sc results` has it: a polars data frame.

        It has a row for each completed run, or several where its files have several rows, and these columns, all if none are
        named. It is sorted by the column `sort`, the largest first for `-loss`; a selection's limit counts rows. A file that
        cannot be read is a warning. Raises UserError without `pydoit-sc[frames]`, and for unknown columns.

        >>> import pydoit_sc as sc
        >>> best = sc.load("batchfile.toml").select(limit=2).results("name", "degrees", sort="-degrees")
        >>> best.rows()
        [('day:2022-03-05', 12.8), ('day:2022-03-06', 11.1)]
        """
        frames.need("polars")
        _check_texts("results: columns and sort are texts", [*columns, sort or ""])
        by = sort or ""
        project, selection = self._project.again(), self._selection
        chosen = self._chosen(project, selection._replace(limit=None))
        bad: list[str] = []
        with results_of(
            project,
            selection,
            list(project.batch.runs()) if chosen is None else chosen,
            bad.append,
            columns=columns,
            sort=[by.removeprefix("-")] if by else [],
            descending=by.startswith("-"),
        ) as (table, shown, rows):
            found: polars.DataFrame = frames.frame(shown, [table.types(column) for column in shown], rows)
        for line in bad[:_WARNINGS]:
            warnings.warn(line, stacklevel=2)
        if len(bad) > _WARNINGS:
            warnings.warn(f"and {len(bad) - _WARNINGS:,} more files", stacklevel=2)
        return found

    def run(  # noqa: PLR0913 - the options of `run`
        self,
        *,
        nprocs: int | None = None,
        timeout: int | str | None = None,
        retries: int | None = None,
        max_failures: int | str | None = None,
        always: bool = False,
        moved: bool = False,
        progress: bool = False,
    ) -> Counts:
        """Execute here what is not up to date, as `pydoit-sc run` does, and return how many runs have ended how.

        That is a process of its own, in the batch's folder, which reads the batchfile again; one that has changed since it
        was loaded is refused. Any thread may call it, and other children, signals and the folder of this process are left
        alone. It ends with this process, and an interrupt (Ctrl-C, or that of a notebook) stops its runs where it is called
        in the main thread: Python interrupts no other. So in `asyncio.to_thread` they go on to their end. `on_failure` and
        `on_finish` of the batchfile are run. The arguments are the options of `run`; with `progress` what it shows is
        printed.

        Failed runs are counted. What could not be executed raises ExecutionError, bad input UserError.

        >>> import pydoit_sc as sc
        >>> counts = sc.load("batchfile.toml").run(nprocs=2)
        >>> counts.completed, counts.failed, counts.skipped
        (0, 1, 3)
        """
        check_same(self._project.batch)
        options = {
            "process": nprocs,
            "timeout": timeout,
            "retries": retries,
            "max-failures": max_failures,
        }
        flags = {"always-execute": always, "moved": moved, "quiet": not progress}
        words = words_of(self._project.batch, self._selection, options, flags)
        return execute(words, str(self._project.batch.folder), print if progress else None)

    def submit(  # noqa: PLR0913 - the options of `submit`
        self,
        *,
        engine: str = "",
        nprocs: int | str | None = None,
        timeout: int | str | None = None,
        retries: int | None = None,
        max_failures: int | str | None = None,
        always: bool = False,
        moved: bool = False,
        force: bool = False,
    ) -> SubmittedBatch | None:
        """Hand what is not up to date to an engine, as `pydoit-sc submit` does; None where nothing is to be executed.

        The arguments are the options of `submit`; it returns when the engine has it, and `wait` of what it returns waits.
        A batchfile that has changed since it was loaded is refused.

        >>> import pydoit_sc as sc
        >>> print(sc.load("batchfile.toml").select(status="stale").submit(engine="local"))
        None
        """
        options = {
            "nprocs": nprocs,
            "timeout": timeout,
            "retries": retries,
            "max_failures": max_failures,
        }
        check_same(self._project.batch)
        project = self._project.again()
        project.execute_as({name: str(value) for name, value in options.items() if value is not None})
        try:
            parts = select_to_execute(project, self._selection, always=always)
        except NothingMatchesError:
            return None
        submitted = submit(
            project,
            chosen_engine(project.batch, engine),
            parts,
            Wanted(completed=always, failures=True),
            lambda _: None,
            moved_too=moved,
            force=force,
            hooks=True,
        )
        return SubmittedBatch(submitted) if submitted else None

    def _chosen(self, project: Project, selection: Selection) -> Chosen | None:
        """Return the runs that are meant, None for all of the batch."""
        if not selection:
            return None
        try:
            return select(project, selection)
        except NothingMatchesError:
            return []

    def __repr__(self) -> str:
        return f"<runs of {self._project.batch.name}: {self._selection.text}>"


class LoadedBatch(ChosenRuns):
    """A batch: all that one batchfile, or one list, describes.

    >>> import pydoit_sc as sc
    >>> batch = sc.load("batchfile.toml")
    >>> batch
    <batch weather: 4 runs in 1 stage>
    >>> batch["day:2022-03-05"].stdout
    '12.8\\n'
    >>> [run.name for run in batch if run.status is not sc.Status.COMPLETED]
    ['day:2022-03-07']
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project, {})
        project.say = lambda _: None

    @property
    def name(self) -> str:
        """Its name."""
        return self._project.batch.name

    @property
    def output(self) -> str:
        """Where the outputs of its runs are, a URL or a path."""
        return self._project.batch.remote_output_path

    def __getitem__(self, name: str) -> LoadedRun:
        """Return the run of this name, with its outcome as the store has it now; raises UserError where none has it."""
        _check_texts("a batch is asked by the name of a run", [name])
        project = self._project.again()
        running = project.store.running()  # before the scan: what ends in between is completed
        chosen = project.select([name])
        if len(chosen) != 1:
            raise UserError(f"`{name}` is {len(chosen):,} runs; expected one")
        project.narrow(chosen)
        return LoadedRun(Look(project, project.ledger, running), *chosen[0])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(self._project.matching(name))

    def select(  # noqa: PLR0913 - the words of a command line
        self,
        *names: str,
        status: str | Iterable[str] | None = None,
        code: int | str | Iterable[int | str] | None = None,
        where: str | Iterable[str] | None = None,
        since: str | float | None = None,
        like: str | None = None,
        group: int | None = None,
        slowest: int | None = None,
        limit: int | None = None,
    ) -> ChosenRuns:
        """Return the runs that names, patterns and the other words mean; each is that of the option of the same name.

        `status`, `code` and `where` take several, too, and `since` seconds. A word that means nothing raises UserError.
        Where no run is as asked for, there are none in it.

        >>> import pydoit_sc as sc
        >>> batch = sc.load("batchfile.toml")
        >>> [run.name for run in batch.select("day:*", where="day>2022-03-06", status="error")]
        ['day:2022-03-07']
        """
        conditions = [] if where is None else _several(where)
        _check_texts("select: names, where and like are texts", [*names, *conditions, like or ""])
        options = {
            "statuses": _listed(status),
            "codes": _listed(code),
            "where": conditions,
            "since": None if since is None else str(since),
            "like": like,
            "group": _number(group),
            "slowest": _number(slowest),
            "limit": _number(limit),
        }
        chosen = ChosenRuns(self._project, options, names)
        check_words(self._project, chosen._selection)
        return chosen

    def __repr__(self) -> str:
        batch = self._project.batch
        stages = len(batch.stages)
        return f"<batch {batch.name}: {counted(batch.size, 'run')} in {counted(stages, 'stage')}>"

    def _repr_html_(self) -> str:
        batch = self._project.batch
        rows = [(stage.name, len(stage.runs), ", ".join(stage.after)) for stage in batch.stages]
        return page(f"{self!r} → {self.output}", ("stage", "runs", "after"), rows)


def load(
    batchfile: str | os.PathLike[str] | None = None,
    *,
    to: str | os.PathLike[str] | None = None,
    names: str | None = None,
) -> LoadedBatch:
    """Read a batch: a batchfile, a run list, a list of commands, or a folder with a batchfile in it.

    Without a name it is that of the variable `PYDOIT_SC_FILE`, or the batchfile of this folder. `to` and `names` are the
    options `--to` and `--names`. Nothing is asked of the store yet.

    Raises UserError with all that is wrong with the file, in the words of the command line.

    >>> import pydoit_sc as sc
    >>> sc.load("batchfile.toml").output == sc.load(".", to="out").output
    True
    """
    check_encoding()
    file = os.environ.get("PYDOIT_SC_FILE") if batchfile is None else path_of("load: batchfile", batchfile)
    if file == STDIN:
        raise UserError("a batch from Python is a file or a folder, not standard input")
    if names is not None:
        _check_texts("load: names is a text", [names])
    place = None if to is None else path_of("load: to", to)
    return LoadedBatch(Project.load(file, remote_output_path=place, names=names))


def _listed(value: int | str | Iterable[int | str] | None) -> str | None:
    return None if value is None else ",".join(map(str, _several(value)))


def _several(value: object) -> list[Any]:
    """Return the values of a word that takes one or several."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _check_texts(what: str, values: Iterable[object]) -> None:
    """Raise UserError for what is no text: `select(["a", "b"])` in place of `select("a", "b")`."""
    for value in values:
        if not isinstance(value, str):
            raise UserError(f"{what}, found {show(value)}")


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
