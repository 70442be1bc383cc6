"""Send requests to Saturn Cloud: authorization, token refresh, time-outs, redirects, and answers as JSON.

No error keeps a reference to the library's own exceptions: those hold the request, and with it the token. So errors
are raised after their `except` block, not within it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import exceptions
from requests.adapters import HTTPAdapter

from pydoit_sc import __version__
from pydoit_sc.saturn import errors
from pydoit_sc.saturn.account import REFRESH_TOKEN, TOKEN, Account, Secret, replace_in_env
from pydoit_sc.saturn.models import Tokens, read
from pydoit_sc.saturn.policy import Policy, retries

#: The version of the reference client whose protocol this is; Saturn Cloud may answer by it.
CLIENT_VERSION = "2026.2.1"

_SAME_METHOD = frozenset({307, 308})
_MOST_REDIRECTS = 5
_LONGEST_MESSAGE = 500
_REASON = re.compile(r"\[Errno -?\d+\] ([A-Za-z ]+)")

_REFUSALS = {
    401: (errors.UnauthorizedError, "`SATURN_TOKEN` is not accepted"),
    403: (errors.ForbiddenError, "your token may not do this"),
    404: (errors.NotFoundError, "not found"),
}


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
    """Connections to one Saturn Cloud."""

    def __init__(self, account: Account, policy: Policy | None = None) -> None:
        policy = policy or Policy()
        self.base_url = account.base_url
        self._policy = policy
        self._token = account.token
        self._refresh_token = account.refresh_token
        self._refreshing = threading.Lock()
        self._once = _session(self.base_url, HTTPAdapter())
        self._repeating = _session(self.base_url, HTTPAdapter(max_retries=retries(policy)))

    def close(self) -> None:
        self._once.close()
        self._repeating.close()

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
        response = self._authorized(call)
        if not response.ok:
            raise self._refusal(call, response)
        return self._json(call, response)

    def _authorized(self, call: Call) -> requests.Response:
        token = self._token
        response = self._follow(call, token, {})
        if not _is_expired(response) or not self._refresh(token):
            return response
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
        body = {"grant_type": "refresh_token", "refresh_token": used}
        call = Call("POST", f"{self.base_url}/api/auth/token", {}, body, idempotent=False)
        try:
            answer = read(Tokens, _json_of(self._send(call, None, {})), "api/auth/token")
            refresh = answer.refresh_token
            return Secret(answer.access_token, TOKEN), Secret(refresh, REFRESH_TOKEN) if refresh else None
        except errors.SaturnError:
            return None

    def _follow(self, call: Call, token: Secret, headers: Mapping[str, str]) -> requests.Response:
        """Send, and follow redirects on the same host; the token does not go to another one."""
        here = call
        for _ in range(_MOST_REDIRECTS):
            response = self._send(here, token, headers)
            if not response.is_redirect:
                return response
            target = urljoin(here.url, response.headers["Location"])
            if _origin(target) != _origin(self.base_url):
                host = urlsplit(target).netloc.rpartition("@")[2]
                raise errors.RedirectError(
                    f"{call}: redirected to another host, `{host}`; is `SATURN_BASE_URL` right?"
                )
            if call.method != "GET" and response.status_code not in _SAME_METHOD:
                raise errors.RedirectError(f"{call}: redirected in a way that loses what was sent")
            here = replace(call, url=target, query={})
        raise errors.RedirectError(f"{call}: redirected more than {_MOST_REDIRECTS} times")

    def _send(self, call: Call, token: Secret | None, headers: Mapping[str, str]) -> requests.Response:
        session = self._repeating if call.idempotent else self._once
        seconds = self._policy.connect_timeout, self._policy.read_timeout
        problem: errors.SaturnError
        try:
            return session.request(
                call.method,
                call.url,
                params=call.query,
                json=_revealed(call.body),
                headers=dict(headers),
                auth=_Authorization(token),
                timeout=seconds,
                allow_redirects=False,
                verify=True,
            )
        except exceptions.SSLError:
            problem = errors.UnreachableError(
                f"{call}: the server's certificate is not trusted, or it does not speak TLS"
            )
        except exceptions.ConnectTimeout:
            problem = errors.SaturnTimeoutError(f"{call}: no connection within {seconds[0]:g} s")
        except exceptions.ReadTimeout:
            problem = errors.SaturnTimeoutError(f"{call}: no answer within {seconds[1]:g} s")
        except (exceptions.ConnectionError, exceptions.ChunkedEncodingError) as error:
            found = _REASON.search(str(error))
            problem = errors.UnreachableError(f"{call}: {found[1] if found else 'the connection broke off'}")
        except exceptions.RequestException as error:
            problem = errors.SaturnError(f"{call}: cannot be sent ({type(error).__name__})")
        raise problem

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
        if status in _REFUSALS:
            kind, meaning = _REFUSALS[status]
            return kind(f"{call}: {meaning} ({said})", status)
        if status >= 500:
            return errors.ServerError(f"{call}: Saturn Cloud failed with {status} ({said})", status)
        asked = response.headers.get("Retry-After")
        again = f"; it asks to wait, Retry-After: {self._clean(asked)}" if asked else ""
        return errors.HTTPError(f"{call}: refused with {status} ({said}){again}", status)

    def _said(self, response: requests.Response) -> str:
        answer = _json_of(response)
        if isinstance(answer, dict):
            said = next((answer[key] for key in ("message", "error", "detail") if answer.get(key)), answer)
            return self._clean(str(said))
        return self._clean(response.reason or "no reason given")

    def _clean(self, text: str) -> str:
        """Return a server's words on one line, cut to a length, and without a token that they repeat."""
        for secret in (self._token, self._refresh_token):
            if secret is not None:
                text = text.replace(secret.reveal(), "…")
        text = "".join(character if character.isprintable() else " " for character in text)
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _session(base_url: str, adapter: HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"pydoit-sc/{__version__}"
    session.headers["X-Saturn-Client-Version"] = CLIENT_VERSION
    # http goes to this machine alone (Account): a proxy would take the token to the network
    session.trust_env = not base_url.startswith("http:")
    session.mount(f"{urlsplit(base_url).scheme}://", adapter)
    return session


class _Authorization:
    """Put the token into a request when it is sent; requests then does not read `~/.netrc`."""

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"token {self._token.reveal()}"
        return request


def _revealed(body: Any) -> Any:
    """Return a body with the secrets at its top as text."""
    if not isinstance(body, dict):
        return body
    return {key: value.reveal() if isinstance(value, Secret) else value for key, value in body.items()}


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


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, None, -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
