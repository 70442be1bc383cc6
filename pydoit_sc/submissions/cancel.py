"""Cancel a submission as a whole: end its jobs, and note that its runs are not lost."""

from __future__ import annotations

from contextlib import suppress

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import Engine, EngineError
from pydoit_sc.errors import warn_once
from pydoit_sc.store import NoteStore, StoreError
from pydoit_sc.submissions.notes import Note
from pydoit_sc.worker.control import cancel_all


def cancel(store: NoteStore, engine: Engine, note: Note, batch: Batch, *, is_under_way: bool) -> None:
    """End the jobs of a submission; of one that has ended an engine may keep something. Raises EngineError.

    The note comes first: who waits may see the end of the jobs before this does.
    """
    if not is_under_way:
        engine.cancel(note.handed(batch))
        return
    try:
        cancel_all(store, note.id)
    except StoreError as error:  # the jobs are what counts
        warn_once(f"who waits for {note.id} is not told that it was cancelled: {error}")
    try:
        engine.cancel(note.handed(batch))
    except EngineError:
        with suppress(StoreError):
            cancel_all(store, note.id, withdrawn=True)
        raise
