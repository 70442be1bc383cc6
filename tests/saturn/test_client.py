"""The client: what it asks, and what it makes of the answers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydoit_sc.saturn import errors
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.clone import Clone
from pydoit_sc.saturn.errors import SaturnError
from pydoit_sc.saturn.models import resource_id

from . import recipes
from .conftest import QUICK
from .standin import Standin, Trick


def paths(standin: Standin) -> list[str]:
    return [f"{one.method} {one.path}" for one in standin.requests]


def test_the_version_is_asked_first_and_once(standin: Standin, client: SaturnClient) -> None:
    assert client.user() == "hugo"
    assert [org.name for org in client.orgs()] == ["other", "test"]
    assert paths(standin) == ["GET /api/status", "GET /api/user", "GET /api/orgs"]
    assert client.default_sync_url("my-job") == "sfs://test/hugo/my-job/"


def test_sizes(client: SaturnClient) -> None:
    assert [size.name for size in client.sizes()] == ["medium", "r6axlarge", "g4dnxlarge", "p38xlarge"]
    assert [size.name for size in client.sizes("*xlarge")] == ["r6axlarge", "g4dnxlarge", "p38xlarge"]
    assert (client.size("p38xlarge").gpu, client.size("r6axlarge").cores) == (4, 4)
    assert client.options("disk_space", "100*") == ["100Gi"]
    with pytest.raises(
        errors.UnknownInstanceTypeError, match="unknown instance type `r6xlarge`; did you mean `r6axlarge`"
    ):
        client.size("r6xlarge")
    with pytest.raises(SaturnError, match="did you mean `disk_space`"):
        client.options("diskspace")


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
    with SaturnClient(Account.from_env(standin.env()), QUICK) as newer:
        assert newer.logs("job", identity, newer.live_pods("job", identity)[0]) == text
        assert "GET /api/active/pods" in paths(standin)
    client.stop("jobs", identity)
    job = standin.wait("my-job")
    assert job.status == "stopped"
    assert client.live_pods("job", identity) == []
    past = client.pods("job", identity)
    assert [(pod.name, pod.is_live) for pod in past] == [(live[0].name, False)]
    assert client.logs("job", identity, past[0]) == "preparing\none"
    assert client.logs("job", identity, live[0]) == "preparing\none"  # gone since it was listed


def test_no_such_recipe(standin: Standin, client: SaturnClient) -> None:
    standin.add(recipes.job("backfill"))
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_recipe("job", "backfil", "test/hugo")
    assert str(caught.value) == "there is no job `backfil` of test/hugo; did you mean `backfill`?"
    with pytest.raises(errors.NotFoundError, match=r"^there is no workspace `x`$"):
        client.get_recipe("workspace", "x")


def test_clone_to_a_job_drops_what_a_job_has_not(standin: Standin, client: SaturnClient) -> None:
    standin.add(recipes.workspace())
    client.clone("workspace", "my-workspace", Clone("jobs", "my-job", command="..."))
    spec = standin.requests[-1].body["spec"]
    assert standin.requests[-1].query == {"enforce_unknown": "false"}
    assert (spec["command"], spec["start_dind"], spec["name"]) == ("...", False, "my-job")
    assert spec["routes"] == [
        {"container_port": 9000, "visibility": "org"},
        {"container_port": 9001, "visibility": "org"},
    ]
    assert spec["viewers"] == [{"route": {"container_port": 9000}}, {"identity": "x"}]


def test_import_is_light() -> None:
    code = "import sys, pydoit_sc.saturn.client; print([m for m in ('requests', 'urllib3', 'yaml', 'fsspec') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
