"""Failures by kind: the same status code and reason, and the same last telling line of stderr but for what differs from run to run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from pydoit_sc.ends import OF_SETTINGS, briefly
from pydoit_sc.errors import printable

TAIL = 4096  # bytes of the end of a stderr that are read
_LONGEST = 300  # characters of a line that are looked at
_QUOTED = re.compile("`[^`]*`")  # a name in our own words
_MOST = 2000  # kinds
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"

#: What differs between runs that fail alike; compiled, which takes 2 ms, when the first has failed.
_VARYING = rf"""
      '[^'\s]*/[^']*' | "[^"\s]*/[^"]*"                         # a path in quotes, with spaces
    | \b[a-z][a-z0-9+.-]*://[^\s'"<>]+                          # a URL
    | (?<![\w.~+-])[\w.~+-]*(?:/[\w.~+\-%@=:,]+)+/?             # a path
    | \b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?
      (?:\d\d?[\s-])?(?:{_MONTHS})[a-z]*[\s-]+\d+(?:[\s,:]+\d+)*      # a date with the name of its month
    | \b[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}\b   # a UUID
    | \b0x[0-9a-fA-F]+\b                                        # an address
    | \b(?=[a-fA-F]*\d)[0-9a-fA-F]{{8,}}\b                      # a digest
    | \b(?=\w*\d[A-Za-z]\w*\d[A-Za-z])\w{{5,}}\b                # an id of letters and digits in turn
    | (?:(?<![\w)\]])[-+])?\d+(?:[.,:]\d+)*(?:[eE][-+]?\d+)?(?:[mµn]?s\b)?    # a number, or a time
    """
_CONTROLS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LINE_END = re.compile(r"[\r\n]+")  # a progress bar ends its lines with \r

#: Lines that programs write after the one that says what is wrong: R, Rust, Go, make.
_CLOSING = re.compile(
    r"Execution halted$|Calls: |note: run with `RUST_BACKTRACE|exit status \d+$|make(\[\d+\])?: \*\*\* "
)


def mask(line: str) -> str:
    """Return a line with `…` for what differs from run to run: numbers, times, paths, URLs, addresses, ids.

    >>> mask("KeyError: 'closing_price'"), mask("2022-03-07 12:00:01,123 ERROR [4711] no data for -3.5e+7")
    ("KeyError: 'closing_price'", '…-…-… … ERROR […] no data for …')
    >>> mask("No such file or directory: '/data/my files/a.csv'"), mask("cp: data/2012-01.csv: No space left on device")
    ('No such file or directory: …', 'cp: … No space left on device')
    >>> mask("<Row object at 0x7f3a2c> of 1b4e28ba-2fa1-11d2-883f-0016d3cca427, commit 3f2a9bc01d, job i-0ab12cd34")
    '<Row object at …> of …, commit …, job i-…'
    >>> mask("Mon, 7 Mar 2022 12:00:00 node17: GET https://a.example/b?c=1 failed")
    '… node…: GET … failed'
    """
    return re.sub(_VARYING, "…", line, flags=re.VERBOSE)


def uncoloured(text: str) -> str:
    r"""Return a text without the sequences that colour a terminal, move on it or erase.

    >>> uncoloured("\x1b[1;31mfailed\x1b[0m\x1b[K")
    'failed'
    """
    return _CONTROLS.sub("", text)


def telling_line(tail: bytes) -> str:
    r"""Return the line of stderr that most likely says what is wrong, from the last bytes of it; "" where there is none.

    It is the last that is not indented, as frames of a stack are, nor one that says only that the program ends.

    >>> telling_line(b"Traceback (most recent call last):\n  File \"a.py\", line 3\n\x1b[1mKeyError: 'x'\x1b[0m\n\n")
    "KeyError: 'x'"
    >>> telling_line(b"java.io.IOException: no\n\tat A.main(A.java:3)\n"), telling_line(b"Error in f(): no\nExecution halted\n")
    ('java.io.IOException: no', 'Error in f(): no')
    """
    if len(tail) >= TAIL:  # its first line is the end of one
        tail = tail.partition(b"\n")[2] or tail
    text = uncoloured(tail.decode(errors="backslashreplace"))
    lines = [line.rstrip() for line in reversed(_LINE_END.split(text)) if line.strip()]
    outer = [line for line in lines if not line[0].isspace()]
    telling = (line for line in outer if not _CLOSING.match(line))
    return next(telling, next(iter(outer or lines), "")).strip()[:_LONGEST]


class Failure(NamedTuple):
    """A failed run: how it ended, and the end of its stderr."""

    task: str  # the name of its doit task
    code: int | None
    reason: str  # "" where it ended with an exit code of its own
    tail: bytes | None  # at most `TAIL` bytes; None: not read


@dataclass(slots=True)
class Kind:
    """Failures of one kind."""

    code: int | None
    ended: str  # how the first of them ended, in words
    line: str | None  # the telling line of its stderr; None: not read
    tasks: list[str] = field(default_factory=list)  # of all of them, in the order of the batch
    tail: bytes = field(default=b"", repr=False)  # the end of the stderr of the first of them

    @property
    def words(self) -> str:
        """How many there are, how they ended, and what the first one says."""
        return f"{len(self.tasks):,} × {self.ended}  {self.said}"

    @property
    def said(self) -> str:
        """What the first of them says of it on stderr."""
        return "(stderr not read)" if self.line is None else printable(self.line) or "(nothing on stderr)"


Key: TypeAlias = "tuple[int | None, str, str | None]"


def key_of(failure: Failure) -> Key:
    """Return what failures of one kind have in common: the status code, the reason and the line, as masked.

    A reason whose numbers are settings counts as it stands: `timed out after 1 s`.

    >>> key_of(Failure("a:1", 7, "", b"no 1\\n")) == key_of(Failure("a:2", 7, "", b"no 2\\n"))
    True
    >>> oom = [Failure("a", 137, f"killed by SIGKILL (peak 15.{n} GB of 16 GB of memory)", b"") for n in range(2)]
    >>> slow = [Failure("a", 143, f"timed out after {n} s", b"") for n in range(2)]
    >>> len(set(map(key_of, oom))), len(set(map(key_of, slow)))
    (1, 2)
    >>> key_of(Failure("a:1", None, "file_dep `x.csv` matches no file", None))
    (None, 'file_dep … matches no file', None)
    """
    line = None if failure.tail is None else mask(telling_line(failure.tail))
    reason = failure.reason[:_LONGEST]
    if not reason.startswith(OF_SETTINGS):
        reason = mask(_QUOTED.sub("…", reason))
    return failure.code, reason, line


class Tally:
    """Failures by kind, as they come.

    What stderr says is compared until there are so many kinds that a person reads none of them; what comes then in other
    words is told apart by code and reason.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[Key, Kind] = {}

    def add(self, failure: Failure) -> bool:
        """Add a failure; return whether it is the first of its kind."""
        self.count += 1
        key = key_of(failure)
        if key not in self._kinds and len(self._kinds) >= _MOST:
            failure = failure._replace(tail=None)
            key = key_of(failure)
        is_first = key not in self._kinds
        if is_first:
            line = None if failure.tail is None else telling_line(failure.tail)
            self._kinds[key] = Kind(
                failure.code, briefly(failure.code, failure.reason), line, tail=failure.tail or b""
            )
        self._kinds[key].tasks.append(failure.task)
        return is_first

    def kinds(self) -> list[Kind]:
        """Return the kinds, the most frequent first; of equal ones, the one that came first."""
        return sorted(self._kinds.values(), key=lambda kind: -len(kind.tasks))


def kinds_of(failures: Iterable[Failure]) -> list[Kind]:
    """Return failures by kind, the most frequent first; of equal ones, the first in the batch.

    >>> kinds_of([Failure("a:1", 7, "", b"no 1\\n"), Failure("a:2", 7, "", b"no 2\\n")])
    [Kind(code=7, ended='exit 7', line='no 1', tasks=['a:1', 'a:2'])]
    """
    tally = Tally()
    for failure in failures:
        tally.add(failure)
    return tally.kinds()
