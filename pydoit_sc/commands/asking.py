"""Ask before something is done that cannot be undone."""

from __future__ import annotations

import sys


def agreed(question: str, otherwise: str) -> bool:
    """Return what a user says on a terminal; elsewhere nobody answers, and what to do `otherwise` is said as an error."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        print(f"ERROR: {otherwise}", file=sys.stderr)
        return False
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
