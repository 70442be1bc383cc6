"""An attempt once more, in a fresh folder: with the code of then, and how what it writes compares with what is stored.

What a store says may have been written by anybody. So code comes from the user's own repository, or from a submission that
this machine knows; and the caller decides whether more is believed, and whether another command than the batchfile's is
executed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pydoit_sc.batch import Run
from pydoit_sc.errors import UserError, reason
from pydoit_sc.files import is_below
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.git import has_commit, write_commit
from pydoit_sc.ledger import Work
from pydoit_sc.private import is_ours
from pydoit_sc.project import Project
from pydoit_sc.store import Outputs, Record, UnreadableError
from pydoit_sc.store.copying import object_name
from pydoit_sc.store.layout import RUN_JSON
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.submissions.folder import folder_of
from pydoit_sc.submissions.notes import Note, note_of
from pydoit_sc.sync.code import staging_of
from pydoit_sc.sync.extract import digest_in_name
from pydoit_sc.sync.fetch import fetch_all
from pydoit_sc.urls import local_path
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.slots import check_needs, slots

if TYPE_CHECKING:
    from pydoit_sc.store.documents import FileEntry, Provenance

EQUAL = "equal"
_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the code of an attempt is."""

    start: str  # the folder in which the command starts
    said: str  # what it is, and what cannot be had of it
    made: str = ""  # the folder that was made for it; none if it is the batchfile's folder as it is now


def code_of(project: Project, run: Run, known: Provenance, into: str, *, believe: bool) -> Origin:
    """Bring the code of an attempt into a folder: what was sent with its submission, or its commit.

    Where neither can be had it is the batchfile's folder as it is now. `believe`: the store is believed in what was sent.
    Raises UserError.
    """
    note = note_of(project.store, known.submission) if known.submission else None
    code, here = os.path.join(into, "code"), str(project.batch.folder)
    if note and note.shipped and (believe or (note.mine and _is_known(project, note))):
        pairs = [(one.url, _inside(one.dest)) for one in note.shipped]
        fetch_all(code, pairs, staging_of(project.batch).options)
        return Origin(os.path.join(code, _inside(note.start)), f"what submission {note.id} has sent", code)
    if note and note.shipped:
        why = f"nothing here shows that submission {note.id} is yours; --recorded takes the code that the store names"
    elif known.code is None:
        why = "its `run.json` names no commit"
    elif not has_commit(here, known.code.commit):
        why = f"this repository does not have its commit {known.code.commit}"
    else:
        start = _check_out(here, known.code.commit, code)
        edited = _link_inputs(project, run, known.file_dep or {}, start)
        linked = f"; not as they were: {', '.join(edited)}" if edited else ""
        dirty = (
            "; tracked files differed from it, and what they were cannot be had" if known.code.dirty else ""
        )
        return Origin(start, f"commit {known.code.commit}{dirty}{linked}", code)
    return Origin(here, f"this folder as it is now: {why}")


def _is_known(project: Project, note: Note) -> bool:
    """Return whether the engine's files of a submission are here, this user's own, and name what its note says was sent."""
    folder = folder_of(project.batch, note.id)
    try:
        found = [entry for entry in os.scandir(folder) if entry.is_file()]
        own = [entry.path for entry in found if is_ours(entry.stat(follow_symlinks=False), folder)]
        texts = [Path(path).read_bytes() for path in own]
    except OSError:
        return False
    return all(any(digest_in_name(one.url).encode() in text for text in texts) for one in note.shipped)


def _inside(path: str) -> str:
    """Return a path below a folder, which does not lead out of it; raises UserError."""
    found = os.path.normpath(path.lstrip("/") or ".")
    if found.startswith(".."):
        raise UserError(f"a submission's code: expected a path inside of its folder, found {path!r}")
    return found


def _check_out(here: str, commit: str, code: str) -> str:
    """Write a commit's files into a new folder, and return the folder in it that stands for this one."""
    try:
        start = os.path.join(code, write_commit(here, commit, code))
        os.makedirs(start, exist_ok=True)  # git has no folder without files
    except OSError as error:
        raise UserError(f"commit {commit}: {reason(error)}") from error
    return start


