"""A batchfile's table [sync]: its folders are staged as archives, and each machine fetches them before it starts runs."""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.tables import SyncTable
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.upload import Archive, FileSync, inside, parse_sync, stage


def send_code(batch: Batch, submission: str, options: Mapping[str, Any], say: Callable[[str], object]) -> str:
    """Stage what [sync] names, and return the lines of shell by which a machine fetches it; "" without [sync].

    `options` are what a worker is to read the store with. Raises SyncError.
    """
    table = batch.table("sync", SyncTable)
    if not table.dirs:
        return ""
    base = staging_place(batch)
    syncs = [_sync(text, batch) for text in table.dirs]
    start = start_folder(syncs, str(batch.folder))
    patterns = [
        path
        for sync in syncs
        for url in (batch.remote_output_path, base)
        if (path := inside(url, sync.source))
    ]
    same = base.partition("://")[0] == batch.remote_output_path.partition("://")[0]
    staged = []
    for sync in syncs:
        say(f"syncing {sync.source}")
        sent = stage(sync, base, [*patterns, *table.exclude], batch.storage_options if same else {})
        say(f"synced {sync.source} to {sent.url}" + ("" if sent.uploaded else ", which is there already"))
        staged.append(sent)
    return fetch_lines(staged, submission, start, options if same else {})


def staging_place(batch: Batch) -> str:
    """Return the URL below which archives are staged; raises SyncError."""
    place = batch.table("sync", SyncTable).to
    if place is None:
        return f"{batch.remote_output_path}/{OURS}/sync"
    try:
        return absolute_url(place, str(batch.folder))
    except ValueError as error:
        raise SyncError(f"{batch.path}: sync.to: {error}") from error


def _sync(text: str, batch: Batch) -> FileSync:
    source, _, dest = text.partition(":")
    if os.path.isabs(dest or source) or posixpath.normpath(dest or source).startswith(".."):
        raise SyncError(
            f"{batch.path}: sync.dirs: `{text}`: expected a DEST inside of the folder that each machine makes"
        )
    return parse_sync(text, "/", str(batch.folder))


def start_folder(syncs: Sequence[FileSync], folder: str) -> str:
    """Return where the batchfile's folder is in what is fetched, as a relative path; raises SyncError."""
    for sync in syncs:
        path = os.path.relpath(folder, sync.source)
        if path != ".." and not path.startswith("../"):
            return posixpath.normpath(posixpath.join(sync.dest.lstrip("/"), path))
    raise SyncError(
        f'none of sync.dirs holds the batchfile\'s folder, where runs start; "." is that folder: {folder}'
    )


def fetch_lines(staged: Sequence[Archive], submission: str, start: str, options: Mapping[str, Any]) -> str:
    """Return lines of shell that fetch these archives, once on a machine, and go to the folder `start` in them."""
    pairs = [word for one in staged for word in (one.url, posixpath.normpath(one.dest.lstrip("/") or "."))]
    words = shlex.join([json.dumps(dict(options)), *pairs])
    return (
        f'pydoit_sc_code="${{TMPDIR:-/tmp}}/pydoit-sc-$(id -u)/{submission}"\n'
        '"${pydoit_sc_python:-python3}" -m pydoit_sc.sync fetch "$pydoit_sc_code" ' + f"{words} || exit 1\n"
        f'cd -- "$pydoit_sc_code"/{shlex.quote(start)} || exit 1\n'
    )
