"""What a batch is made from: the files that nothing may write over."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pydoit_sc.batch import Batch
from pydoit_sc.errors import UserError
from pydoit_sc.fingerprint import FileDigests, MissingFileDepError


def check_written(path: str, batch: Batch, option: str) -> None:
    """Raise UserError for a file to be written, as an option names it, that the batch is read from or that its runs read."""
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
