"""The local folders of a submission and of a split: numbered chunks and the engine's files, and how they are replaced.

Of the files there only numbered ones that are chunks are ours: an older `17.json` is removed, a `jobs.json` stays.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.chunks.chunkfile import EXTRA
from pydoit_sc.errors import UserError
from pydoit_sc.files import not_for_others, only_mine, replacing, write_whole
from pydoit_sc.private import foreign, replaceable
from pydoit_sc.urls import local_path
from pydoit_sc.utf8 import to_bytes

_MODE = 0o755
_CHUNK = re.compile(r"(?:0|[1-9][0-9]*)\.json")


class FolderError(UserError):
    """The local folder of a split cannot be written."""


def chunk_name(number: int) -> str:
    """Return the file name of a chunk."""
    return f"{number}.json"


def folder_of(batch: Batch, submission: str) -> str:
    """Return a submission's local folder: in the store where that is one of this machine's file systems."""
    root = local_path(batch.remote_output_path)
    return os.path.join(root or batch.folder, OURS, "submissions", submission)


def check_folder(folder: str, count: int, sources: Collection[str] = ()) -> None:
    """Raise FolderError if `count` new chunks cannot be written, as far as can be told before.

    That is: a file that is not a chunk is in the place of one, one of `sources`, which the batch is read from, would be taken
    for an older one, or the folder is where everybody may write (the default of `sc` is in /tmp), and is not of this user alone:
    what is written would not be what is read later.
    """
    with _folder_errors(folder):
        above = os.path.dirname(os.path.abspath(folder))
        if os.path.isdir(above) and os.stat(above).st_mode & stat.S_IWOTH:
            there = os.path.lexists(folder)
            if fault := replaceable(above) or (foreign(os.lstat(folder)) if there else ""):
                raise FolderError(f"{folder}: {fault}; give another --local-commands-directory")
    known = [source for source in sources if os.path.exists(source)]
    for path in _older(folder, 0) if known and os.path.isdir(folder) else ():
        if any(os.path.samefile(path, source) for source in known):
            raise FolderError(
                f"{path}: the batch that is read, so it is not overwritten; give another --local-commands-directory"
            )
    for number in range(count):
        path = os.path.join(folder, chunk_name(number))
        if os.path.lexists(path) and _chunk(path) is None:
            raise FolderError(
                f"{path}: not a chunk, so it is not overwritten; give another --local-commands-directory"
            )


def present(folder: str) -> tuple[str, list[str]] | None:
    """Return the submission whose chunks are in a folder, and their texts; None if they are not of one, or of `sc`."""
    texts: list[str] = []
    ids: set[str] = set()
    while (text := _chunk(os.path.join(folder, chunk_name(len(texts))))) is not None:
        ours = json.loads(text).get(EXTRA)
        ids.add(str(ours.get("submission", "")) if isinstance(ours, dict) else "")
        texts.append(text)
    if len(ids) != 1 or "" in ids:
        return None
    return ids.pop(), texts


def write_chunks(folder: str, texts: Sequence[str]) -> None:
    """Write all chunks, and remove older ones; until all are written aside, the folder stays as it is."""
    with _folder_errors(folder):
        os.makedirs(folder, _MODE, exist_ok=True)
        with ExitStack() as stack:
            for number, text in enumerate(texts):
                aside = stack.enter_context(replacing(os.path.join(folder, chunk_name(number))))
                with open(aside, "x", encoding="utf-8", opener=not_for_others) as file:
                    file.write(text)
        for path in list(_older(folder, len(texts))):
            os.unlink(path)


def says(folder: str, files: Mapping[str, str]) -> bool:
    """Return whether all of these files have these texts."""
    try:
        return all(_read(os.path.join(folder, name)) == text for name, text in files.items())
    except OSError:
        return False


def write_files(folder: str, files: Mapping[str, str]) -> None:
    """Write an engine's files, which may hold a password, for this user alone; those that are not changed stay untouched."""
    with _folder_errors(folder):
        os.makedirs(folder, _MODE, exist_ok=True)
        for name, text in files.items():
            if not says(folder, {name: text}):
                write_whole(os.path.join(folder, name), to_bytes(text), only_mine)


def _older(folder: str, count: int) -> Iterator[str]:
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if _CHUNK.fullmatch(name) and int(name.removesuffix(".json")) >= count and _chunk(path) is not None:
            yield path


def _chunk(path: str) -> str | None:
    """Return the text of a file that is a chunk, ours or of `sc`."""
    try:
        text = _read(path)
        data = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    keys = {"runs", "remote_output_path", "nprocs"}
    if not isinstance(data, dict) or not keys <= data.keys() or not isinstance(data["runs"], list):
        return None
    sound = all(
        isinstance(run, dict) and isinstance(run.get("remote_output_path"), str) for run in data["runs"]
    )
    return text if sound else None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


@contextmanager
def _folder_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{error.filename or path}: {error.strerror}") from error
