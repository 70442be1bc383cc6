"""The address and the tokens of the environment."""

from __future__ import annotations

import pytest

from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.errors import SaturnError


def test_missing_variables_are_named_together() -> None:
    with pytest.raises(SaturnError, match="`SATURN_BASE_URL` and `SATURN_TOKEN` are not set"):
        Account.from_env({})
    with pytest.raises(SaturnError, match=r"^`SATURN_TOKEN` is not set"):
        Account.from_env({"SATURN_BASE_URL": "https://a.example", "SATURN_TOKEN": " "})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://app.example.com", "use https"),
        ("http://127.0.0.1.example.com", "use https"),
        ("http://10.0.0.1", "use https"),
        ("https://", "expected an address"),
        ("app.example.com", "expected an address"),
        ("ftp://app.example.com", "expected an address"),
        ("https://user:pw@app.example.com", "user name or password"),
        ("https://app.example.com:99999", "not a URL"),
        ("https://[x", "not a URL"),
    ],
)
def test_bad_addresses(url: str, said: str) -> None:
    with pytest.raises(SaturnError, match=said) as caught:
        Account.from_env({"SATURN_BASE_URL": url, "SATURN_TOKEN": "t"})
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/", "http://[::1]", "http://localhost:1", "https://a.example/x/"]
)
def test_good_addresses(url: str) -> None:
    assert Account.from_env({"SATURN_BASE_URL": url, "SATURN_TOKEN": "t"}).base_url == url.rstrip("/")


def test_a_token_that_is_none_is_not_shown() -> None:
    with pytest.raises(SaturnError, match="`SATURN_TOKEN` is no token") as caught:
        Account.from_env({"SATURN_BASE_URL": "https://a.example", "SATURN_TOKEN": "canary\nX-Evil: 1"})
    assert "canary" not in str(caught.value)
