"""The local commands directory: the chunks that are in it, and how new ones take their place.

Of the files there only numbered ones that are chunks are ours: an older `17.json` is removed, a `jobs.json` stays.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pydoit_sc.chunks.chunkfile import EXTRA
from pydoit_sc.files import not_for_all
from pydoit_sc.saturn.errors import SaturnError

_CHUNK = re.compile(r"(?:0|[1-9][0-9]*)\.json")
RECIPE = "recipe.yaml"


def chunk_name(number: int) -> str:
    """Return the file name of a chunk."""
    return f"{number}.json"


def check_folder(folder: str, texts: Sequence[str]) -> None:
    """Raise SaturnError if a file that is no chunk stands where one is to be written."""
    for number in range(len(texts)):
        path = os.path.join(folder, chunk_name(number))
        if os.path.lexists(path) and _chunk(path) is None:
            raise SaturnError(
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
    with _told(folder):
        os.makedirs(folder, exist_ok=True)
        aside = {os.path.join(folder, chunk_name(n)): text for n, text in enumerate(texts)}
        mark = f".{secrets.token_hex(4)}.tmp"
        try:
            for path, text in aside.items():
                _write(path + mark, text)
            for path in aside:
                os.replace(path + mark, path)
        finally:
            for path in aside:
                with suppress(OSError):
                    os.unlink(path + mark)
        remove_older(folder, len(texts))


def write_chunk(folder: str, number: int, text: str) -> None:
    """Write one chunk, all at once."""
    path = os.path.join(folder, chunk_name(number))
    aside = f"{path}.{secrets.token_hex(4)}.tmp"
    with _told(folder):
        os.makedirs(folder, exist_ok=True)
        try:
            _write(aside, text)
            os.replace(aside, path)
        finally:
            with suppress(OSError):
                os.unlink(aside)


def says(folder: str, number: int, text: str) -> bool:
    """Say whether a chunk's file has this text."""
    return _chunk(os.path.join(folder, chunk_name(number))) == text


def remove_older(folder: str, count: int) -> None:
    """Remove the chunks of older submissions: those numbered `count` and more."""
    for path in list(_older(folder, count)):
        with _told(path):
            os.unlink(path)


def _older(folder: str, count: int) -> Iterator[str]:
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if _CHUNK.fullmatch(name) and int(name.removesuffix(".json")) >= count and _chunk(path) is not None:
            yield path


def _chunk(path: str) -> str | None:
    """Return the text of a file that is a chunk, ours or of `sc`."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        data = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    keys = ("runs", "remote_output_path", "nprocs")
    return text if isinstance(data, dict) and all(key in data for key in keys) else None


def write_folder(folder: str, texts: Iterable[str]) -> None:
    """Write chunks into an empty folder of our own."""
    for number, text in enumerate(texts):
        _write(os.path.join(folder, chunk_name(number)), text)


def _write(path: str, text: str) -> None:
    with open(path, "x", encoding="utf-8", opener=not_for_all) as file:
        file.write(text)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SaturnError(f"{error.filename or path}: {error.strerror}") from error
