"""The names of workers, and what they tell of each other: two with different chunks of one submission never meet."""

from __future__ import annotations

import secrets
from hashlib import blake2b

#: Letters at the beginning of the name of a chunk's worker: for the submission, and again for the chunk.
_PART = 6


def name_worker(submission: str = "", chunk: str = "") -> str:
    """Return a name that no other worker has."""
    scope = [blake2b(text.encode(), digest_size=_PART // 2).hexdigest() for text in (submission, chunk)]
    return "".join(scope if submission else ()) + secrets.token_hex(5)


def are_apart(one: str, other: str) -> bool:
    """Return whether two workers have no run in common, as far as their names tell.

    >>> one, two = name_worker("s", "0"), name_worker("s", "1")
    >>> are_apart(one, two), are_apart(one, name_worker("s", "0")), are_apart(one, name_worker())
    (True, False, False)
    """
    if len(one) != len(other) or len(one) < 2 * _PART + 10:
        return False
    return one[:_PART] == other[:_PART] and one[_PART : 2 * _PART] != other[_PART : 2 * _PART]
