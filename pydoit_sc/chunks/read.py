"""Read what a worker is given: a chunk, ours or one of `sc`, or a plain run list, to a `Chunk`."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydoit_sc.batch import PLAIN, Run, Settings
from pydoit_sc.batchfile import BatchfileError, Problem, check_name, load
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.errors import show
from pydoit_sc.batchfile.names import nested, repeated
from pydoit_sc.batchfile.read import Document, read
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.chunks.chunkfile import EXTRA, ChunkFile, Extra, ExtraSettings
from pydoit_sc.fingerprint import NOTHING, digest_text
from pydoit_sc.plan import Ledger, Work
from pydoit_sc.store import read_url


def read_chunk_at(place: str, options: Mapping[str, Any]) -> Chunk:
    """Read a chunk at a path or any URL; `options` are fsspec's, for the URL. Raises BatchfileError, StoreError."""
    scheme, separator, path = place.partition("://")
    if not separator or scheme in ("file", "local"):
        return read_chunk(path if separator else place)
    data = read_url(place, options)
    with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as folder:
        path = os.path.join(folder, posixpath.basename(place))
        with open(path, "wb") as file:
            file.write(data)
        try:
            return read_chunk(path)
        except BatchfileError as error:
            problems = [replace(problem, file=place) for problem in error.problems]
            raise BatchfileError(problems, error.more) from error


def read_chunk(path: str | os.PathLike[str]) -> Chunk:
    """Read a chunk, ours or one of `sc`, or a run list or batchfile without stages.

    Raises BatchfileError with every problem of the file, MissingFileDepError for a run list.
    """
    file = os.fspath(path)
    document = read(os.path.abspath(file), file)
    if _is_chunk(document.data):
        return _Reader(document, os.path.dirname(os.path.abspath(file))).chunk()
    batch = load(path)
    if len(batch.stages) != 1 or batch.stages[0].single:
        stages = "expected a chunk or a run list, found a batchfile with stages; `pydoit-sc run` executes it"
        raise BatchfileError([Problem(file, None, None, stages)])
    ledger, stage = Ledger(batch, {}), batch.stages[0]
    return Chunk(
        [
            Work(
                stage.task_name(run),
                run,
                f"{batch.remote_output_path}/{run.key}",
                ledger.fingerprint(stage, run),
            )
            for run in stage.runs
        ],
        batch.remote_output_path,
        batch.nprocs,
        max_failures=batch.max_failures,
        durable=batch.durable,
        scratch=batch.scratch,
        storage_options=batch.storage_options,
    )


def _is_chunk(data: object) -> bool:
    """Return whether a document is a chunk: ours, or one in which `sc split` gave each run a status code."""
    if not isinstance(data, dict):
        return False
    runs = data.get("runs")
    return EXTRA in data or (
        isinstance(runs, list) and any(isinstance(run, dict) and "status_code" in run for run in runs)
    )


class _Reader:
    """Reads one chunk's file; the problems of all its parts are collected."""

    def __init__(self, document: Document, folder: str) -> None:
        self._document = document
        self._folder = folder  # relative paths count from it
        self._notes = Notes(Report(), document)

    def chunk(self) -> Chunk:
        """Return the chunk; raises BatchfileError."""
        file = check(ChunkFile, self._document.data, self._notes)
        if file is None:
            self._notes.report.check()
            raise AssertionError("a chunk that is not sound has a problem")
        try:
            root = absolute_url(file.remote_output_path, self._folder)
        except ValueError as error:
            self._notes.add(("remote_output_path",), str(error))
            root = ""
        keys = self._keys(file, root)
        works = (
            self._sc_works(file, keys) if file.pydoit_sc is None else self._works(file.pydoit_sc, file, keys)
        )
        self._notes.report.check()
        if file.pydoit_sc is None:
            digest = hashlib.blake2b(json.dumps(self._document.data).encode(), digest_size=8).hexdigest()
            # `sc split` wrote it, and chose what to execute.
            return Chunk(works, root, file.nprocs, f"sc-{digest}", always=True)
        extra = file.pydoit_sc
        return Chunk(
            works,
            root,
            file.nprocs,
            extra.submission,
            extra.always,
            extra.after,
            extra.max_failures,
            extra.durable,
            extra.scratch,
            extra.storage_options,
        )

    def _keys(self, file: ChunkFile, root: str) -> list[str]:
        """Return the runs' keys, which lie below the batch's `remote_output_path`; not inside one another."""
        keys = []
        for n, run in enumerate(file.runs):
            key = ""
            try:
                key = self._key(run.remote_output_path, root)
                fault = check_name(key)
            except ValueError as error:
                fault = str(error)
            if fault is not None:
                self._notes.add(("runs", n, "remote_output_path"), fault)
            keys.append(key)
        for key, rows in repeated(keys).items():
            where = ("runs", rows[1], "remote_output_path")
            self._notes.add(
                where, f"`{key}` is twice the output of a run; the first is", also=("runs", rows[0])
            )
        for inner, outer in nested(keys):
            message = f"the output of `{keys[inner]}` would lie inside that of `{keys[outer]}`,"
            self._notes.add(("runs", inner, "remote_output_path"), message, also=("runs", outer))
        return keys

    def _key(self, output: str, root: str) -> str:
        if not output.startswith(f"{root}/"):
            output = absolute_url(output, self._folder)
        if not output.startswith(f"{root}/"):
            raise ValueError(f"expected a path below the batch's, `{root}`, found `{output}`")
        return output[len(root) + 1 :].rstrip("/")

    def _works(self, extra: Extra, file: ChunkFile, keys: list[str]) -> list[Work]:
        settings = [_settings(item) for item in extra.settings]
        works = []
        for run, key in zip(file.runs, keys, strict=True):
            ours = extra.runs.get(run.remote_output_path)
            if ours is None:
                self._notes.add(
                    (EXTRA, "runs"), f"no entry for the run {show(run.remote_output_path)}; split again"
                )
            elif ours.settings >= len(settings):
                where = (EXTRA, "runs", run.remote_output_path, "settings")
                self._notes.add(
                    where, f"expected a position in `settings`, found {ours.settings}; split again"
                )
            else:
                # Our worker lets a run write into its attempt's own folder: `local_results_dir` is for `sc`.
                name = ours.task.partition(":")[2] or ours.task
                works.append(
                    Work(
                        ours.task,
                        Run(name, run.cmd, key, settings[ours.settings]),
                        run.remote_output_path,
                        ours.fingerprint,
                    )
                )
        return works

    def _sc_works(self, file: ChunkFile, keys: list[str]) -> list[Work]:
        settings = Settings()
        return [
            Work(
                f"{PLAIN}:{key}",
                Run(key, run.cmd, key, settings, run.local_results_dir),
                run.remote_output_path,
                f"{digest_text(run.cmd)}-{NOTHING}-{NOTHING}-{NOTHING}",
            )
            for run, key in zip(file.runs, keys, strict=True)
        ]


def _settings(item: ExtraSettings) -> Settings:
    retry_on = None if item.retry_on is None else frozenset(item.retry_on)
    return Settings(item.env, (), item.timeout, item.grace, item.retries, retry_on)
