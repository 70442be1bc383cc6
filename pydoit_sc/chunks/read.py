"""Read what a worker is given: a chunk, ours or one of `sc`, or a plain run list, to a `Chunk`."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydoit_sc.batch import PLAIN, Batch, Run, Settings
from pydoit_sc.batchfile import BatchfileError, Problem, check_name, load
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.document import Document
from pydoit_sc.batchfile.errors import show
from pydoit_sc.batchfile.names import nested, repeated
from pydoit_sc.batchfile.read import read
from pydoit_sc.batchfile.remote import absolute_url, below
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.chunks.chunk import Before, Chunk
from pydoit_sc.chunks.chunkfile import EXTRA, ChunkFile, Extra
from pydoit_sc.fingerprint import NOTHING, digest_text, split_parts
from pydoit_sc.ledger import Ledger, Work
from pydoit_sc.store import read_url
from pydoit_sc.urls import local_path


def read_chunk_at(place: str, options: Mapping[str, Any]) -> Chunk:
    """Read a chunk at a path or any URL; `options` are fsspec's, for the URL. Raises BatchfileError, StoreError."""
    if (path := local_path(place)) is not None:
        return read_chunk(path)
    data = read_url(place, options)
    with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as folder:
        path = os.path.join(folder, posixpath.basename(place))
        with open(path, "wb") as file:
            file.write(data)
        try:
            return read_chunk(path)
        except BatchfileError as error:
            problems = [problem._replace(file=place) for problem in error.problems]
            raise BatchfileError(problems, error.more) from error


def read_chunk(path: str | os.PathLike[str]) -> Chunk:
    """Read a chunk, ours or one of `sc`, or a run list or batchfile without stages.

    Raises BatchfileError with every problem of the file, MissingFileDepError for a run list.
    """
    file = os.fspath(path)
    document = read(os.path.abspath(file), file)
    if isinstance(document.data, dict) and isinstance(runs := document.data.get("runs"), Iterator):
        document = document._replace(data={**document.data, "runs": list(runs)})
    if _is_chunk(document.data):
        return _Reader(document, os.path.dirname(os.path.abspath(file))).chunk()
    if _lacks_place(document):
        place = (
            "expected a chunk of `split`, or a run list with `remote_output_path`; this says nowhere where the outputs go, "
            f"and `pydoit-sc run {shlex.quote(file)} --to FOLDER` executes a run list"
        )
        raise BatchfileError([Problem(file, None, None, place)])
    batch = load(path)
    if len(batch.stages) != 1 or batch.stages[0].single:
        stages = "expected a chunk or a run list, found a batchfile with stages; `pydoit-sc run` executes it"
        raise BatchfileError([Problem(file, None, None, stages)])
    ledger, stage = Ledger(batch, {}), batch.stages[0]
    return Chunk([ledger.work(stage, run) for run in stage.runs], batch)


def _is_chunk(data: object) -> bool:
    """Return whether a document is a chunk: ours, or one in which `sc split` gave each run a status code."""
    if not isinstance(data, dict):
        return False
    runs = data.get("runs")
    return EXTRA in data or (
        isinstance(runs, list) and any(isinstance(run, dict) and "status_code" in run for run in runs)
    )


def _lacks_place(document: Document) -> bool:
    """Return whether a document is a run list that does not say where its outputs go: a worker has no option that does."""
    data = document.data
    if isinstance(data, dict):
        return document.format != "toml" and data.get("remote_output_path") is None
    return isinstance(data, (list, Iterator))


