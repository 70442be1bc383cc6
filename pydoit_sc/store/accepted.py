"""Outcomes that a user has taken as current though their runs have changed since: small notes in the store.

A note maps attempts to the fingerprints for which they stand. So it says nothing of an outcome that is published later,
nor of a run that changes once more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from itertools import islice

from pydantic import Field

from pydoit_sc.store.base import NoteStore
from pydoit_sc.store.stamps import StoredDocument, read

_FOLDER = "accepted"
_TOGETHER = 50_000  # outcomes in a note
_LARGEST = 64 << 20  # bytes of a note


class Accepted(StoredDocument):
    """Outcomes that were accepted together."""

    outcomes: dict[str, str] = Field(description="the fingerprint that an outcome stands for, by its attempt")


def write_accepted(store: NoteStore, outcomes: Mapping[str, str]) -> None:
    """Keep in the store that these attempts stand for these fingerprints; raises StoreError."""
    left = iter(outcomes.items())
    while some := dict(islice(left, _TOGETHER)):
        name = f"{_FOLDER}/{time.time_ns():x}-{secrets.token_hex(4)}.json"
        store.write_note(name, Accepted(outcomes=some).to_json())


def read_accepted(store: NoteStore, tell: Callable[[str], object]) -> dict[str, str]:
    """Return the fingerprint that each accepted attempt stands for; `tell` gets a line about each note that is not sound.

    Raises StoreError.
    """
    found: dict[str, str] = {}
    for name in store.notes(_FOLDER):
        try:
            note = read(Accepted, store.read_note_and_owner(name, _LARGEST)[0])
        except FileNotFoundError:  # no file of ours
            note = None
        if note is None:
            tell(f"{store.url}/.pydoit_sc/{name}: is not what `accept` writes, and is ignored; delete it")
        else:
            found.update(note.outcomes)
    return found
