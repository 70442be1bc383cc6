"""A file to a `Batch`: which shape it has, and what its parts become."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydoit_sc.batch import Batch, Settings, Stage
from pydoit_sc.batchfile.axes import Source
from pydoit_sc.batchfile.errors import BatchfileError
from pydoit_sc.batchfile.read import read
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.batchfile.runlist import LISTED, RUN, RunReader, listed_items
from pydoit_sc.batchfile.schema import (
    BATCH,
    ENGINES,
    InvalidError,
    check_table,
    processes,
    show,
    string,
)
from pydoit_sc.batchfile.stages import merged, read_stages

_OURS = ("batch", "runs")
_TABLES = (*_OURS, *ENGINES)
_OF_BATCH = ("nprocs", "scale", "batch_size", "max_failures", "scratch", "durable", "storage_options")


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
def build(path: str | os.PathLike[str], override: str | None) -> Batch:
    """Read the file at `path`; `override` takes the place of its `remote_output_path`. Raises BatchfileError."""
    file = os.fspath(path)
    absolute = os.path.abspath(file)
    document = read(absolute, file)
    notes = Notes(Report(), document)
    source = Source(os.path.dirname(absolute), file)
    made = (_from_toml if document.format == "toml" else _from_run_list)(source, notes, override)
    notes.report.check()
    name = made.pop("name", None) or os.path.basename(source.folder) or "batch"
    return Batch(name=name, path=Path(absolute), **made)


def _from_toml(source: Source, notes: Notes, override: str | None) -> dict[str, Any]:
    data = notes.document.data
    for key, table in data.items():
        if key not in _TABLES and key not in _engines_of_others():
            notes.unknown((key,), "unknown table", key, _TABLES)
        elif key != "runs" and not isinstance(table, dict):
            notes.add((key,), f"expected a table, found {show(table)}")
    batch = data.get("batch", {})
    given = check_table(batch, BATCH, notes, ("batch",)) if isinstance(batch, dict) else {}
    if override is None and isinstance(batch, dict) and "remote_output_path" not in batch:
        notes.add(("batch",), "no `remote_output_path`: where the outputs go, a URL or a path")
    remote = _remote(given.get("remote_output_path"), ("batch",), source, notes, override)
    settings = merged(Settings(), given)
    return {
        "name": given.get("name"),
        "remote_output_path": remote,
        "stages": _stages(data, settings, remote, source, notes),
        "engines": _engines(data, notes),
        **{key: given[key] for key in _OF_BATCH if key in given},
    }


def _engines(data: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Return the engines' tables; where their keys are not known here, the engine checks them."""
    tables = {key: table for key, table in data.items() if key not in _OURS and isinstance(table, dict)}
    for key, table in tables.items():
        fields = ENGINES.get(key)
        if fields is not None:
            tables[key] = check_table(table, fields, notes, (key,))
    return tables


@cache
def _engines_of_others() -> frozenset[str]:
    """Return the engines that other packages bring; to look for them takes milliseconds."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - only for a table that is not ours

    return frozenset(entry_points(group="pydoit_sc.engines").names)


def _stages(
    data: Mapping[str, Any], settings: Settings, remote: str | None, source: Source, notes: Notes
) -> tuple[Stage, ...]:
    """Return the stages from the one of three places that has them."""
    batch, runs = data.get("batch"), data.get("runs")
    runs_from = batch.get("runs_from") if isinstance(batch, dict) else None
    if runs_from is not None:
        if runs is not None:
            notes.add(("batch", "runs_from"), "there are `runs` in this file too; keep one of them")
        return _runs_from(runs_from, settings, remote, source, notes)
    if isinstance(runs, dict):
        return read_stages(runs, settings, source, notes)
    if isinstance(runs, list):
        return (RunReader(RUN, settings, notes, ("runs",), remote).read(runs, source.folder),)
    if runs is None:
        notes.add((), "no runs: expected stages [runs.NAME], a list [[runs]], or `runs_from` in [batch]")
    else:
        notes.add(("runs",), f"expected stages [runs.NAME] or a list [[runs]], found {show(runs)}")
    return ()


def _runs_from(
    name: object, settings: Settings, remote: str | None, source: Source, notes: Notes
) -> tuple[Stage, ...]:
    try:
        path = os.path.join(source.folder, string(name))
        file = os.path.join(os.path.dirname(source.file), string(name))
        if os.path.isdir(path):
            notes.add(("batch", "runs_from"), f"expected a file, `{file}` is a folder")
            return ()
        document = read(path, file)
    except InvalidError:
        return ()  # noted with the other keys of [batch]
    except BatchfileError as error:
        notes.report.take(error)
        return ()
    if document.format == "toml":
        notes.add(("batch", "runs_from"), "expected a run list in JSON, JSON Lines, YAML or CSV, found TOML")
        return ()
    listed = Notes(notes.report, document)
    items, where = listed_items(listed)
    return (RunReader(LISTED, settings, listed, where, remote).read(items, os.path.dirname(path)),)


def _from_run_list(source: Source, notes: Notes, override: str | None) -> dict[str, Any]:
    data = notes.document.data
    items, where = listed_items(notes)
    top = data if isinstance(data, dict) else {}
    made: dict[str, Any] = {}
    if top.get("nprocs") is not None:
        try:
            made["nprocs"] = processes(top["nprocs"])
        except InvalidError as error:
            notes.add(("nprocs",), error.faults[0][1])
    remote = None
    if override is not None or top.get("remote_output_path") is not None:
        remote = _remote(top.get("remote_output_path"), (), source, notes, override)
    elif isinstance(data, (dict, list)):
        what = "the run list" if top else "a bare list of runs"
        notes.add(
            (),
            f"{what} has no `remote_output_path`; give one, or name this file in `runs_from` of a batchfile",
        )
    stage = RunReader(LISTED, Settings(), notes, where, remote).read(items, source.folder)
    return {"remote_output_path": remote, "stages": (stage,), **made}


def _remote(
    value: object, where: tuple[str, ...], source: Source, notes: Notes, override: str | None
) -> str | None:
    """Return where outputs go; a path from the command line counts from the current folder."""
    where = (*where, "remote_output_path")
    try:
        if override is not None:
            return absolute_url(string(override), os.getcwd())
        if value is None:
            return None  # which has been noted
        return absolute_url(string(value), source.folder)
    except InvalidError as error:
        notes.add(where, error.faults[0][1])
    except ValueError as error:
        notes.add(where, str(error))
    return None
