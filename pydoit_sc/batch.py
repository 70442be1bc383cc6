"""The model: batch, stage, run, and the words for a run's status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, Union

T = TypeVar("T")

Axes = Mapping[str, Union[str, int, float, bool]]  # noqa: UP007 - evaluated at run time, Python 3.10

MOST_AT_ONCE = 10_000  # runs on a machine: each rank is known to its worker
PATIENCE = 600.0  # seconds for which a worker waits for an object store that cannot be reached

#: The task group of a plain list of runs (`[[runs]]`, `runs_from`, a run list of the seed).
PLAIN = "runs"

#: The tasks of a submission, the same for every engine; `sync` and `split` are groups.
ENGINE_TASKS = ("sync", "split", "chunk", "recipe", "apply")

#: Where our own files lie below `remote_output_path`; no output may take this name.
OURS = ".pydoit_sc"


class Status(str, Enum):
    """The status of a run: what the store has of it, seen with the batch as it is now."""

    COMPLETED = "completed"  # status code 0, and current
    ERROR = "error"  # another status code
    INCOMPLETE = "incomplete"  # no status code
    STALE = "stale"  # completed, but its command or what it depends on has changed
    RUNNING = "running"  # a live worker says so
    ORPHANED = "orphaned"  # an output whose run is no longer in the batch

    def __str__(self) -> str:
        return self.value


class Settings(NamedTuple):
    """How runs of one shape are executed, and what they depend on; shared by many runs, or one for each of a million."""

    env: Mapping[str, str] = {}  # the batch's, the stage's and the run's
    file_dep: tuple[str, ...] = ()  # paths and glob patterns as written, from the batchfile's folder
    timeout: float | None = None  # seconds, for one attempt
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL
    retries: int = 0  # further attempts after a failure
    retry_on: frozenset[int] | None = None  # only after these codes; None: after every failure
    shell: tuple[str, ...] = ()  # the words before the command; none for /bin/sh
    slots: int = 1  # of `nprocs`, that a run holds while it executes
    memory: int | None = None  # bytes that a run may use


class Run(NamedTuple):
    """One shell command with a name and a place for its output."""

    name: str  # unique in its stage
    cmd: str
    key: str  # the path of its output below `remote_output_path`
    settings: Settings
    local_results_dir: str | None = None  # for `sc`, and tells our worker of a scratch disk
    after: tuple[Run | RunSet, ...] = ()  # what must be completed first
    position: int = 0  # among the runs of its stage


class RunSet(NamedTuple):  # one value for all that come after it, known by its identity
    """Runs of one stage that others come after together: all of it, or those that match a pattern."""

    stage: str
    members: Sequence[Run]
    whole: bool


def is_pattern(name: str) -> bool:
    """Return whether a name of runs is a pattern: the name of a run has none of these characters."""
    return any(char in name for char in "*?[")


def stage_of(key: str) -> str:
    """Return the name of the stage of a run that others come after, from its key; none comes after one of a plain list.

    >>> stage_of("align/s1")
    'align'
    """
    return key.partition("/")[0]


def task_of(key: str) -> str:
    """Return the name of the doit task of such a run, from its key.

    >>> task_of("align/s1")
    'align:s1'
    """
    return key.replace("/", ":", 1)


class Stage(NamedTuple):
    """A named group of runs of one shape."""

    name: str  # the doit task group
    runs: Sequence[Run]
    after: tuple[str, ...] = ()  # the stages that its runs come after
    single: bool = False  # no matrix: its one run is the task `name` itself
    named: bool = True  # False: at least one run is known only by its position
    #: Gives the values of the axes of the run at a position: `{"model": "a", "month.start": "2012-01-01", …}`.
    axes: Callable[[int], Axes] | None = None

    @property
    def folders(self) -> Iterable[str]:
        """The folders of its outputs; those of a plain list are its runs'."""
        return (stage_of(run.key) for run in self.runs) if self.name == PLAIN else (self.name,)

    def axes_of(self, run: Run) -> Axes:
        """Return the values of the axes that a run was made from, by what placeholders name of them."""
        return self.axes(run.position) if self.axes else {}

    def task_name(self, run: Run) -> str:
        """Return the doit task name of one of this stage's runs, `month:2012-01` or `plot`."""
        return self.name if self.single else f"{self.name}:{run.name}"


