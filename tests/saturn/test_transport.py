"""Requests: time-outs, retries, and what is made of every bad answer."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from pydoit_sc.saturn import errors
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import SaturnError
from pydoit_sc.saturn.policy import Policy

from . import recipes
from .conftest import QUICK
from .standin import Standin, Trick


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts, which are not made."""
    made: list[float] = []
    clock = SimpleNamespace(sleep=made.append, time=lambda: datetime.now(timezone.utc).timestamp())
    monkeypatch.setattr("urllib3.util.retry.time", clock)
    return made


@pytest.mark.parametrize(
    ("trick", "error", "said"),
    [
        (Trick("user", 401), errors.UnauthorizedError, r"`SATURN_TOKEN` is not accepted \(out of order\)"),
        (Trick("user", 403), errors.ForbiddenError, "may not do this"),
        (Trick("user", 404), errors.NotFoundError, "GET http.*/api/user: not found"),
        (Trick("user", 500), errors.ServerError, r"failed with 500 \(out of order\)"),
        (Trick("user", 418, b"<p>"), errors.HTTPError, r"refused with 418 \(I'm a [Tt]eapot\)"),
        (Trick("user", 200, b"<html>", {"Content-Type": "text/html"}), errors.AnswerError, "expected JSON, found text/html"),
        (Trick("user", 200, b"[]"), errors.AnswerError, "expected an object with `username`, found list"),
        (Trick("user", 200, b"{}"), errors.AnswerError, "expected a text under `username`, found nothing"),
        (Trick("user", 200, b"[" * 100_000), errors.AnswerError, "expected JSON"),
        (Trick("user", hang_up=True), errors.UnreachableError, "GET http.*/api/user: the connection broke off"),
        (Trick("user", 302, headers={"Location": "https://evil.example/x"}), errors.RedirectError, "another host, `evil.example`"),
        (Trick("user", 302, headers={"Location": "/api/user"}), errors.RedirectError, "more than 5 times"),
    ],
)  # fmt: skip
def test_bad_answers(
    standin: Standin, client: SaturnClient, trick: Trick, error: type[SaturnError], said: str
) -> None:
    standin.tricks = [trick]
    with pytest.raises(error, match=said) as caught:
        client.user()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_no_answer_in_time(standin: Standin) -> None:
    standin.tricks = [slow := Trick("user", times=9, delay=1)]
    policy = replace(QUICK, read_timeout=0.1)
    with (
        SaturnClient(Account.from_env(standin.env()), policy) as client,
        pytest.raises(errors.SaturnTimeoutError, match=r"no answer within 0.1 s"),
    ):
        client.user()
    assert slow.times == 8  # asked once: what is slow once is slow again


def test_connection_refused(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    policy = replace(QUICK, first_delay=1)
    settings = Account.from_env({"SATURN_BASE_URL": f"http://127.0.0.1:{port}", "SATURN_TOKEN": "t"})
    said = rf"GET http://127.0.0.1:{port}/api/status: Connection refused$"
    with SaturnClient(settings, policy) as client, pytest.raises(errors.UnreachableError, match=said):
        client.user()
    assert all(low <= wait <= high for wait, low, high in zip(waits, (1, 2), (1.5, 2), strict=True))


def test_a_server_without_tls(standin: Standin) -> None:
    env = {**standin.env(), "SATURN_BASE_URL": standin.url.replace("http:", "https:")}
    with (
        SaturnClient(Account.from_env(env), QUICK) as client,
        pytest.raises(errors.UnreachableError, match="certificate"),
    ):
        client.user()
    assert standin.requests == []


def test_what_a_server_says_is_made_harmless(standin: Standin, client: SaturnClient) -> None:
    body = b'{"message": "\\u001b[31m' + standin.token.encode() + b"\\n" + b"x" * 10_000 + b'"}'
    standin.tricks = [Trick("user", 400, body)]
    with pytest.raises(errors.HTTPError) as caught:
        client.user()
    text = str(caught.value)
    assert standin.token not in text
    assert text.isprintable()
    assert len(text) < 700


# retries


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_idempotent_calls_are_tried_again(standin: Standin, client: SaturnClient, status: int) -> None:
    standin.tricks = [Trick("api/user", status, times=3)]
    assert client.user() == "hugo"
    standin.tricks = [Trick("api/recipes$", status, times=3)]
    client.apply(recipes.job())
    assert [one.status for one in standin.requests if one.method == "PUT"] == [status] * 3 + [200]


def test_connections_that_break_are_made_again(standin: Standin, client: SaturnClient) -> None:
    standin.tricks = [Trick("api/user", hang_up=True, times=2)]
    assert client.user() == "hugo"


@pytest.mark.parametrize("trick", [Trick("start|recipes$", 503), Trick("start|recipes$", hang_up=True)])
def test_other_calls_are_made_once(standin: Standin, client: SaturnClient, trick: Trick) -> None:
    identity = standin.add(recipes.job())["state"]["id"]
    standin.tricks = [trick]
    for call in (lambda: client.start("job", identity), lambda: client.create(recipes.job("b"))):
        before = len(standin.requests)
        with pytest.raises(SaturnError):
            call()
        assert [one.method for one in standin.requests[before:] if one.method != "GET"] == ["POST"]


def test_stop_is_idempotent(standin: Standin, client: SaturnClient) -> None:
    identity = standin.add(recipes.job())["state"]["id"]
    standin.tricks = [Trick("stop", 503, times=1)]
    client.stop("job", identity)
    assert standin.requests[-1].status == 200


def test_retry_after_is_honoured_within_bounds(
    standin: Standin, client: SaturnClient, waits: list[float]
) -> None:
    standin.tricks = [Trick("user", 429, headers={"Retry-After": "2"}, times=1)]
    assert client.user() == "hugo"
    assert waits == [2]
    standin.tricks = [Trick("user", 429, headers={"Retry-After": "3600"})]
    with pytest.raises(errors.HTTPError, match="Retry-After: 3600"):
        client.user()
    assert waits == [2]
    assert len(standin.requests) == 4


def test_retry_after_may_be_a_date(standin: Standin, waits: list[float]) -> None:
    soon = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=50), usegmt=True)
    standin.tricks = [Trick("user", 503, headers={"Retry-After": soon}, times=1)]
    with SaturnClient(Account.from_env(standin.env()), replace(QUICK, longest_delay=60)) as client:
        assert client.user() == "hugo"
    assert 20 < waits[0] <= 50


def test_retry_after_is_not_for_calls_that_are_made_once(
    standin: Standin, client: SaturnClient, waits: list[float]
) -> None:
    identity = standin.add(recipes.job())["state"]["id"]
    standin.tricks = [Trick("start", 503, headers={"Retry-After": "1"})]
    with pytest.raises(errors.ServerError):
        client.start("job", identity)
    assert [one.method for one in standin.requests].count("POST") == 1
    assert waits == []


@pytest.mark.parametrize("words", ["soon", "-1", "", "-1e9"])
def test_retry_after_in_odd_words_is_none(
    standin: Standin, client: SaturnClient, waits: list[float], words: str
) -> None:
    standin.tricks = [Trick("user", 503, headers={"Retry-After": words}, times=2)]
    assert client.user() == "hugo"
    assert len(waits) == 1  # before the third attempt


def test_policy_defaults_have_time_outs() -> None:
    assert Policy().connect_timeout > 0
    assert Policy().read_timeout > 0