def _link_inputs(project: Project, run: Run, before: Mapping[str, str], start: str) -> list[str]:
    """Link files of `file_dep` that a commit does not have, such as data, from the batchfile's folder.

    Returns those, or their folders, that had another content when the digests were taken that are given.
    """
    try:
        files = project.ledger.files(run)
    except MissingFileDepError:  # now; the commit may have them
        return []
    here, edited = str(project.batch.folder), []
    for name, digest in files.items():
        names = [name]
        if name.endswith("/"):  # of many files only the folders are known
            listed = os.listdir(os.path.join(here, name))
            names = [os.path.join(name, file) for file in listed if not file.startswith(".")]
        linked = [_link(here, os.path.normpath(path), start) for path in names]
        if any(linked) and before.get(name) != digest:
            edited.append(name)
    return edited


def _link(here: str, path: str, start: str) -> bool:
    """Link a file below one folder from another, unless it is there or lies outside; return whether it is a link."""
    target = os.path.join(start, path)
    above = os.path.dirname(target)
    # A link of the commit may lead out.
    if path.startswith(("../", "/")) or os.path.lexists(target) or not is_below(above, start):
        return False
    os.makedirs(above, exist_ok=True)
    os.symlink(os.path.join(here, path), target)
    return True


@dataclass(frozen=True, slots=True)
class Again:
    """An attempt that has been executed again."""

    store: PosixStore
    record: Record | None  # None: it was stopped
    stopped_by: int  # the signal, 0 if none was


def execute(project: Project, work: Work, start: str, into: str) -> Again:
    """Execute a command once, in the folder `start`; raises UserError where it cannot be started.

    Its output goes below another folder, `into`.
    """
    nprocs, gpus = slots(project.batch.nprocs)
    run = work.run._replace(settings=work.run.settings._replace(retries=0))
    check_needs(work.task, run.settings, nprocs)
    store = PosixStore(os.path.join(into, "out"), durable=False)
    executor = Executor(store, Limits(nprocs, gpus=gpus))
    os.chdir(start)
    works = iter([work._replace(run=run, output=f"{store.url}/{run.key}")])
    records = [result.record for result in executor.run(works)]
    if executor.error:
        raise UserError(executor.error)
    return Again(store, records[0] if records else None, executor.stopped_by)


class Output(NamedTuple):
    """An output in a store."""

    store: Outputs
    key: str
    entries: Mapping[str, FileEntry]  # what its `run.json` lists


class Compared(NamedTuple):
    """A file of two outputs."""

    name: str
    how: str  # EQUAL, or how it differs


def compare(stored: Output, new: Output) -> Iterator[Compared]:
    """Yield each file of two outputs but `run.json`; raises StoreError."""
    before, after = (output.store.files(output.key) for output in (stored, new))
    spelled = str if local_path(stored.store.url) else object_name
    names = {spelled(name): name for name in after}
    for name in sorted({*before, *names} - {RUN_JSON}):
        if name not in names:
            how = "missing now"
        elif name not in before:
            how = f"new: {after[names[name]]:,} bytes"
        elif before[name] != after[names[name]]:
            how = f"differs: {before[name]:,} bytes then, {after[names[name]]:,} now"
        else:
            how = EQUAL if _is_equal(stored, name, new, names[name]) else "differs"
        yield Compared(name, how)


def _is_equal(stored: Output, old_name: str, new: Output, new_name: str) -> bool:
    """Return whether two files of one size have one content: by their digests, or else by reading both."""
    entries = stored.entries.get(old_name), new.entries.get(new_name)
    old_md5, new_md5 = (entry and entry.md5 for entry in entries)
    if old_md5 and new_md5:
        return old_md5 == new_md5
    try:
        with stored.store.open(stored.key, old_name) as one, new.store.open(new.key, new_name) as other:
            return _same(one, other)
    except UnreadableError:  # a link out of its output is not followed
        return _leads(stored, old_name) == _leads(new, new_name) != ""


def _leads(output: Output, name: str) -> str:
    """Return where a link leads; "" where there is none."""
    try:
        return os.readlink(f"{output.store.url.removeprefix('file://')}/{output.key}/{name}")
    except OSError:
        return ""


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    while True:
        blocks = _read(one), _read(other)
        if blocks[0] != blocks[1]:
            return False
        if not blocks[0]:
            return True


def _read(file: BinaryIO) -> bytes:
    """Return a block, which is shorter at the end alone."""
    block = b""
    while len(block) < _BLOCK and (more := file.read(_BLOCK - len(block))):
        block += more
    return block
