"""A chunk: the runs that one worker takes, and how it executes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydoit_sc.batch import Batch
from pydoit_sc.ledger import Work
from pydoit_sc.store import Record
from pydoit_sc.verdicts import is_current


class Before(NamedTuple):
    """Runs that a run comes after: some by their fingerprints, or a whole stage."""

    stage: str = ""  # its runs are in a note of the submission: worker/earlier.py
    runs: Mapping[str, str] = {}  # fingerprints by key


class Chunk(NamedTuple):
    """What one worker takes."""

    works: Sequence[Work]
    batch: Batch  # where their outputs go, and how they are executed: the file of a chunk says no more of it
    submission: str = ""  # its id; "" for a run list
    always: bool = False  # the submission executes completed runs again
    before: Mapping[str, Sequence[Before]] = {}  # what must be completed first, by output

    @property
    def id(self) -> str:
        """A name of one path segment that no other chunk has."""
        text = "\0".join((self.submission, *(work.run.key for work in self.works)))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def completed(self, fingerprint: str, record: Record | None) -> bool:
        """Return whether a run's outcome is what this chunk's submission wants, so that it is not executed (again).

        A submission that executes completed runs again does so once: what it has completed itself is done.
        """
        if record is None or record.code != 0:
            return False
        if self.submission and record.submission == self.submission:
            return True
        return not self.always and is_current(record, fingerprint)
