"""The layout of a run's output: the names of its files, and what they say when read back."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

from pydoit_sc import times
from pydoit_sc.ends import told

STDOUT = "stdout"
STDERR = "stderr"
STATUS_CODE = "status_code"
RESULTS = "results"
RUN_JSON = "run.json"

#: Bytes of a document in a store, a `run.json` or a lease, that is read whole; what is larger is none of ours.
LARGEST = 64 << 20
#: Bytes of a note, of which a chunk is one.
LARGEST_NOTE = 1 << 30

#: What a `status_code` may hold: 0 … 255 as we write it, or -n as `sc` does for death by signal n.
CODES = range(-64, 256)

_CODE = re.compile(rb"\s*(\d{1,3}|-[1-9]\d?)\s*")


class Record(NamedTuple):
    """What the store says of one run that has a `status_code`."""

    #: None: the file does not hold a status code, or cannot be read, which `reason` then says.
    code: int | None
    attempt: str = ""  # "" where there is no run.json, as after `sc batch`
    fingerprint: str = ""
    submission: str = ""
    reason: str = ""  # why it failed, where that was not its own exit code
    started: float = 0.0  # seconds since the epoch, by the clock of its machine; 0: not known
    ended: float = 0.0
    host: str = ""
    memory: int = 0  # bytes at its peak; 0: not known
    rank: int | None = None
    cpu: float = 0.0  # seconds of processor time

    @property
    def is_unreadable(self) -> bool:
        """Whether there is an outcome that cannot be read, as `reason` says."""
        return self.code is None and bool(self.reason) and not self.attempt

    @property
    def failure(self) -> str:
        """How it failed, in words."""
        return told(self.code, self.reason)

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is not known."""
        return duration(self.started, self.ended)

    def told(self, fingerprint: str | None) -> Record | Current:
        """Return what is told of it to somebody who knows what its run depends on now: all, unless it is current."""
        if fingerprint is None or self.code != 0 or self.fingerprint not in ("", fingerprint):
            return self
        return Current(self.attempt, self.seconds)


class Current(NamedTuple):
    """An outcome that is completed, and that of what its run depends on now: all that is told of it where runs are many."""

    attempt: str
    seconds: float  # how long it took; 0 where that is not known


def duration(started: float, ended: float) -> float:
    """Return how long a run took, from the seconds since the epoch; 0 where that is not known."""
    seconds = round(ended - started, 3) if started else 0.0
    return seconds if 0 < seconds < times.LONGEST else 0.0


def parse_status_code(data: bytes) -> int | None:
    r"""Return the status code 0 … 255 that a `status_code` file holds, or None if it holds something else.

    `sc` writes what Python calls a death by signal n, -n: that is read as 128 + n, as we write it.

    >>> parse_status_code(b"7\n"), parse_status_code(b"-9"), parse_status_code(b"256")
    (7, 137, None)
    """
    match = _CODE.fullmatch(data)
    code = int(match[1]) if match else CODES.stop
    if code not in CODES:
        return None
    return code if code >= 0 else 128 - code


def key_digest(key: str, size: int) -> str:
    """Return a name of one segment for the key of a run, which need not be UTF-8: so many bytes in hexadecimal.

    >>> key_digest("month/2012-01", 8)
    'a3b85538d3149c16'
    """
    return blake2b(key.encode(errors="surrogateescape"), digest_size=size).hexdigest()


def stays(there: Record | None, supersedes: str | None, fingerprint: str) -> bool:
    """Return whether an outcome that is there stays: it is completed, and is not the one that is to be replaced.

    `supersedes` is the attempt that the plan knew and decided to replace; None: it knew of none. `fingerprint` is what
    the run depends on now: the outcome of another command does not stay. One that is empty is not known.

    >>> stays(Record(0, "a-1", "f"), None, "f"), stays(Record(0, "a-1", "f"), "a-1", "f")
    (True, False)
    >>> stays(Record(7, "a-1", "f"), None, "f"), stays(Record(0, "a-1", "f"), None, "g")
    (False, False)
    """
    if there is None or there.code != 0 or there.attempt == supersedes:
        return False
    return "" in (there.fingerprint, fingerprint) or there.fingerprint == fingerprint
