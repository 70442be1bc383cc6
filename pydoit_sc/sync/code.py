"""Folders that are sent to workers: which ones, where their archives lie, and how a machine fetches them."""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.batchfile.batchtables import SyncTable
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.upload import Archive, FileSync, find, inside, parse_sync, stage
from pydoit_sc.urls import kind_of, scheme_of


@dataclass(frozen=True, slots=True)
class Staging:
    """What is sent to the machines of a submission as archives, and the place where those lie."""

    syncs: Sequence[FileSync]
    base: str  # URL below which archives lie
    outputs: str = ""  # the batch's `remote_output_path`, if there is a batch
    exclude: Sequence[str] = ()  # patterns as in a .gitignore
    options: Mapping[str, Any] = field(default_factory=dict)  # fsspec's, for `base`

    def stage(self, sync: FileSync) -> Archive:
        """Archive and send a folder, unless it is there already; raises SyncError."""
        return stage(sync, self.base, self._patterns(sync), self.options)

    def find(self, sync: FileSync) -> Archive | None:
        """Return where a folder is staged as it is now, None if it is not; raises SyncError."""
        return find(sync, self.base, self._patterns(sync), self.options)

    def stage_all(self, say: Callable[[str], object]) -> list[Archive]:
        """Archive and send all folders; raises SyncError."""
        staged = []
        for sync in self.syncs:
            say(f"syncing {sync.source}")
            staged.append(self.stage(sync))
            again = "" if staged[-1].uploaded else ", which is there already"
            say(f"synced {sync.source} to {staged[-1].url}{again}")
        return staged

    def _patterns(self, sync: FileSync) -> list[str]:
        """Return what is left out of a folder: outputs and archives in it too, which change while nothing else does."""
        ours = (inside(url, sync.source) for url in (self.outputs, self.base))
        return [*chain.from_iterable(ours), *self.exclude]


def staging_of(batch: Batch) -> Staging:
    """Return what the table [sync] says; raises SyncError."""
    table = batch.table("sync", SyncTable)
    base = _staging_place(batch, table)
    return Staging(
        [_sync(text, batch) for text in table.dirs],
        base,
        batch.remote_output_path,
        table.exclude,
        options_for(batch, base),
    )


def options_for(batch: Batch, url: str) -> Mapping[str, Any]:
    """Return the store's options where a URL is of the store's kind."""
    return batch.storage_options if _kind(url) == _kind(batch.remote_output_path) else {}


def _kind(url: str) -> str:
    return kind_of(url) or scheme_of(url)


def _staging_place(batch: Batch, table: SyncTable) -> str:
    if table.to is None:
        return f"{batch.remote_output_path}/{OURS}/sync"
    try:
        return absolute_url(table.to, str(batch.folder))
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
    """Return lines of shell that fetch these archives, once on a machine, and go to the folder `start` in them.

    `options` are what a worker reads the archives with: fsspec's, without secrets.
    """
    pairs = [word for one in staged for word in (one.url, posixpath.normpath(one.dest.lstrip("/") or "."))]
    words = shlex.join([json.dumps(dict(options)), *pairs])
    return (
        f'pydoit_sc_code="${{TMPDIR:-/tmp}}/pydoit-sc-$(id -u)/{submission}"\n'
        '"${pydoit_sc_python:-python3}" -m pydoit_sc.sync fetch "$pydoit_sc_code" ' + f"{words} || exit 1\n"
        f'cd -- "$pydoit_sc_code"/{shlex.quote(start)} || exit 1\n'
    )
