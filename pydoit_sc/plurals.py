"""Numbers of things, as people write them."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return how many there are of something.

    >>> counted(1, "run"), counted(0, "run"), counted(1234, "chunk")
    ('1 run', '0 runs', '1,234 chunks')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
