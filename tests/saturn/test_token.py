"""The token: how it is refreshed, where it does not go, and that nothing shows it."""

from __future__ import annotations

import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.saturn import errors
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import SaturnError

from . import recipes
from .standin import Standin, Trick


def paths(standin: Standin) -> list[str]:
    return [f"{one.method} {one.path}" for one in standin.requests]


def test_an_expired_token_is_refreshed(
    standin: Standin, client: SaturnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in standin.env().items():
        monkeypatch.setenv(name, value)
    client.user()
    old, used = standin.token, standin.refresh_token
    standin.expire()
    client.apply(recipes.job())
    refused, refresh, again = standin.requests[-3:]
    assert (refused.status, refused.authorization, "X-Saturn-Retry" in refused.headers) == (
        401,
        f"token {old}",
        False,
    )
    assert (refresh.path, refresh.authorization) == ("/api/auth/token", None)
    assert refresh.body == {"grant_type": "refresh_token", "refresh_token": used}
    assert (again.status, again.authorization) == (200, f"token {standin.token}")
    assert (again.headers["X-Saturn-Retry"], again.body) == ("true", refused.body)
    assert Account.from_env().token.reveal() == standin.token  # for what reads the environment after us
    standin.expire()
    assert client.user() == "hugo"
    assert len(standin.used_refresh_tokens) == 2


def test_a_refresh_token_is_used_once(standin: Standin, client: SaturnClient) -> None:
    client.user()
    standin.expire()
    standin.tricks = [Trick("auth/token", 500, times=1)]
    for _ in range(2):
        with pytest.raises(errors.UnauthorizedError, match="Token has expired"):
            client.user()
    assert paths(standin).count("POST /api/auth/token") == 1


def test_another_401_is_no_reason_to_refresh(standin: Standin, client: SaturnClient) -> None:
    standin.tricks = [Trick("user", 401)]
    with pytest.raises(errors.UnauthorizedError):
        client.user()
    assert "POST /api/auth/token" not in paths(standin)


def test_threads_refresh_together(standin: Standin, client: SaturnClient) -> None:
    client.user()
    standin.expire()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(client.user())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["hugo"] * 8
    assert paths(standin).count("POST /api/auth/token") == 1


def test_the_token_goes_to_no_other_host(standin: Standin, client: SaturnClient) -> None:
    with Standin() as other:
        for status in (301, 302, 303, 307, 308):
            standin.tricks = [
                Trick("user|recipes|token", status, headers={"Location": f"{other.url}/api/user"})
            ]
            with pytest.raises(errors.RedirectError, match=other.url.removeprefix("http://")):
                client.user()
            with pytest.raises(errors.RedirectError):
                client.apply(recipes.job())
        standin.expire()
        standin.tricks = [Trick("auth/token", 307, headers={"Location": f"{other.url}/api/auth/token"})]
        with pytest.raises(errors.UnauthorizedError):
            client.user()
        assert other.requests == []


def test_redirects_on_the_same_host_are_followed(standin: Standin, client: SaturnClient) -> None:
    standin.tricks = [Trick("recipes$", 308, headers={"Location": "/api/recipes"}, times=1)]
    assert client.apply(recipes.job())["state"]["status"] == "stopped"
    standin.tricks = [Trick("recipes$", 302, headers={"Location": "/api/recipes"}, times=1)]
    with pytest.raises(errors.RedirectError, match="loses"):
        client.apply(recipes.job())


def test_neither_netrc_nor_a_proxy_gets_between(
    standin: Standin, client: SaturnClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Standin() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        client.user()
        assert proxy.requests == []
    assert standin.requests[-1].authorization == f"token {standin.token}"


def _all_failures(client: SaturnClient, standin: Standin) -> list[Callable[[], Any]]:
    def failing(trick: Trick) -> Callable[[], Any]:
        def call() -> Any:
            standin.tricks = [trick]
            return client.apply(recipes.job())

        return call

    echo = standin.token.encode() + b" " + standin.refresh_token.encode()
    return [
        failing(Trick("recipes", 401)),
        failing(Trick("recipes", 403, b'{"message": "' + echo + b'"}')),
        failing(Trick("recipes", 400, echo)),
        failing(Trick("recipes", 200, echo, {"Content-Type": echo.decode()})),
        failing(Trick("recipes", 500, b'{"detail": ["' + echo + b'"]}')),
        failing(Trick("recipes", 429, headers={"Retry-After": echo.decode()})),
        failing(Trick("recipes", hang_up=True)),
        failing(Trick("recipes|token", 401, b'{"message": "expired"}')),
        lambda: client.get_recipe("job", "none"),
        lambda: pickle.dumps(Account.from_env(standin.env())),
    ]


def test_a_canary_token_is_shown_nowhere(
    standin: Standin, client: SaturnClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in messages, tracebacks with what they chain, reprs, locals of our frames, logs, or pickles."""
    caplog.set_level(logging.DEBUG)
    canaries = (standin.token, standin.refresh_token)
    shown = [repr(client), repr(Account.from_env(standin.env())), str(Account.from_env(standin.env()))]
    for call in _all_failures(client, standin):
        with pytest.raises((SaturnError, TypeError)) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            shown += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if "pydoit_sc" in frame.f_code.co_filename:
                    shown.append(repr(frame.f_locals))
            error = error.__context__
    shown.append(caplog.text)
    assert "api/recipes" in caplog.text
    assert not any(canary in text for canary in canaries for text in shown)
