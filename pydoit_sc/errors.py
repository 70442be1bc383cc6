"""The error that a user can correct; in a module of its own, so that whoever catches it loads nothing else."""

from __future__ import annotations


class UserError(Exception):
    """Something that was given is not as it should be; the message says what."""
