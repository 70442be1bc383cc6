"""The small library in C, `quick.c`, where there is one: what it does can all be done by Python, too."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import PyDLL

SOURCE = os.path.join(os.path.dirname(__file__), "quick.c")
LIBRARY = os.path.join(os.path.dirname(__file__), "libquick.so")
#: Where this is set in the environment, the library is not used.
PURE = "PYDOIT_SC_PURE"


def load(path: str) -> PyDLL:
    """Load the library; raises OSError, ValueError where that is not possible, or where it is of another version.

    Its functions keep the interpreter's lock: a call takes less time than handing that over.
    """
    import ctypes  # noqa: PLC0415 - only what executes runs needs it

    library = ctypes.PyDLL(path)
    with open(SOURCE, "rb") as file:
        digest = blake2b(file.read(), digest_size=16).hexdigest().encode()
    if (ctypes.c_char * len(digest)).in_dll(library, "source_digest").value != digest:
        raise ValueError(f"{path}: not compiled from {SOURCE}")
    return library


def find() -> PyDLL | None:
    """Return the library, None where there is none that can be used."""
    if os.environ.get(PURE) or not os.path.exists(LIBRARY):
        return None
    try:
        return load(LIBRARY)
    except (OSError, ValueError):  # built for another machine or C library; of another version
        return None
