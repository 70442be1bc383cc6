"""The errors of Saturn Cloud, each with one message for the user."""

from __future__ import annotations

from pydoit_sc.errors import UserError


class SaturnError(UserError):
    """Saturn Cloud fails or refuses, or what it was given is wrong; the message is for the user."""


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
    """The answer is not JSON, or a key is missing or has a wrong value."""


class HTTPError(SaturnError):
    """An answer with a status of 400 or more, which is `status`."""

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
