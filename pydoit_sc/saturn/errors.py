"""What can go wrong with Saturn Cloud: one error class for each, each with one clear message."""

from __future__ import annotations

from pydoit_sc.errors import UserError


class SaturnError(UserError):
    """Saturn Cloud, its address, or what was given to it is not as it should be; the message is for the user."""


class AccountError(SaturnError):
    """An environment variable is missing, or its value cannot be used."""


class RecipeError(SaturnError):
    """A recipe cannot be read, written or sent."""


class UnreachableError(SaturnError):
    """No answer: the connection was refused, broke off, or its certificate is not trusted."""


class SaturnTimeoutError(UnreachableError):
    """No answer in time."""


class RedirectError(SaturnError):
    """The answer points to another host, where the token does not go."""


class AnswerError(SaturnError):
    """The answer is not JSON, or lacks what it should hold."""


class HTTPError(SaturnError):
    """An answer that says no; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnauthorizedError(HTTPError):
    """401: the token is wrong, or has expired and could not be refreshed."""


class ForbiddenError(HTTPError):
    """403: the token is right, but may not do this."""


class NotFoundError(HTTPError):
    """404: no such resource."""


class ServerError(HTTPError):
    """5xx: Saturn Cloud failed."""


class UnknownInstanceTypeError(SaturnError):
    """No size has this name."""
