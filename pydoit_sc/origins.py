"""What a batch is made from: files that nothing may write over, and whether it is the same if it is read again."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile import load
from pydoit_sc.errors import UserError
from pydoit_sc.files import is_below
from pydoit_sc.fingerprint import FileDigests, MissingFileDepError
from pydoit_sc.urls import local_path


def check_written(path: str, batch: Batch, option: str) -> None:
    """Raise UserError for a file to be written, as an option names it, that the batch or its runs read, or in a run's output."""
    if _is_output(path, batch):
        raise UserError(f"{option}: `{path}` is in the output of one of the batch's runs; name another file")
    try:
        there = os.stat(path)
    except (OSError, ValueError):  # nothing can be lost
        return
    if not stat.S_ISREG(there.st_mode):
        return
    if any(_is(file, there) for file in batch.files):
        raise UserError(f"{option}: `{path}` is a file that the batch is read from; name another file")
    if _is_input(there, batch):
        raise UserError(f"{option}: `{path}` is a `file_dep` of the batch's runs; name another file")


def check_same(batch: Batch) -> None:
    """Raise UserError where a batch would be another one if it was read now, and where it cannot be read any more."""
    given = dict(zip(batch.words[::2], batch.words[1::2], strict=True))
    now = load(given["-f"], remote_output_path=given.get("--to"), names=given.get("--names"))
    if not _are_same(batch, now):
        raise UserError(
            f"{batch.path}: the batch has changed since it was loaded: its files, what an axis finds, or the "
            "environment; load it again"
        )


def _are_same(one: Batch, other: Batch) -> bool:
    """Return whether two batches have the same runs; what else their files say is told by the digests of these."""
    if one._replace(stages=(), workdir=None) != other._replace(stages=(), workdir=None):
        return False
    if [(stage.name, len(stage.runs)) for stage in one.stages] != [
        (stage.name, len(stage.runs)) for stage in other.stages
    ]:
        return False
    pairs = zip(one.runs(), other.runs(), strict=True)
    return all((a.key, a.cmd, a.settings) == (b.key, b.cmd, b.settings) for (_, a), (_, b) in pairs)


def is_among_outputs(path: str, batch: Batch) -> bool:
    """Return whether a path leads to where a batch has its outputs, or below that, by whatever links."""
    return any(is_below(path, folder) for folder in _folders(batch).values())


def _folders(batch: Batch) -> dict[str, str]:
    """Return the folders of outputs on this machine, by the beginnings of keys: a user's link may be in the place of a stage's."""
    root = local_path(batch.remote_output_path)
    return {"": root, **{stage.name: f"{root}/{stage.name}" for stage in batch.stages}} if root else {}


def _is_output(path: str, batch: Batch) -> bool:
    above: set[str] = set()
    for begin, folder in _folders(batch).items():
        if is_below(path, folder):
            parts = os.path.relpath(os.path.realpath(path), os.path.realpath(folder)).split("/")
            above.update("/".join(filter(None, (begin, *parts[:count]))) for count in range(len(parts)))
    return bool(above) and any(run.key in above for _, run in batch.runs())


def _is_input(there: os.stat_result, batch: Batch) -> bool:
    files = FileDigests.of(batch)
    for pattern in {pattern for _, run in batch.runs() for pattern in run.settings.file_dep}:
        with suppress(MissingFileDepError):
            if any(_is(os.path.join(batch.folder, file), there) for file in files.expand(pattern)):
                return True
    return False


def _is(file: str, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(file), there)
    except OSError:
        return False
