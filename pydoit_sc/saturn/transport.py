"""Requests to Saturn Cloud: authorization, token refresh, time-outs, retries, redirects, and answers as JSON.

No error keeps a reference to the library's own exceptions: those hold the request, and with it the token.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from pydoit_sc import __version__
from pydoit_sc.saturn import errors
from pydoit_sc.saturn.settings import REFRESH_TOKEN, TOKEN, Secret, Settings, replace_in_env

if TYPE_CHECKING:
    import requests

#: The reference client whose protocol this is; Saturn Cloud may answer by it.
CLIENT_VERSION = "2026.2.1"

_AGAIN = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_MOST_REDIRECTS = 5
_LONGEST_MESSAGE = 500
_REASON = re.compile(r"\[Errno -?\d+\] ([A-Za-z ]+)")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait, how often to try; all times in seconds."""

    connect_timeout: float = 10
    read_timeout: float = 60
    attempts: int = 4  # of idempotent calls
    first_delay: float = 0.5  # doubled after each attempt
    longest_delay: float = 60  # a server that asks for more is not waited for
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before it is authorized."""

    method: str
    url: str
    query: Mapping[str, str]
    body: Any
    idempotent: bool

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Transport:
    """One session with one Saturn Cloud."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        import requests  # noqa: PLC0415 - not before it is used: it takes longer to import than all the rest

        self.base_url = settings.base_url
        self._policy = policy
        self._token = settings.token
        self._refresh_token = settings.refresh_token
        self._refreshing = threading.Lock()
        self._library = requests
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"pydoit-sc/{__version__}"
        self._session.headers["X-Saturn-Client-Version"] = CLIENT_VERSION
        # http goes to this machine alone (Settings): a proxy would take the token to the network
        self._session.trust_env = not self.base_url.startswith("http:")

    def close(self) -> None:
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        idempotent: bool | None = None,
    ) -> Any:
        """Return the JSON of the answer, None if it has no body; raise SaturnError."""
        again = method in ("GET", "PUT") if idempotent is None else idempotent
        call = Call(method, f"{self.base_url}/{path}", query or {}, body, again)
        response = self._with_retries(call)
        if not response.ok:
            raise self._refusal(call, response)
        return self._json(call, response)

    def _with_retries(self, call: Call) -> requests.Response:
        attempts = self._policy.attempts if call.idempotent else 1
        for attempt in range(1, attempts + 1):
            outcome = self._authorized(call)
            wait = self._wait(outcome, attempt) if attempt < attempts else None
            if wait is None:
                break
            self._policy.sleep(wait)
        if isinstance(outcome, errors.SaturnError):
            raise outcome
        return outcome

    def _wait(self, outcome: requests.Response | errors.SaturnError, attempt: int) -> float | None:
        """Return how long to wait before the next attempt, None if there is none to make."""
        if isinstance(outcome, errors.SaturnError):
            return self._delay(attempt) if _worth_another(outcome) else None
        if outcome.status_code not in _AGAIN:
            return None
        asked = retry_after(outcome.headers.get("Retry-After")) or 0.0
        return max(asked, self._delay(attempt)) if asked <= self._policy.longest_delay else None

    def _delay(self, attempt: int) -> float:
        longest = min(self._policy.longest_delay, self._policy.first_delay * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1)

    def _authorized(self, call: Call) -> requests.Response | errors.SaturnError:
        token = self._token
        outcome = self._follow(call, token, {})
        if isinstance(outcome, errors.SaturnError) or not _is_expired(outcome) or not self._refresh(token):
            return outcome
        return self._follow(call, self._token, {"X-Saturn-Retry": "true"})

    def _refresh(self, expired: Secret) -> bool:
        """Get a new token, unless another thread just did; a refresh token is sent once, whatever comes of it."""
        with self._refreshing:
            if self._token is not expired:
                return True
            used, self._refresh_token = self._refresh_token, None
            if used is None:
                return False
            answer = self._ask_for_token(used)
            replace_in_env(REFRESH_TOKEN, used, answer[1] if answer else None, os.environ)
            if answer is None:
                return False
            replace_in_env(TOKEN, expired, answer[0], os.environ)
            self._token, self._refresh_token = answer
            return True

    def _ask_for_token(self, used: Secret) -> tuple[Secret, Secret | None] | None:
        call = Call("POST", f"{self.base_url}/api/auth/token", {}, _Grant(used), idempotent=False)
        outcome = self._send(call, None, {})
        if isinstance(outcome, errors.SaturnError) or not outcome.ok:
            return None
        answer = _json_of(outcome)
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            return None
        refresh = answer.get("refresh_token")
        return Secret(answer["access_token"], TOKEN), (
            Secret(refresh, REFRESH_TOKEN) if isinstance(refresh, str) and refresh else None
        )

    def _follow(
        self, call: Call, token: Secret, headers: Mapping[str, str]
    ) -> requests.Response | errors.SaturnError:
        """Send, and follow redirects on the same host; the token does not go to another one."""
        here = call
        for _ in range(_MOST_REDIRECTS):
            outcome = self._send(here, token, headers)
            if isinstance(outcome, errors.SaturnError) or outcome.status_code not in _REDIRECTS:
                return outcome
            target = urljoin(here.url, outcome.headers.get("Location", ""))
            if _origin(target) != _origin(self.base_url):
                host = urlsplit(target).netloc.rpartition("@")[2]
                return errors.RedirectError(
                    f"{call}: redirected to another host, `{host}`; is `SATURN_BASE_URL` right?"
                )
            if call.method != "GET" and outcome.status_code not in _SAME_METHOD:
                return errors.RedirectError(f"{call}: redirected in a way that loses what was sent")
            here = Call(call.method, target, {}, call.body, call.idempotent)
        return errors.RedirectError(f"{call}: redirected more than {_MOST_REDIRECTS} times")

    def _send(
        self, call: Call, token: Secret | None, headers: Mapping[str, str]
    ) -> requests.Response | errors.SaturnError:
        library = self._library
        try:
            return self._session.request(
                call.method,
                call.url,
                params=call.query,
                json=call.body.reveal() if isinstance(call.body, _Grant) else call.body,
                headers=dict(headers),
                auth=_Authorization(token),
                timeout=(self._policy.connect_timeout, self._policy.read_timeout),
                allow_redirects=False,
                verify=True,
            )
        except library.exceptions.SSLError:
            return _Untrusted(f"{call}: the server's certificate is not trusted, or it does not speak TLS")
        except library.exceptions.ConnectTimeout:
            seconds = self._policy.connect_timeout
            return errors.SaturnTimeoutError(f"{call}: no connection within {seconds:g} s")
        except library.exceptions.ReadTimeout:
            return errors.SaturnTimeoutError(f"{call}: no answer within {self._policy.read_timeout:g} s")
        except (library.exceptions.ConnectionError, library.exceptions.ChunkedEncodingError) as error:
            found = _REASON.search(str(error))
            return errors.UnreachableError(f"{call}: {found[1] if found else 'the connection broke off'}")
        except library.exceptions.RequestException as error:
            return errors.SaturnError(f"{call}: cannot be sent ({type(error).__name__})")

    def _json(self, call: Call, response: requests.Response) -> Any:
        if not response.content:
            return None
        answer = _json_of(response)
        if answer is _NOT_JSON:
            kind = self._clean(response.headers.get("Content-Type", "no content type"))
            raise errors.AnswerError(
                f"{call}: expected JSON, found {kind}; is `SATURN_BASE_URL` the address of Saturn Cloud?"
            )
        return answer

    def _refusal(self, call: Call, response: requests.Response) -> errors.HTTPError:
        status, said = response.status_code, self._said(response)
        if status == 401:
            return errors.UnauthorizedError(f"{call}: `SATURN_TOKEN` is not accepted ({said})", status)
        if status == 403:
            return errors.ForbiddenError(f"{call}: your token may not do this ({said})", status)
        if status == 404:
            return errors.NotFoundError(f"{call}: not found ({said})", status)
        if status >= 500:
            return errors.ServerError(f"{call}: Saturn Cloud failed with {status} ({said})", status)
        asked = response.headers.get("Retry-After")
        again = f"; it asks to wait, Retry-After: {self._clean(asked)}" if asked else ""
        return errors.HTTPError(f"{call}: refused with {status} ({said}){again}", status)

    def _said(self, response: requests.Response) -> str:
        answer = _json_of(response)
        if isinstance(answer, dict):
            for key in ("message", "error", "detail"):
                if answer.get(key):
                    return self._clean(str(answer[key]))
            return self._clean(str(answer))
        return self._clean(response.reason or "no reason given")

    def _clean(self, text: str) -> str:
        """Make a server's words safe to show: on one line, not endless, and without a token that it echoes."""
        for secret in (self._token, self._refresh_token):
            if secret is not None:
                text = text.replace(secret.reveal(), "…")
        text = "".join(character if character.isprintable() else " " for character in text)
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


class _Untrusted(errors.UnreachableError):
    """A certificate that does not get better by asking again."""


class _Authorization:
    """Puts the token into a request as it is sent; being there, it also keeps `~/.netrc` out."""

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"token {self._token.reveal()}"
        return request


class _Grant:
    """The body of a request for a new token."""

    def __init__(self, refresh_token: Secret) -> None:
        self._refresh_token = refresh_token

    def reveal(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": self._refresh_token.reveal()}


_NOT_JSON = object()


def _json_of(response: requests.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return _NOT_JSON


def _is_expired(response: requests.Response) -> bool:
    if response.status_code != 401:
        return False
    answer = _json_of(response)
    return isinstance(answer, dict) and "expired" in str(answer.get("message"))


def _worth_another(error: errors.SaturnError) -> bool:
    """Return whether a second attempt may go better; a server that is slow once is slow again."""
    if isinstance(error, errors.SaturnTimeoutError):
        return "no connection" in str(error)
    return isinstance(error, errors.UnreachableError) and not isinstance(error, _Untrusted)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, None, -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), None if it says nothing."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
