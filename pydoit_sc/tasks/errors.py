"""A user's mistakes as doit shows them: a message without a traceback, and exit code 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from doit.exceptions import BaseFail, InvalidDodoFile

from pydoit_sc.errors import UserError


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a `UserError` into the error that doit shows without a traceback."""
    try:
        yield
    except UserError as error:
        raise InvalidDodoFile(str(error)) from error


class NoOutcomeError(BaseFail):  # type: ignore[misc]
    """A run has got no outcome, for a reason that others may have, too: it was not started, or not published."""

    def __init__(self, task: str, reason: str, what: str = "not started") -> None:
        super().__init__(f"{what} {task}: {reason}")
        self.reason, self.what = reason, what
