"""A file to a `Batch`: which shape it has, and what its parts become."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydoit_sc import passwords
from pydoit_sc.batch import Batch, Settings, Stage
from pydoit_sc.batchfile.batchtables import BatchTable, SyncTable
from pydoit_sc.batchfile.check import check, check_slots
from pydoit_sc.batchfile.document import STDIN, STDIN_NAME, Source, failure
from pydoit_sc.batchfile.errors import BatchfileError, Where, show
from pydoit_sc.batchfile.read import read
from pydoit_sc.batchfile.remote import absolute_url, expanded, literal
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.batchfile.stages import read_stages
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.globbing import outputs_of
from pydoit_sc.installed import engine_class, engine_names
from pydoit_sc.utf8 import escaped

_OF_BATCH = (
    *("nprocs", "scale", "batch_size", "max_failures", "scratch"),
    *("durable", "patience", "min_free_memory", "storage_options", "on_failure", "on_finish"),
)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Millions of objects, none of them garbage: a collector that walks them triples the time YAML takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_paused()
def build(path: str | os.PathLike[str], override: str | None, names: str | None) -> Batch:
    """Read the file at `path`; `override` takes the place of its `remote_output_path`. Raises BatchfileError."""
    file = os.fspath(path)
    given = STDIN if file == STDIN else os.path.abspath(file)
    document = read(given, STDIN_NAME if given == STDIN else file)
    if names is not None and document.format != "csv":
        raise failure(
            file, "`--names` takes the names of runs from a column of a CSV or TSV file, and this is neither"
        )
    plain = given == STDIN or document.format == "lines"
    notes = Notes(Report(), document)
    if document.format == "toml":
        notes = notes._replace(home=_home)
    source = Source(os.path.dirname(os.path.abspath(file)), file, datetime.now(timezone.utc), {})
    if given != STDIN:
        source.has_read(given, document.raw)
    is_list = document.format != "toml"
    made = _from_run_list(source, notes, override, names) if is_list else _from_toml(source, notes, override)
    notes.report.check()
    name = made.pop("name", None) or escaped(os.path.basename(source.folder)) or "batch"
    to = literal(made["remote_output_path"]) if override else None
    options = {"-f": given, "--to": to, "--names": names}
    words = tuple(word for option, value in options.items() if value for word in (option, value))
    path = Path(STDIN_NAME if given == STDIN else given)
    workdir = Path.cwd() if plain else None
    return Batch(
        name=name, path=path, is_list=is_list, workdir=workdir, words=words, files=source.files, **made
    )


def _home(where: Where) -> str:
    from pydoit_sc.batchfile.homes import home  # noqa: PLC0415 - needed only when something is wrong

    return home(where)


def _from_toml(source: Source, notes: Notes, override: str | None) -> dict[str, Any]:
    data = notes.document.data
    given = data.get("batch", {})
    batch = check(BatchTable, given, notes, ("batch",)) or BatchTable()
    if override is None and isinstance(given, dict) and "remote_output_path" not in given:
        notes.add(("batch",), "no `remote_output_path`: where the outputs go, a URL or a path")
    check_slots(given, batch.nprocs, notes, ("batch",))
    remote = _remote(batch.remote_output_path, ("batch",), source, notes, override)
    if remote is not None and batch.storage_options:
        _check_options(remote, batch.storage_options, notes)
    return {
        "name": batch.name,
        "remote_output_path": remote,
        "stages": _stages(data, batch, remote, source, notes),
        "tables": _tables(data, notes),
        **{key: getattr(batch, key) for key in _OF_BATCH},
    }


def _check_options(remote: str, options: Mapping[str, Any], notes: Notes) -> None:
    from pydoit_sc.batchfile.storage import options_of  # noqa: PLC0415 - most batchfiles have none

    model = options_of(remote)
    if model:
        check(model, options, notes, ("batch", "storage_options"))


def _tables(data: Mapping[str, Any], notes: Notes) -> dict[str, Table]:
    """Return the tables beside [batch] and [runs]: [sync] and those of engines."""
    tables: dict[str, Table] = {}
    for key in data.keys() - {"batch", "runs"}:
        model = SyncTable if key == "sync" else _engine_table(key, notes)
        table = check(model, data[key], notes, (key,)) if model else None
        if table is not None:
            tables[key] = table
    return tables


def engine_tables() -> Mapping[str, type[Table]]:
    """Return the tables of the engines that are installed, by name."""
    return {name: engine_class(name).table for name in engine_names()}


def _engine_table(engine: str, notes: Notes) -> type[Table] | None:
    """Return the model of an engine's table, or None after noting why there is none."""
    if engine not in engine_names():
        notes.unknown_key((engine,), "unknown table", ("batch", "runs", "sync", *engine_names()))
        return None
    try:
        table: type[Table] = engine_class(engine).table
    except Exception as error:  # its class may also lack a table
        notes.add((engine,), f"the engine cannot be used: {error}")
        return None
    return table


