"""Chunks: the runs that one worker takes, as a JSON file in the seed's format.

A run in it holds what the published `sc batch` knows and nothing else. What we add stands in one more object at the
top, `pydoit_sc`, which `sc` ignores: names, fingerprints, settings, and the id of the submission.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydoit_sc.batch import Batch, Run, Settings, Share, Stage
from pydoit_sc.batchfile import load
from pydoit_sc.batchfile.errors import BatchfileError, Problem
from pydoit_sc.batchfile.schema import (
    SETTINGS,
    InvalidError,
    absolute_path,
    boolean,
    failures,
    mapping,
    string,
    strings,
)
from pydoit_sc.fingerprint import NOTHING, digest_env, digest_text
from pydoit_sc.store import Record, read_url

OURS = "pydoit_sc"
_SECRET = re.compile(r"secret|password|passphrase|token|credential|key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChunkRun:
    """A run of a chunk."""

    run: Run
    name: str  # as a doit task, `month:2012-01`
    output: str  # the URL of its output, as the chunk writes it
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one worker takes."""

    batch: Batch  # where the outputs go, and how the worker works
    runs: Sequence[ChunkRun]
    submission: str  # "" where there was none: a run list that somebody wrote
    always: bool  # the submission wants completed runs executed again
    after: Sequence[str] = ()  # the stages that must be completed first: worker/earlier.py

    @property
    def id(self) -> str:
        """A name that no other chunk has, of one path segment."""
        text = "\0".join((self.submission, *(item.run.key for item in self.runs)))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def done(self, item: ChunkRun, record: Record | None) -> bool:
        """Say whether a worker that is started on this chunk has nothing to do for a run any more.

        A submission that executes completed runs again does so once: what it has completed itself is done.
        """
        return self.completed(item.fingerprint, record)

    def completed(self, fingerprint: str, record: Record | None) -> bool:
        """Say whether a run's outcome is what this chunk's submission wants it to be."""
        if record is None or record.code != 0:
            return False
        if self.submission and record.submission == self.submission:
            return True
        return not self.always and record.fingerprint in ("", fingerprint)


def chunk_text(  # noqa: PLR0913 (each is a key of the chunk)
    batch: Batch,
    items: Sequence[tuple[Stage, Run, str]],
    *,
    nprocs: int | str,
    submission: str,
    always: bool = False,
    after: Sequence[str] = (),
) -> str:
    """Return the text of a chunk of these runs, each with its stage and its fingerprint.

    `nprocs` may be "cores" or "gpus", which only our worker knows; so is `after`, stages to be completed first.
    """
    table: dict[int, int] = {}
    settings: list[dict[str, Any]] = []
    runs, ours = [], []
    for stage, run, fingerprint in items:
        if id(run.settings) not in table:
            table[id(run.settings)] = len(settings)
            settings.append(_settings_to_json(run.settings))
        runs.append(
            {
                "remote_output_path": f"{batch.remote_output_path}/{run.key}",
                "cmd": run.cmd,
                "local_results_dir": run.local_results_dir or f"/tmp/{uuid.uuid4().hex}/",
                "status_code": None,
                "status": None,
            }
        )
        ours.append(
            {"name": stage.task_name(run), "fingerprint": fingerprint, "settings": table[id(run.settings)]}
        )
    extra = {
        "submission": submission,
        "always": always,
        "batch": batch.name,
        "durable": batch.durable,
        "scratch": batch.scratch,
        "max_failures": _failures_to_json(batch.max_failures),
        "storage_options": without_secrets(batch.storage_options),
        "after": list(after),
        "settings": settings,
        "runs": ours,
    }
    whole = {"runs": runs, "remote_output_path": batch.remote_output_path, "nprocs": nprocs, OURS: extra}
    return json.dumps(whole, indent=1)


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
    """Read a chunk, ours or one of `sc`, or any run list or batchfile without stages.

    Raises BatchfileError with every problem of the file.
    """
    batch = load(path)
    if len(batch.stages) != 1 or batch.stages[0].single:
        raise _error(
            path, "expected a chunk or a run list, found a batchfile with stages; `pydoit-sc run` executes it"
        )
    stage = batch.stages[0]
    data = _json(path)
    if data is None or "runs" not in data:  # a run list in another format
        return Chunk(batch, [_plain(batch, stage, run, None) for run in stage.runs], "", always=False)
    outputs = [item.get("remote_output_path") for item in data["runs"]]
    extra = data.get(OURS)
    if extra is not None:
        return _ours(path, batch, stage, outputs, extra)
    runs = [_plain(batch, stage, run, output) for run, output in zip(stage.runs, outputs, strict=True)]
    if any(run.local_results_dir for run in stage.runs):  # `sc split` wrote it, and chose what to execute
        submission = "sc-" + hashlib.blake2b(json.dumps(data).encode(), digest_size=8).hexdigest()
        return Chunk(batch, runs, submission, always=True)
    return Chunk(batch, runs, "", always=False)


