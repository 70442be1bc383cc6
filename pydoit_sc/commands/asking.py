"""Ask before something is done that cannot be undone."""

from __future__ import annotations

import sys


def is_answered() -> bool:
    """Return whether a question is read and answered: on a terminal."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())


def agreed(question: str) -> bool:
    """Ask on a terminal, and return whether the user agrees."""
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
