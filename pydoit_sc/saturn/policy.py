"""How long to wait for Saturn Cloud, and how often to repeat a call that may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import InvalidHeader, MaxRetryError, ReadTimeoutError, SSLError
from urllib3.util import Retry

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait, how often to try; all times in seconds."""

    connect_timeout: float = 10
    read_timeout: float = 60
    attempts: int = 4  # of idempotent calls; the second follows the first at once
    first_delay: float = 0.5  # before the third attempt; then doubled
    longest_delay: float = 60  # a server that asks for more is not waited for


def retries(policy: Policy) -> Retry:
    """Return the retries of calls that may be repeated."""
    return _Retries(
        total=policy.attempts - 1,
        allowed_methods=None,  # any: calls that may not be repeated go another way
        status_forcelist={429, 500, 502, 503, 504},
        backoff_factor=policy.first_delay / 2,  # the library doubles it before the third attempt
        backoff_jitter=policy.first_delay / 2,
        backoff_max=policy.longest_delay,
        raise_on_status=False,
    )


class _Retries(Retry):
    """The library's retries, except after a slow answer, a bad certificate, or a request to wait too long."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Count a failed attempt; raise where there is no other one."""
        if isinstance(error, (ReadTimeoutError, SSLError)):
            raise error
        if response is not None and (self.get_retry_after(response) or 0) > self.backoff_max:
            raise MaxRetryError(_pool, url or "")
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return for how many seconds a server asks, None if it does not say it in numbers or by a date."""
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None
