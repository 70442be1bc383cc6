"""The rows of runs: what each has written into `results/*.json` and `results/*.csv`, beside the values of its axes and its figures.

`read_results` yields them as they are read from the store; `ResultTable`, in outcomes/resulttable.py, has their columns, too.
Which files a run has is told by its `run.json`, which a scan brings along: so on an object store each file of results is
one request, some at once, and a run without costs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from pydoit_sc.batch import PLAIN, Axes, Run, Stage
from pydoit_sc.outcomes.files import BadFileError, blocks, files_of, patiently
from pydoit_sc.outcomes.flatten import SUFFIXES, Value, Values, merged, rows_in
from pydoit_sc.sidebyside import side_by_side
from pydoit_sc.store import Outputs, Record, Store, UnreadableError
from pydoit_sc.store.documents import FileEntry
from pydoit_sc.store.layout import RESULTS
from pydoit_sc.store.stamps import parse_record

LARGEST_RESULT = 4 << 20  # bytes of a file; larger ones are no figures, and are told
_THREADS = 32  # more bring little, and each outcome that waits for its turn takes memory

Document = tuple[str, bytes, "bytes | None"]


class ResultKey(NamedTuple):
    """Where a value comes from."""

    file: str  # `metrics.json`
    key: str  # `loss`, `test.f1`; "" where the file is one value


class ResultRow(NamedTuple):
    """A row of a run; a run without results has one, a run with a CSV of several rows several."""

    name: str  # of its doit task
    axes: Axes  # of a run of a list: `cmd`, its command
    record: Record
    values: dict[ResultKey, Value]


class _Outcome(NamedTuple):
    record: Record
    files: dict[str, bytes]
    wrong: list[str]  # files that cannot be had, and why


def axes_of(stage: Stage, run: Run) -> Axes:
    """Return what tells a run from others: of a list, where its name is a digest or a position, its command."""
    return {"cmd": run.cmd} if stage.name == PLAIN else stage.axes_of(run)


def is_completed(record: Record) -> bool:
    """Return whether an outcome has status code 0; its run may be stale."""
    return record.code == 0


def read_results(
    store: Store,
    chosen: Iterable[tuple[Stage, Run]],
    tell: Callable[[str], None],
    takes: Callable[[Record], bool] = is_completed,
) -> Iterator[ResultRow]:
    """Yield the rows of these runs, in their order; those without an outcome that `takes` takes have none.

    `tell` gets a line for each file or outcome that cannot be read; what else its run has is in its rows. Raises StoreError where the
    store fails.
    """
    runs = {run.key: (stage, run) for stage, run in chosen}

    def unread(key: str, why: str) -> None:
        stage, run = runs[key]
        tell(f"{stage.task_name(run)}: {why}")

    threads = min(store.stagers, _THREADS)
    answers = side_by_side(partial(_read, store, takes), store.documents(runs, unread), threads)
    for key, outcome in answers:
        if outcome is None:
            continue
        stage, run = runs[key]
        name, axes = stage.task_name(run), axes_of(stage, run)
        files, wrong = _parsed(outcome)
        for what in wrong:
            tell(f"{name}: {what}")
        for row in merged(files):
            values = {ResultKey(file, key): value for file, key, value in row}
            yield ResultRow(name, axes, outcome.record, values)


def _read(store: Outputs, takes: Callable[[Record], bool], document: Document) -> tuple[str, _Outcome | None]:
    """Return the outcome of a run, read once more where a worker may have replaced it meanwhile."""
    key, *small = document
    outcome = _outcome(store, takes, document)
    if outcome and outcome.wrong:
        for again in store.documents([key]):
            if [*again[1:]] != small:
                outcome = _outcome(store, takes, again)
    return key, outcome


def _outcome(store: Outputs, takes: Callable[[Record], bool], document: Document) -> _Outcome | None:
    key, status_code, run_json = document
    record = parse_record(status_code, run_json)
    if not takes(record):
        return None
    outcome = _Outcome(record, {}, [])
    try:
        listed, wrong = files_of(store, key, run_json)
    except UnreadableError as error:
        outcome.wrong.append(str(error))
        return outcome
    outcome.wrong.extend(wrong)
    for path, entry in sorted(listed.items()):
        folder, _, name = path.rpartition("/")
        if folder != RESULTS or not name.endswith(SUFFIXES):
            continue
        try:
            outcome.files[name] = patiently(partial(_content, store, key, path, entry))
        except BadFileError as error:
            outcome.wrong.append(f"{path}: {error}")
    return outcome


def _parsed(outcome: _Outcome) -> tuple[dict[str, list[Values]], list[str]]:
    """Return the rows of each file that can be read, and what is wrong with the others."""
    files, wrong = {}, outcome.wrong[:]
    for name, data in outcome.files.items():
        try:
            files[name] = rows_in(name, data)
        except ValueError as error:
            wrong.append(f"{RESULTS}/{name}: {error}")
    return files, wrong


def _content(store: Outputs, key: str, path: str, entry: FileEntry) -> bytes:
    data = b""
    for block in blocks(store, key, path, entry):
        data += block
        if len(data) > LARGEST_RESULT:
            raise BadFileError(f"expected {LARGEST_RESULT >> 20} MiB at most, found more")
    return data