def _stages(
    data: Mapping[str, Any], batch: BatchTable, remote: str | None, source: Source, notes: Notes
) -> tuple[Stage, ...]:
    """Return the stages from the one of three places that has them."""
    given, runs, settings = data.get("batch"), data.get("runs"), batch.over(Settings())
    runs_from = given.get("runs_from") if isinstance(given, dict) else None
    if runs_from is not None:
        if runs is not None:
            notes.add(("batch", "runs_from"), "there are `runs` in this file too; keep one of them")
        return _runs_from(runs_from, batch, remote, source, notes)
    if isinstance(runs, dict):
        outputs = outputs_of(remote, source.folder, runs) if remote else ()
        for name, table in runs.items():
            check_slots(table, batch.nprocs, notes, ("runs", name))
        return read_stages(runs, settings, source._replace(outputs=outputs), remote, notes)
    if isinstance(runs, list):
        from pydoit_sc.batchfile.runlist import RunReader  # noqa: PLC0415 - stages need no lists
        from pydoit_sc.batchfile.runtables import RunTable  # noqa: PLC0415

        reader = RunReader(RunTable, settings, notes, ("runs",), remote)
        return (reader.read(runs, source.folder, batch.nprocs),)
    if runs is None:
        notes.add((), "no runs: expected stages [runs.NAME], a list [[runs]], or `runs_from` in [batch]")
    else:
        notes.add(("runs",), f"expected stages [runs.NAME] or a list [[runs]], found {show(runs)}")
    return ()


def _runs_from(
    name: object, batch: BatchTable, remote: str | None, source: Source, notes: Notes
) -> tuple[Stage, ...]:
    if not isinstance(name, str) or not name.strip():
        return ()  # noted with the other keys of [batch]
    if why := passwords.in_url(name):
        notes.add(("batch", "runs_from"), why)
        return ()
    from pydoit_sc.batchfile.runlist import RunReader, listed_items  # noqa: PLC0415 - stages need no lists
    from pydoit_sc.batchfile.runtables import ListedRun  # noqa: PLC0415

    name = os.path.expanduser(name)
    path = os.path.join(source.folder, name)
    file = os.path.join(os.path.dirname(source.file), name)
    listed = Report()  # of its own: a list may turn out to be none after faults of its runs have been noted
    try:
        document = read(path, file)
        source.has_read(path, document.raw)
        if document.format == "toml":
            notes.add(
                ("batch", "runs_from"),
                "expected a run list in JSON, JSON Lines, YAML, CSV or TSV, or commands, found TOML",
            )
            return ()
        items, where = listed_items(Notes(listed, document))
        reader = RunReader(ListedRun, batch.over(Settings()), Notes(listed, document), where, remote)
        stage = reader.read(items, os.path.dirname(path), batch.nprocs)
    except BatchfileError as error:
        notes.file(("batch", "runs_from"), error)
        return ()
    notes.report.join(listed)
    return (stage,)


def _from_run_list(source: Source, notes: Notes, override: str | None, names: str | None) -> dict[str, Any]:
    from pydoit_sc.batchfile.runlist import RunReader, listed_items  # noqa: PLC0415 - stages need no lists
    from pydoit_sc.batchfile.runtables import ListedRun, ListTable  # noqa: PLC0415

    data = notes.document.data
    items, where = listed_items(notes, names)
    top = data if isinstance(data, dict) else {}
    table = check(ListTable, top, notes) or ListTable()
    remote = None
    if override is not None or top.get("remote_output_path") is not None:
        remote = _remote(table.remote_output_path, (), source, notes, override)
    elif isinstance(data, (dict, list, Iterator)):
        how = (
            "add `--to FOLDER`, or a URL as in `--to s3://bucket/out`; to a command that writes to another place by "
            "`--to`, add `--remote-output-path`"
        )
        notes.add((), f"nothing says where the outputs go: {how}")
    reader = RunReader(ListedRun, Settings(), notes, where, remote)
    stage = reader.read(items, source.folder, table.nprocs)
    return {
        "remote_output_path": remote,
        "stages": (stage,),
        "nprocs": table.nprocs,
        "max_failures": table.max_failures,
    }


def _remote(
    value: str | None, where: tuple[str, ...], source: Source, notes: Notes, override: str | None
) -> str | None:
    """Return where outputs go; a path from the command line counts from the current folder."""
    try:
        if override is not None:
            return absolute_url(expanded(override), os.getcwd())
        return None if value is None else absolute_url(value, source.folder)  # None has been noted
    except ValueError as error:
        if override is None:
            notes.add((*where, "remote_output_path"), str(error))
        else:
            notes.add((), f"--to: {error}")
    return None