class Share(NamedTuple):
    """A part of the batch's runs, from 0 to 1 (`max_failures = "5 %"`)."""

    value: float


def failure_budget(max_failures: int | Share | None, runs: int) -> int | None:
    """Return the number of failures after which no further run starts, of so many runs; None without a limit.

    >>> failure_budget(Share(0.05), 40)
    2
    """
    return max(1, round(max_failures.value * runs)) if isinstance(max_failures, Share) else max_failures


class Batch(NamedTuple):
    """All that one batchfile, run list or chunk describes."""

    name: str
    path: Path  # the file it was read from, as messages name it
    remote_output_path: str  # a URL or absolute path, without a slash at its end
    stages: tuple[Stage, ...]
    nprocs: int | Literal["cores", "gpus"] | None = None  # None: not said
    at_most: int | None = None  # of those, where they are "gpus", and a command line wants fewer
    scale: int | None = None
    batch_size: int | None = None  # runs per chunk; 3 × nprocs if None
    max_failures: int | Share | None = None
    scratch: str | None = None
    durable: bool = True
    patience: float = PATIENCE
    min_free_memory: int | None = None  # bytes that must be available for a run to be started
    storage_options: Mapping[str, Any] = {}
    on_failure: str | None = None  # a command for the end of an execution that has failed: hooks.py
    on_finish: str | None = None  # one for every end
    tables: Mapping[str, object] = {}  # [sync] and those of engines, by name
    instead: Mapping[str, Any] = {}  # settings of all runs, in place of their own
    is_list: bool = False  # it was read from a run list, not from a batchfile
    workdir: Path | None = None  # where its commands run, where that is not the folder of its file
    words: tuple[str, ...] = ()  # the options that name this batch on a command line, in any folder
    #: What it was read from, the files of its axes too, with digests of what they had.
    files: Mapping[str, str] = {}

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the file count from, and in which its commands run."""
        return self.workdir or self.path.parent

    @property
    def has_hooks(self) -> bool:
        """Whether commands are to be run at the end of its executions."""
        return bool(self.on_failure or self.on_finish)

    @property
    def size(self) -> int:
        """The number of runs."""
        return sum(len(stage.runs) for stage in self.stages)

    def table(self, name: str, kind: type[T]) -> T:
        """Return the table of this name, or an empty one of its kind where the file has none."""
        found = self.tables.get(name)
        return found if isinstance(found, kind) else kind()

    def with_nprocs(self, nprocs: int | Literal["cores", "gpus"]) -> Batch:
        """Return the batch with so many runs at once; of "gpus" a number is the most: each run keeps its own GPU.

        >>> batch = Batch("b", Path("/b.toml"), "out", (), nprocs="gpus")
        >>> [(one.nprocs, one.at_most) for one in (batch.with_nprocs(2), batch.with_nprocs("cores"))]
        [('gpus', 2), ('cores', None)]
        """
        if self.nprocs == "gpus" and isinstance(nprocs, int):
            return self._replace(at_most=nprocs)
        return self._replace(nprocs=nprocs, at_most=None)

    def as_executed(self, run: Run) -> Run:
        """Return a run with the settings that it is executed with: what a command line says, it says of all."""
        return run._replace(settings=run.settings._replace(**self.instead)) if self.instead else run

    def runs(self) -> Iterator[tuple[Stage, Run]]:
        """Yield every run with its stage, in the order of the file."""
        for stage in self.stages:
            for run in stage.runs:
                yield stage, run
