"""A user's mistakes as doit shows them: a message without a traceback, and exit code 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from doit.exceptions import DependencyError, InvalidDodoFile

from pydoit_sc.errors import UserError


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a `UserError` into the error that doit shows without a traceback."""
    try:
        yield
    except UserError as error:
        raise InvalidDodoFile(str(error)) from error


class NotStartedError(DependencyError):  # type: ignore[misc]
    """A run cannot be started, for a reason that others may have, too."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(f"failed {task}: {reason}")
        self.reason = reason