class _Reader:
    """Reads one chunk's file; the problems of all its parts are collected."""

    def __init__(self, document: Document, folder: str) -> None:
        self._document = document
        self._folder = folder  # relative paths count from it
        self._notes = Notes(Report(), document)

    def chunk(self) -> Chunk:
        """Return the chunk; raises BatchfileError."""
        try:
            file = check(ChunkFile, self._document.data, self._notes)
            self._notes.report.check()
            assert file is not None
            return self._made(file)
        except BatchfileError as error:
            raise BatchfileError([_with_advice(problem) for problem in error.problems], error.more) from None

    def _made(self, file: ChunkFile) -> Chunk:
        root, keys = self._keys(file)
        extra = file.pydoit_sc
        works = _sc_works(file, keys) if extra is None else self._works(extra, file, keys)
        before = self._before(extra, works) if extra else {}
        self._notes.report.check()
        batch = Batch("", Path(), root, (), nprocs=file.nprocs, max_failures=file.max_failures)
        if extra is None:  # `sc split` wrote it, and chose what to execute
            # Another bound makes no other submission: what it has completed stays so.
            said = {key: value for key, value in self._document.data.items() if key != "max_failures"}
            digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()
            return Chunk(works, batch, f"sc-{digest}", always=True)
        batch = batch._replace(
            at_most=extra.at_most,
            max_failures=file.max_failures or extra.max_failures,
            scratch=extra.scratch,
            durable=extra.durable,
            patience=extra.patience,
            min_free_memory=extra.min_free_memory,
            storage_options=extra.storage_options,
        )
        return Chunk(works, batch, extra.submission, extra.always, before)

    def _keys(self, file: ChunkFile) -> tuple[str, list[str]]:
        """Return where the outputs go, and the keys of the runs below it; none lies inside another."""
        root, keys = "", list[str]()
        try:
            root = absolute_url(file.remote_output_path, self._folder)
        except ValueError as error:
            self._notes.add(("remote_output_path",), str(error))
            return root, keys
        for n, run in enumerate(file.runs):
            try:
                keys.append(below(run.remote_output_path, root, self._folder))
                fault = check_name(keys[-1])
            except ValueError as error:
                keys.append("")
                fault = str(error)
            if fault is not None:
                self._notes.add(("runs", n, "remote_output_path"), fault)
        for key, rows in repeated(keys).items():
            if not key:
                continue  # their paths have been noted
            where, first = ("runs", rows[1], "remote_output_path"), ("runs", rows[0])
            self._notes.add(where, f"`{key}` is twice the output of a run; the first is", also=first)
        for inner, outer in nested(keys):
            message = f"the output of `{keys[inner]}` would lie inside that of `{keys[outer]}`,"
            self._notes.add(("runs", inner, "remote_output_path"), message, also=("runs", outer))
        return root, keys

    def _works(self, extra: Extra, file: ChunkFile, keys: Sequence[str]) -> list[Work]:
        settings = [table.over(Settings()) for table in extra.settings]
        works = []
        for run, key in zip(file.runs, keys, strict=False):  # there are no keys where their root is wrong
            output = run.remote_output_path
            ours = extra.runs.get(output)
            if ours is None:
                self._notes.add((EXTRA, "runs"), f"no entry for the run {show(output)}")
            elif ours.settings >= len(settings):
                where = (EXTRA, "runs", output, "settings")
                self._notes.add(where, f"expected a position in `settings`, found {ours.settings}")
            else:
                # Our worker lets a run write into its attempt's own folder: `local_results_dir` is for `sc`.
                name = ours.task.partition(":")[2] or ours.task
                own = Run(name, run.cmd, key, settings[ours.settings])
                files = extra.file_dep.get(split_parts(ours.fingerprint).get("file_dep", ""), {})
                works.append(Work(ours.task, own, output, ours.fingerprint, files=files, axes=ours.axes))
        return works

    def _before(self, extra: Extra, works: Sequence[Work]) -> dict[str, Sequence[Before]]:
        """Return what must be completed before each run, by its output."""
        tables = [Before(table.stage, table.runs) for table in extra.before]
        found: dict[str, Sequence[Before]] = {}
        for work in works:
            after = extra.runs[work.output].after
            if any(position >= len(tables) for position in after):
                where = (EXTRA, "runs", work.output, "after")
                self._notes.add(where, f"expected positions in `before`, found {show(list(after))}")
            elif after:
                found[work.output] = [tables[position] for position in after]
        return found


def _sc_works(file: ChunkFile, keys: Sequence[str]) -> list[Work]:
    settings = Settings()
    return [
        Work(
            f"{PLAIN}:{key}",
            Run(key, run.cmd, key, settings, run.local_results_dir),
            run.remote_output_path,
            f"{digest_text(run.cmd)}-{NOTHING}-{NOTHING}-{NOTHING}",
        )
        for run, key in zip(file.runs, keys, strict=False)
    ]


def _with_advice(problem: Problem) -> Problem:
    """Return a problem with what to do about it, where what we add to a chunk is wrong."""
    ours = problem.message.startswith(EXTRA)
    return problem._replace(message=f"{problem.message}; split again") if ours else problem