def _plain(batch: Batch, stage: Stage, run: Run, output: str | None) -> ChunkRun:
    fingerprint = f"{digest_text(run.cmd)}-{digest_env(run.settings.env)}-{NOTHING}-{NOTHING}"
    return ChunkRun(run, stage.task_name(run), output or f"{batch.remote_output_path}/{run.key}", fingerprint)


def _ours(path: str | os.PathLike[str], batch: Batch, stage: Stage, outputs: list[str], extra: Any) -> Chunk:
    try:
        settings = [_settings_from_json(item) for item in extra["settings"]]
        runs = [
            # Our worker lets a run write into its attempt's own folder: the key is there for `sc`.
            ChunkRun(
                replace(run, settings=settings[item["settings"]], local_results_dir=None),
                string(item["name"]),
                string(output),
                string(item["fingerprint"]),
            )
            for run, output, item in zip(stage.runs, outputs, extra["runs"], strict=True)
        ]
        ours = replace(
            batch,
            name=string(extra["batch"]),
            durable=boolean(extra["durable"]),
            scratch=None if extra["scratch"] is None else absolute_path(extra["scratch"]),
            max_failures=None if extra.get("max_failures") is None else failures(extra["max_failures"]),
            storage_options=mapping(extra["storage_options"]),
        )
        after = strings(extra.get("after", []))
        return Chunk(ours, runs, string(extra["submission"]), boolean(extra["always"]), after)
    except InvalidError as error:
        raise _error(path, f"`{OURS}`: {error.faults[0][1]}; split again") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        wrong = (
            f"`{OURS}` is not what `pydoit-sc split` writes ({type(error).__name__}: {error}); split again"
        )
        raise _error(path, wrong) from error


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a store's options without those that may let someone in: a chunk travels, and is kept.

    A worker finds those where the cloud's own tools do, in its environment.
    """
    return {
        name: without_secrets(value) if isinstance(value, dict) else value
        for name, value in options.items()
        if not _SECRET.search(name)
    }


def _failures_to_json(most: int | Share | None) -> int | str | None:
    """Write as the batchfile does after how many failures a worker starts no further run; a share is of the chunk's."""
    return f"{100 * most.value:.9f} %" if isinstance(most, Share) else most


def _settings_to_json(settings: Settings) -> dict[str, Any]:
    retry_on = None if settings.retry_on is None else sorted(settings.retry_on)
    return {**asdict(settings), "file_dep": [], "env": dict(settings.env), "retry_on": retry_on}


def _settings_from_json(data: dict[str, Any]) -> Settings:
    return Settings(**{key: check(data[key]) for key, check in SETTINGS.items() if data[key] is not None})


def _json(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    with open(path, "rb") as file:
        try:
            data = json.load(file)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None


def _error(path: str | os.PathLike[str], message: str) -> BatchfileError:
    return BatchfileError([Problem(os.fspath(path), None, None, message)])
