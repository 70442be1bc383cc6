"""What can go wrong with a sync: one error with a message for the user."""

from __future__ import annotations


class SyncError(Exception):
    """A folder cannot be archived, staged, fetched or extracted."""
