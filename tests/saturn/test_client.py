"""The client: what it asks, and what it makes of every bad answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from pydoit_sc.saturn import Policy, SaturnClient, SaturnError, Settings, errors
from pydoit_sc.saturn.answers import resource_id
from pydoit_sc.saturn.clone import Wishes
from pydoit_sc.saturn.models import resource_type
from pydoit_sc.saturn.transport import retry_after

from . import recipes
from .conftest import QUICK
from .standin import Standin, Trick


def paths(standin: Standin) -> list[str]:
    return [f"{one.method} {one.path}" for one in standin.requests]


def test_import_is_light() -> None:
    code = "import sys, pydoit_sc.saturn as s; s.Settings; print([m for m in ('requests', 'yaml', 'fsspec') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


# settings


def test_missing_variables_are_named_together() -> None:
    with pytest.raises(SaturnError, match="`SATURN_BASE_URL` and `SATURN_TOKEN` are not set"):
        Settings.from_env({})
    with pytest.raises(SaturnError, match=r"^`SATURN_TOKEN` is not set"):
        Settings.from_env({"SATURN_BASE_URL": "https://a.example", "SATURN_TOKEN": " "})


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
        Settings.from_env({"SATURN_BASE_URL": url, "SATURN_TOKEN": "t"})
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/", "http://[::1]", "http://localhost:1", "https://a.example/x/"]
)
def test_good_addresses(url: str) -> None:
    assert Settings.from_env({"SATURN_BASE_URL": url, "SATURN_TOKEN": "t"}).base_url == url.rstrip("/")


def test_a_token_that_is_none_is_not_shown() -> None:
    with pytest.raises(SaturnError, match="`SATURN_TOKEN` is no token") as caught:
        Settings.from_env({"SATURN_BASE_URL": "https://a.example", "SATURN_TOKEN": "canary\nX-Evil: 1"})
    assert "canary" not in str(caught.value)


# calls


def test_the_version_is_asked_first_and_once(standin: Standin, client: SaturnClient) -> None:
    assert client.user() == "hugo"
    assert [org.name for org in client.orgs()] == ["other", "test"]
    assert paths(standin) == ["GET /api/status", "GET /api/user", "GET /api/orgs"]
    assert client.default_sync_url("my-job") == "sfs://test/hugo/my-job/"


def test_sizes(client: SaturnClient) -> None:
    assert [size.name for size in client.sizes()] == ["medium", "r6axlarge", "g4dnxlarge", "p38xlarge"]
    assert [size.name for size in client.sizes("*xlarge")] == ["r6axlarge", "g4dnxlarge", "p38xlarge"]
    assert (client.size("p38xlarge").nprocs, client.size("r6axlarge").nprocs) == (4, 4)
    assert client.options("disk_space", "100*") == ["100Gi"]
    with pytest.raises(
        errors.UnknownInstanceTypeError, match="unknown instance type `r6xlarge`; did you mean `r6axlarge`"
    ):
        client.size("r6xlarge")
    with pytest.raises(SaturnError, match="did you mean `disk_space`"):
        client.options("diskspace")


def test_types() -> None:
    assert [resource_type(word) for word in ("job", "Jobs", "WORKSPACE")] == ["job", "job", "workspace"]
    with pytest.raises(SaturnError, match="unknown resource type `jbo`; did you mean `job`"):
        resource_type("jbo")


@pytest.mark.parametrize("paging", [("last_key", "next_last_key"), ("next_key", "next_key")])
def test_all_pages_are_read(standin: Standin, client: SaturnClient, paging: tuple[str, str]) -> None:
    standin.paging = paging
    names = [f"job-{number}" for number in range(7)]
    for name in names:
        standin.add(recipes.job(name))
    standin.add(recipes.workspace())
    assert [one["spec"]["name"] for one in client.list_recipes("job")] == names
    assert len(list(client.list_recipes())) == 8
    assert [one["spec"]["name"] for one in client.list_recipes(name="my-")] == ["my-workspace"]


def test_pages_in_a_circle(standin: Standin, client: SaturnClient) -> None:
    standin.tricks = [Trick("recipes", 200, b'{"recipes": [], "next_last_key": "x"}')]
    with pytest.raises(errors.AnswerError, match="circle"):
        list(client.list_recipes())


def test_apply_sends_the_list_of_commands_as_text(standin: Standin, client: SaturnClient) -> None:
    recipe = recipes.job(command=["echo a", "echo b"])
    client.apply(recipe)
    assert standin.requests[-1].body["spec"]["command"] == '["echo a", "echo b"]'
    assert recipe["spec"]["command"] == ["echo a", "echo b"]
    with pytest.raises(errors.HTTPError, match=r"400 \(spec.scle is unknown\)"):
        client.apply(recipes.job(scle=1))
    with pytest.raises(errors.RecipeError, match="no `spec`"):
        client.apply({"type": "job"})


def test_start_stop_pods_and_logs(standin: Standin, client: SaturnClient, tmp_path: Path) -> None:
    recipe = recipes.job(
        start_script="echo preparing", command='["echo one; sleep 60"]', working_directory=str(tmp_path)
    )
    identity = resource_id(client.apply(recipe))
    client.start("job", identity, debug=True)
    assert standin.requests[-1].body == {"debug_mode": True}
    deadline = time.monotonic() + 10
    live = client.live_pods("job", identity)
    while "one" not in (text := client.logs("job", identity, live[0])) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert text == "preparing\none\n"
    standin.version = "2026.02.01"
    with SaturnClient(Settings.from_env(standin.env()), QUICK) as newer:
        assert newer.logs("job", identity, newer.live_pods("job", identity)[0]) == text
        assert "GET /api/active/pods" in paths(standin)
    client.stop("jobs", identity)
    job = standin.wait("my-job")
    assert job.status == "stopped"
    assert client.live_pods("job", identity) == []
    past = client.pods("job", identity)
    assert [(pod.name, pod.source) for pod in past] == [(live[0].name, "historical")]
    assert client.logs("job", identity, past[0]) == "preparing\none"
    assert client.logs("job", identity, live[0]) == "preparing\none"  # gone since it was listed


# errors


def test_no_such_recipe(standin: Standin, client: SaturnClient) -> None:
    standin.add(recipes.job("backfill"))
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_recipe("job", "backfil", "test/hugo")
    assert str(caught.value) == "there is no job `backfil` of test/hugo; did you mean `backfill`?"
    with pytest.raises(errors.NotFoundError, match=r"^there is no workspace `x`$"):
        client.get_recipe("workspace", "x")


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
    standin.tricks = [Trick("user", delay=1)]
    policy = replace(QUICK, read_timeout=0.1)
    with (
        SaturnClient(Settings.from_env(standin.env()), policy) as client,
        pytest.raises(errors.SaturnTimeoutError, match=r"no answer within 0.1 s"),
    ):
        client.user()


def test_connection_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waits: list[float] = []
    policy = replace(QUICK, first_delay=1, sleep=waits.append)
    settings = Settings.from_env({"SATURN_BASE_URL": f"http://127.0.0.1:{port}", "SATURN_TOKEN": "t"})
    said = rf"GET http://127.0.0.1:{port}/api/status: Connection refused$"
    with SaturnClient(settings, policy) as client, pytest.raises(errors.UnreachableError, match=said):
        client.user()
    assert len(waits) == 3
    assert all(low <= wait <= high for wait, low, high in zip(waits, (0.5, 1, 1), (1, 2, 2), strict=True))


def test_a_server_without_tls(standin: Standin) -> None:
    env = {**standin.env(), "SATURN_BASE_URL": standin.url.replace("http:", "https:")}
    with (
        SaturnClient(Settings.from_env(env), QUICK) as client,
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


def test_retry_after_is_honoured_within_bounds(standin: Standin) -> None:
    waits: list[float] = []
    policy = replace(QUICK, sleep=waits.append)
    with SaturnClient(Settings.from_env(standin.env()), policy) as client:
        standin.tricks = [Trick("user", 429, headers={"Retry-After": "2"}, times=1)]
        assert client.user() == "hugo"
        assert waits == [2]
        standin.tricks = [Trick("user", 429, headers={"Retry-After": "3600"})]
        with pytest.raises(errors.HTTPError, match="Retry-After: 3600"):
            client.user()
        assert waits == [2]


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after(soon) or 0) <= 30
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(text) for text in ("7", "", None, "soon", "-1")] == [7, None, None, None, None]


# clone and policy


def test_clone_to_a_job_drops_what_a_job_has_not(standin: Standin, client: SaturnClient) -> None:
    standin.add(recipes.workspace())
    client.clone("workspace", "my-workspace", Wishes("jobs", "my-job", command="..."))
    spec = standin.requests[-1].body["spec"]
    assert standin.requests[-1].query == {"enforce_unknown": "false"}
    assert (spec["command"], spec["start_dind"], spec["name"]) == ("...", False, "my-job")
    assert spec["routes"] == [
        {"container_port": 9000, "visibility": "org"},
        {"container_port": 9001, "visibility": "org"},
    ]
    assert spec["viewers"] == [{"route": {"container_port": 9000}}, {"identity": "x"}]


def test_policy_defaults_have_time_outs() -> None:
    assert Policy().connect_timeout > 0
    assert Policy().read_timeout > 0
