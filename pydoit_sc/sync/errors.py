"""What can go wrong with a sync: one error with a message for the user."""

from __future__ import annotations

from pydoit_sc.errors import UserError


class SyncError(UserError):
    """A folder cannot be archived, staged, fetched or extracted."""
