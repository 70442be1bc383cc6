"""Hand a submission over: chunks into the store, files into its folder, jobs into its note."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress

from pydoit_sc.engines.base import Engine, EngineError
from pydoit_sc.engines.stops import stopped_later
from pydoit_sc.errors import UserError
from pydoit_sc.files import only_mine, write_whole
from pydoit_sc.store import NoteStore, Store
from pydoit_sc.submissions.draft import Ready
from pydoit_sc.submissions.folder import chunk_name
from pydoit_sc.submissions.notes import Note, ask, claim, gone_words, write_note
from pydoit_sc.utf8 import to_bytes
from pydoit_sc.worker.earlier import note_name


class UnderWayError(UserError):
    """Another submission of the batch is under way."""


def hand_over(store: Store, engine: Engine, ready: Ready, *, force: bool = False) -> Note:
    """Hand a submission to its engine and return its note; with `force` also beside another one.

    Raises UnderWayError, StoreError, EngineError; then nothing of it goes on.
    """
    note, batch = ready.note, ready.submission.batch
    if force:
        write_note(store, note)
    elif others := claim(store, note, batch):
        raise UnderWayError(_refusal(ready, others))
    try:
        put(store, ready)
        with stopped_later():  # jobs that are in no note are known to nobody
            note = note.but(jobs=tuple(engine.submit(ready.submission)))
            write_note(store, note)
    except BaseException:
        with suppress(Exception):
            if note.jobs:
                engine.cancel(note.handed(batch))
            note = note.but(ended=True)
        with suppress(Exception):
            write_note(store, note)
        raise
    return note


def _refusal(ready: Ready, others: list[Note]) -> str:
    which = ", ".join(f"{other.id} ({other.engine})" for other in others)
    batch = ready.submission.batch
    answers = ask([other for other in others if other.jobs], batch)
    doubtful = [other for other in others if other.id in answers and answers[other.id].in_doubt]
    doubts = "; ".join(dict.fromkeys(why for other in doubtful for why in answers[other.id].doubts()))
    told = f", as far as can be told ({doubts})" if doubts else ""
    words = shlex.join(batch.words)
    gone = "".join(f"; {gone_words(other, batch)}" for other in doubtful if other.mine)
    return (
        f"submission {which} is under way{told}: wait for its end (`pydoit-sc submissions {words}`), end it by "
        f"`pydoit-sc cancel {words}`, or submit beside it with `pydoit-sc submit --force`{gone}"
    )


def put(store: NoteStore, ready: Ready) -> None:
    """Put the chunks into the store, and the engine's files into the submission's folder.

    Raises StoreError, EngineError.
    """
    submission = ready.submission
    for number, text in enumerate(submission.texts):
        store.write_note(f"submissions/{submission.id}/{chunk_name(number)}", text.encode())
    if ready.earlier:
        store.write_note(note_name(submission.id), json.dumps(ready.earlier).encode())
    try:
        os.makedirs(os.path.join(submission.folder, "logs"), exist_ok=True)
        for name, text in ready.files.items():
            write_whole(os.path.join(submission.folder, name), to_bytes(text), only_mine)
    except OSError as error:
        raise EngineError(f"{error.filename or submission.folder}: {error.strerror}") from error
