"""The address of Saturn Cloud and the user's tokens, which nothing here ever shows."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from pydoit_sc.saturn.errors import AccountError

BASE_URL = "SATURN_BASE_URL"
TOKEN = "SATURN_TOKEN"
REFRESH_TOKEN = "SATURN_REFRESH_TOKEN"


class Secret:
    """A text that no repr, message, log or pickle shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str, name: str) -> None:
        text = text.strip()
        # requests would show what it refuses to put into a header
        if not text or not all("!" <= character <= "~" for character in text):
            raise AccountError(f"`{name}` is no token: expected letters, digits and signs without spaces")
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Account:
    """The address of Saturn Cloud, without a slash at its end, and the tokens."""

    base_url: str
    token: Secret
    refresh_token: Secret | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", _checked_url(self.base_url))

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Account:
        """Read the environment's variables; raise AccountError."""
        env = os.environ if env is None else env
        missing = [f"`{name}`" for name in (BASE_URL, TOKEN) if not env.get(name, "").strip()]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise AccountError(
                f"{' and '.join(missing)} {verb} not set: Saturn Cloud's address "
                "(such as https://app.community.saturnenterprise.io) and your token are needed"
            )
        refresh = env.get(REFRESH_TOKEN, "").strip()
        return cls(
            env[BASE_URL].strip(),
            Secret(env[TOKEN], TOKEN),
            Secret(refresh, REFRESH_TOKEN) if refresh else None,
        )


def replace_in_env(name: str, old: Secret, new: Secret | None, env: MutableMapping[str, str]) -> None:
    """Replace a token in the environment, where `sfs://` reads it: a used refresh token would revoke the new one."""
    if env.get(name, "").strip() != old.reveal():
        return
    if new is None:
        del env[name]
    else:
        env[name] = new.reveal()


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine, by its name alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AccountError(f"`{BASE_URL}` is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise AccountError(f"`{BASE_URL}` holds a user name or password; only a token is used")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise AccountError(f"`{BASE_URL}` is `{url}`: expected an address such as https://app.example.com")
    if parts.scheme == "http" and not is_loopback(host):
        raise AccountError(f"`{BASE_URL}` is `{url}`: http would show the token to the network; use https")
    return url.rstrip("/")
