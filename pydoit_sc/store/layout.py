"""The layout of a run's output: its file names, and what they say when read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STDOUT = "stdout"
STDERR = "stderr"
STATUS_CODE = "status_code"
RESULTS = "results"
RUN_JSON = "run.json"

_ATTEMPT = re.compile(r"[\w-]{0,64}")  # it becomes the name of a folder in the history
_DIGITS = re.compile(rb"\s*(\d{1,3})\s*")


class Record(NamedTuple):
    """What the store says of one run that has a `status_code`."""

    code: int | None  # None: the file does not hold a status code
    attempt: str = ""  # "" where there is no run.json, as after `sc batch`
    fingerprint: str = ""
    submission: str = ""


def parse_status_code(data: bytes) -> int | None:
    """Return the status code 0 … 255 that a `status_code` file holds, or None if it holds something else."""
    match = _DIGITS.fullmatch(data)
    code = int(match[1]) if match else 256
    return code if code < 256 else None


def parse_record(status_code: bytes, run_json: bytes | None) -> Record:
    """Combine the two small files of a run; a run.json that is missing, torn or of another outcome says nothing."""
    code = parse_status_code(status_code)
    said = _said(run_json) if run_json is not None else None
    # Another code: the run was replaced between the reading of one file and of the other.
    return Record(code) if said is None or said[0] not in (None, code) else Record(code, *said[1])


def attempt_of(run_json: bytes) -> str:
    """Return the attempt that a `run.json` is of; "" where it does not say."""
    said = _said(run_json)
    return said[1][0] if said else ""


def _said(run_json: bytes) -> tuple[Any, tuple[str, str, str]] | None:
    """Return the status code (if there is one), attempt, fingerprint and submission of a `run.json` that is sound."""
    try:
        data = json.loads(run_json)
        words = data["attempt"], data["fingerprint"], data.get("submission") or ""
        code = data.get("status_code")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    sound = all(isinstance(word, str) for word in words) and _ATTEMPT.fullmatch(words[0])
    return (code, words) if sound else None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What `run.json` tells of an attempt; times are seconds since the epoch, memory is in bytes."""

    cmd: str
    fingerprint: str
    attempt: str
    status_code: int
    host: str
    rank: int
    started: float
    finished: float
    cpu_seconds: float
    peak_memory: int
    retry_codes: tuple[int, ...] = ()  # the status codes of the earlier attempts that were retried
    timed_out: bool = False
    submission: str = ""
    files: Mapping[str, int] = field(default_factory=dict)  # sizes in bytes, by path below the output

    def to_json(self) -> bytes:
        """Return the bytes of `run.json`."""
        data: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "attempt": self.attempt,
            "submission": self.submission or None,
            "cmd": self.cmd,
            "status_code": self.status_code,
            "host": self.host,
            "rank": self.rank,
            "started": round(self.started, 3),
            "finished": round(self.finished, 3),
            "seconds": round(self.finished - self.started, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_memory": self.peak_memory,
            "retries": len(self.retry_codes),
            "retry_codes": self.retry_codes,
            "timed_out": self.timed_out,
            "files": {name: {"size": size} for name, size in self.files.items()},
        }
        return json.dumps(data).encode()
