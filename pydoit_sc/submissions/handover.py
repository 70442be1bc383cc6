"""From chosen runs to an engine at work: chunks into the store, files into the submission's folder, jobs into its note."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.chunks.chunkfile import without_secrets
from pydoit_sc.engines.base import Engine, EngineError, Group, Submission
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.files import write_whole
from pydoit_sc.plan import Ledger
from pydoit_sc.store import NoteStore
from pydoit_sc.submissions.choose import Choice, Shape, earlier_runs, group_texts, new_submission
from pydoit_sc.submissions.notes import Note, claim, new_note, write_note
from pydoit_sc.sync.code import send_code
from pydoit_sc.worker.earlier import note_name

_CHUNK = 12  # runs in a chunk where nobody knows how many a machine executes at once


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission that has not been handed over."""

    submission: Submission
    files: Mapping[str, str]  # the engine's, by name
    note: Note
    earlier: Mapping[str, Mapping[str, str]]  # the runs that later groups come after


def make_draft(engine: Engine, ledger: Ledger, choice: Choice, *, always: bool) -> Draft:
    """Return the submission of these runs; the code has been sent, nothing is in the store yet.

    Raises EngineError, SyncError and what else a user can correct.
    """
    batch, id_ = ledger.batch, new_submission()
    own_sync = getattr(engine, "sends_code", False)
    nprocs = engine.nprocs(batch)
    # Our worker gives each rank a GPU of its own; a machine of Saturn Cloud may have another worker.
    said: int | Literal["cores", "gpus"] = (
        "gpus" if batch.nprocs == "gpus" and not own_sync else nprocs or "cores"
    )
    shape = Shape(said, batch.batch_size or (3 * nprocs if nprocs else _CHUNK), always)
    groups = group_texts(batch, choice, shape, id_)
    texts = [text for group in groups for text in group]
    options = without_secrets(batch.storage_options)
    setup = "" if own_sync else send_code(batch, id_, options, print)
    submission = Submission(
        id_,
        batch,
        texts,
        f"{batch.remote_output_path}/{OURS}/submissions/{id_}",
        _numbered(groups),
        batch.scale,
        folder_of(batch, id_),
        setup,
        ["--storage-options", json.dumps(options)] if options else [],
    )
    note = new_note(
        id=id_,
        engine=engine.name,
        batch=batch.name,
        chunks=len(texts),
        runs=sum(map(len, choice.groups)),
        nprocs=shape.nprocs,
        scale=batch.scale,
    )
    return Draft(submission, engine.prepare(submission), note, earlier_runs(ledger, choice))


def _numbered(groups: Sequence[Sequence[str]]) -> list[Group]:
    numbered: list[Group] = []
    first = 0
    for group in groups:
        numbered.append(Group(first, len(group)))
        first += len(group)
    return numbered


def folder_of(batch: Batch, submission: str) -> str:
    """Return a submission's local folder: in the store where that is one of this machine's file systems."""
    scheme, _, path = batch.remote_output_path.partition("://")
    root = path if scheme == "file" else str(batch.folder)
    return os.path.join(root, OURS, "submissions", submission)


def hand_over(
    store: NoteStore, engine: Engine, draft: Draft, *, force: bool
) -> tuple[Note | None, list[Note]]:
    """Hand a submission to its engine; return its note, or None and those under way, which hinder it unless forced.

    Raises StoreError, EngineError; then nothing of it goes on.
    """
    note = draft.note
    if force:
        write_note(store, note)
    elif others := claim(store, note, load_engine):
        return None, others
    try:
        put(store, draft)
        note = note.but(jobs=tuple(engine.submit(draft.submission)))
    except BaseException:
        with suppress(Exception):
            write_note(store, note.but(ended=True))
        raise
    write_note(store, note)
    return note, []


def put(store: NoteStore, draft: Draft) -> None:
    """Put the chunks into the store, and the engine's files into the submission's folder.

    Raises StoreError, EngineError.
    """
    submission = draft.submission
    for number, text in enumerate(submission.texts):
        store.write_note(f"submissions/{submission.id}/{number}.json", text.encode())
    if draft.earlier:
        store.write_note(note_name(submission.id), json.dumps(draft.earlier).encode())
    try:
        os.makedirs(os.path.join(submission.folder, "logs"), exist_ok=True)
        for name, text in draft.files.items():
            write_whole(os.path.join(submission.folder, name), text.encode())
    except OSError as error:
        raise EngineError(f"{error.filename or submission.folder}: {error.strerror}") from error
