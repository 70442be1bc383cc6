"""Show others what runs write while they execute, as long as somebody asks; a thread looks whether somebody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from pydoit_sc.store import NoteStore, StoreError
from pydoit_sc.store.asking import (
    ASKED_FOR,
    LOOK_EVERY,
    SHOW_EVERY,
    Ending,
    Shown,
    asked_note,
    read_asked,
    shown_note,
)
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.store.reading import read_end
from pydoit_sc.threads import aside

_AT_ONCE = 512 << 10  # bytes of a note, but for the base64
_LONGEST, _SHORTEST = 64 << 10, 1 << 10  # bytes of a file
_PATIENCE = 2.0  # seconds that the end of a worker waits for the removal of its notes


class Showing:
    """Answers who asks; `folders` are those of the attempts that are executing, by id."""

    def __init__(self, store: NoteStore, worker: str) -> None:
        self.folders: Mapping[str, str] = {}
        self._store, self._worker = store, worker
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._asked = b""  # the note that was seen last
        self._until: dict[str, float] = {}  # what is shown, and for how long
        self._shown = b""

    def start(self) -> None:
        """Look from now on; without a thread, which the system may lack, nobody is answered."""
        with suppress(OSError):
            self._thread = aside(self._listen, "showing")

    def close(self) -> None:
        """Look no more; what was shown is removed."""
        self._end.set()
        if self._thread and self._shown:
            self._thread.join(_PATIENCE)

    def _listen(self) -> None:
        while not self._end.wait(SHOW_EVERY if self._until else LOOK_EVERY):
            with suppress(Exception):  # for people alone: a thread must not die of it
                self.look(time.monotonic())
        if self._shown:
            for name in (asked_note(self._worker), shown_note(self._worker)):
                with suppress(Exception):
                    self._store.remove_note(name)

    def look(self, now: float) -> None:
        """Look whether somebody asks, and show what is asked for; raises StoreError."""
        folders = self.folders
        asked, attempts = read_asked(self._store, self._worker)
        if asked != self._asked:
            self._asked = asked
            self._until |= dict.fromkeys(attempts, now + ASKED_FOR)
        self._until = {
            attempt: end for attempt, end in self._until.items() if end > now and attempt in folders
        }
        if not self._until:
            return
        at_most = max(_SHORTEST, min(_LONGEST, _AT_ONCE // (2 * len(self._until))))
        shown = Shown(
            attempts={attempt: _endings(folders[attempt], at_most) for attempt in self._until}
        ).to_json()
        if shown != self._shown:
            self._shown = shown
            self._store.write_note(shown_note(self._worker), shown)


def _endings(folder: str, at_most: int) -> dict[str, Ending]:
    found = {}
    for name in (STDOUT, STDERR):
        with suppress(StoreError):  # the run may have closed it
            found[name] = Ending.of(*read_end(folder, name, at_most))
    return found
