"""Chunks: the runs that one worker takes, as a JSON file in the seed's format.

A run in it holds what the published `sc batch` knows and nothing else. What we add stands in one more object at the
top, `pydoit_sc`, which `sc` ignores: names, fingerprints, settings, and the id of the submission.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydoit_sc.batch import Batch, Run, Settings, Stage
from pydoit_sc.batchfile import load
from pydoit_sc.batchfile.errors import BatchfileError, Problem
from pydoit_sc.fingerprint import NOTHING, digest_env, digest_text
from pydoit_sc.store import Record

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

    def done(self, item: ChunkRun, record: Record | None) -> bool:
        """Say whether a worker that is started on this chunk has nothing to do for a run any more.

        A submission that executes completed runs again does so once: what it has completed itself is done.
        """
        if record is None or record.code != 0:
            return False
        if self.submission and record.submission == self.submission:
            return True
        return not self.always and record.fingerprint in ("", item.fingerprint)


def chunk_text(
    batch: Batch,
    items: Sequence[tuple[Stage, Run, str]],
    *,
    nprocs: int,
    submission: str,
    always: bool = False,
) -> str:
    """Return the text of a chunk of these runs, each with its stage and its fingerprint."""
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
        "storage_options": _without_secrets(batch.storage_options),
        "settings": settings,
        "runs": ours,
    }
    whole = {"runs": runs, "remote_output_path": batch.remote_output_path, "nprocs": nprocs, OURS: extra}
    return json.dumps(whole, indent=1)


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
                str(item["name"]),
                output,
                str(item["fingerprint"]),
            )
            for run, output, item in zip(stage.runs, outputs, extra["runs"], strict=True)
        ]
        ours = replace(
            batch,
            name=str(extra["batch"]),
            durable=bool(extra["durable"]),
            scratch=extra["scratch"],
            storage_options=dict(extra["storage_options"]),
        )
        return Chunk(ours, runs, str(extra["submission"]), bool(extra["always"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        wrong = (
            f"`{OURS}` is not what `pydoit-sc split` writes ({type(error).__name__}: {error}); split again"
        )
        raise _error(path, wrong) from error


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a store's options without those that may let someone in: a chunk travels, and is kept.

    A worker finds those where the cloud's own tools do, in its environment.
    """
    return {
        name: _without_secrets(value) if isinstance(value, dict) else value
        for name, value in options.items()
        if not _SECRET.search(name)
    }


def _settings_to_json(settings: Settings) -> dict[str, Any]:
    retry_on = None if settings.retry_on is None else sorted(settings.retry_on)
    return {**asdict(settings), "file_dep": [], "env": dict(settings.env), "retry_on": retry_on}


def _settings_from_json(data: dict[str, Any]) -> Settings:
    retry_on = data["retry_on"]
    return Settings(
        env={str(name): str(value) for name, value in data["env"].items()},
        timeout=None if data["timeout"] is None else float(data["timeout"]),
        grace=float(data["grace"]),
        retries=int(data["retries"]),
        retry_on=None if retry_on is None else frozenset(map(int, retry_on)),
    )


def _json(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    with open(path, "rb") as file:
        try:
            data = json.load(file)
        except ValueError:
            return None
    return data if isinstance(data, dict) else None


def _error(path: str | os.PathLike[str], message: str) -> BatchfileError:
    return BatchfileError([Problem(os.fspath(path), None, None, message)])
