"""Tell quickly which of many runs are current: by the library in C where there is one, or else nothing is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from pydoit_sc import native
from pydoit_sc.store.layout import Current

if TYPE_CHECKING:
    from ctypes import PyDLL

#: Runs that are asked for at once.
TOGETHER = 256
_ABSENT, _CURRENT = 1, 2


class Currents:
    """Tells nothing."""

    def tell(self, _folder: int, runs: Sequence[tuple[str, str | None]]) -> Iterable[Current | bool | None]:
        """Return what shows quickly of runs, `TOGETHER` at most, by their keys in an open folder and their fingerprints.

        It is an outcome that is completed and has the fingerprint; False where there is nothing at all; and None where
        the outcome is to be read.
        """
        return repeat(None, len(runs))


class QuickCurrents(Currents):
    """Tells what files say that are just as our worker writes them."""

    def __init__(self, quick: PyDLL) -> None:
        import ctypes  # noqa: PLC0415 - only what looks at many runs needs it

        text, size = ctypes.c_char_p, ctypes.c_size_t
        self._told = ctypes.create_string_buffer(TOGETHER)
        self._seconds = (ctypes.c_double * TOGETHER)()
        self._attempts = ctypes.create_string_buffer(65 * TOGETHER)
        self._tell = ctypes.CDLL(quick._name).tell_outcomes  # which may take long
        self._tell.argtypes = (ctypes.c_int, size, text, text, text, ctypes.POINTER(ctypes.c_double), text)
        self._tell.restype = size

    def tell(self, folder: int, runs: Sequence[tuple[str, str | None]]) -> Iterable[Current | bool | None]:
        """Return what shows quickly; see above."""
        keys = os.fsencode("\0".join([*(key for key, _ in runs), ""]))
        if keys.count(0) != len(runs):
            return super().tell(folder, runs)
        wanted = "\0".join([*(fingerprint or "" for _, fingerprint in runs), ""]).encode()
        size = self._tell(folder, len(runs), keys, wanted, self._told, self._seconds, self._attempts)
        attempts = self._attempts.raw[:size].decode().splitlines()
        return [
            Current(attempt, seconds) if told == _CURRENT else False if told == _ABSENT else None
            for told, attempt, seconds in zip(self._told.raw, attempts, self._seconds, strict=False)
        ]


def find_currents() -> Currents:
    """Return the quickest way that there is here."""
    quick = native.find()
    return QuickCurrents(quick) if quick else Currents()
