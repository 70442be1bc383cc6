"""How somebody elsewhere sees what runs write while they execute: two notes for each worker, as long as somebody asks.

Who wants to see it writes, again and again, which attempts are meant. The worker looks for that note from time to time,
and writes the ends of their stdout and stderr into the other one, as long as the first one changes. No clocks are
compared. Anybody may have written either note.
"""

from __future__ import annotations

import base64
import binascii
import random
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pydantic import Field

from pydoit_sc.errors import warn_once
from pydoit_sc.store.base import NoteStore, StoreError, UnreadableError
from pydoit_sc.store.stamps import Size, StoredDocument, read

SHOW_EVERY = 2.0  # seconds between two looks of a worker, and of who asks, while somebody does
LOOK_EVERY = 5.0  # seconds between two looks of a worker while nobody does
ASKED_FOR = 15.0  # seconds for which a worker shows what it was asked for
MOST_ASKED = 64  # attempts in a note
_LARGEST = 16 << 10  # bytes of a note that asks
_LARGEST_SHOWN = 4 << 20

_ATTEMPT = re.compile(r"([0-9a-z]{1,64})-[0-9]{1,12}")


class Asked(StoredDocument):
    """What somebody wants to see of a worker's attempts."""

    attempts: list[str] = Field(description="their ids")
    token: str = Field(description="makes every note a new one")


class Ending(StoredDocument):
    """The end of what an attempt has written."""

    size: Size = Field(description="bytes that it has written")
    data: str = Field(description="the last of them, in base64")

    @classmethod
    def of(cls, data: bytes, size: int) -> Ending:
        """Return the end of a file of so many bytes."""
        return cls(size=size, data=base64.b64encode(data).decode())

    def after(self, position: int) -> tuple[bytes, int]:
        """Return what comes after the first bytes, and how many bytes are missing before that.

        >>> Ending.of(b"cdef", 6).after(3), Ending.of(b"cdef", 6).after(0), Ending.of(b"cdef", 6).after(6)
        ((b'def', 0), (b'cdef', 2), (b'', 0))
        """
        try:
            data = base64.b64decode(self.data)
        except (binascii.Error, ValueError):
            data = b""
        start = self.size - len(data)
        return data[max(0, position - start) :], max(0, start - position)


class Shown(StoredDocument):
    """What a worker shows."""

    attempts: dict[str, dict[str, Ending]] = Field(description="by attempt and by name of the file")


def asked_note(worker: str) -> str:
    """Return the name of the note that asks a worker."""
    return f"asked/{worker}"


def shown_note(worker: str) -> str:
    """Return the name of the note in which a worker answers."""
    return f"shown/{worker}"


def worker_of(attempt: str) -> str | None:
    """Return the worker of an attempt, None where it is no attempt of ours.

    >>> worker_of("0a1b-17"), worker_of("../x-1")
    ('0a1b', None)
    """
    found = _ATTEMPT.fullmatch(attempt)
    return found[1] if found else None


class Asking:
    """Asks workers for what their attempts write, until its end."""

    def __init__(self, store: NoteStore) -> None:
        self._store = store
        self._renew_at: dict[str, float] = {}  # by worker

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._renew_at:  # who else asks writes it again
            with suppress(StoreError):
                self._store.remove_note(asked_note(worker))

    def look(self, attempts: Iterable[str]) -> Mapping[str, Mapping[str, Ending]]:
        """Return what workers show of these attempts, by attempt and file; raises StoreError."""
        by_worker = defaultdict[str, list[str]](list)
        for attempt in attempts:
            if (worker := worker_of(attempt)) is not None:
                by_worker[worker].append(attempt)
        found: dict[str, Mapping[str, Ending]] = {}
        for worker, wanted in by_worker.items():
            if time.monotonic() >= self._renew_at.get(worker, 0.0):
                # At odd times: of two who ask, each may have written over what the other wrote.
                self._renew_at[worker] = time.monotonic() + random.uniform(SHOW_EVERY, LOOK_EVERY)
                note = Asked(attempts=wanted[:MOST_ASKED], token=secrets.token_hex(4))
                try:
                    self._store.write_note(asked_note(worker), note.to_json())
                except UnreadableError as error:
                    warn_once(f"workers cannot be asked what runs write now: {error}")
            shown = self._shown(worker)
            found.update({attempt: shown[attempt] for attempt in wanted if attempt in shown})
        return found

    def _shown(self, worker: str) -> Mapping[str, Mapping[str, Ending]]:
        try:
            data, _ = self._store.read_note_and_owner(shown_note(worker), _LARGEST_SHOWN)
        except FileNotFoundError:
            return {}
        shown = read(Shown, data)
        return shown.attempts if shown else {}


def read_asked(store: NoteStore, worker: str) -> tuple[bytes, list[str]]:
    """Return the note that asks a worker, which is another one each time, and the attempts in it; raises StoreError."""
    try:
        data, _ = store.read_note_and_owner(asked_note(worker), _LARGEST)
    except FileNotFoundError:
        return b"", []
    asked = read(Asked, data)
    return data, asked.attempts[:MOST_ASKED] if asked else []
