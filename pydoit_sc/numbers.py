"""Whole numbers as a user writes them on a command line."""

from __future__ import annotations

from pydoit_sc.errors import UserError, shortened

MOST = 10**9
DIGITS = 12  # of text that is read at all: Python refuses thousands


def whole_number(what: str, text: str, least: int = 1, most: int = MOST) -> int:
    """Return the number that a text is; raises UserError, which begins with `what` it is for, where it is out of bounds.

    >>> whole_number("--limit", "7")
    7
    >>> whole_number("--code", "256", 0, 255)
    Traceback (most recent call last):
    pydoit_sc.errors.UserError: --code: expected a number from 0 to 255, found `256`
    """
    number = int(text) if text.isdecimal() and len(text) <= DIGITS else least - 1
    if least <= number <= most:
        return number
    bounds = f"from {least:,} to {most:,}" if most < MOST else f"of at least {least}"
    raise UserError(f"{what}: expected a number {bounds}, found `{shortened(text)}`")
