"""Our client beside the published one: the same requests, the same recipes, the same files; and where they differ."""

from __future__ import annotations

import gzip
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.saturn import recipe as recipe_files
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.clone import Clone
from pydoit_sc.saturn.models import resource_id
from pydoit_sc.saturn.script import set_block
from pydoit_sc.sync.archive import write_archive
from pydoit_sc.sync.upload import parse_sync, stage

from . import recipes
from .conftest import QUICK, Sc
from .standin import Standin

pytestmark = pytest.mark.slow

Call = Callable[[SaturnClient], Any]


def sent(standin: Standin, call: Callable[[], object]) -> list[Any]:
    """Return what was asked of the stand-in meanwhile."""
    before = len(standin.requests)
    call()
    return [one.essence for one in standin.requests[before:]]


def ours(standin: Standin, call: Call) -> list[Any]:
    with SaturnClient(Account.from_env(standin.env()), QUICK) as client:
        return sent(standin, lambda: call(client))


def _start(client: SaturnClient, *, debug: bool = False) -> None:
    client.start("job", resource_id(client.get_recipe("job", "my-job", "test/hugo")), debug=debug)


def _stop(client: SaturnClient) -> None:
    client.stop("job", resource_id(client.get_recipe("job", "my-job", "test/hugo")))


def _pods(client: SaturnClient) -> None:
    identity = resource_id(client.get_recipe("job", "my-job"))
    client.pods("job", identity)


OWNER = ("--owner", "test/hugo")

SAME: list[tuple[tuple[str, ...], Call]] = [
    (("get", "job", "my-job", *OWNER), lambda client: client.get_recipe("job", "my-job", "test/hugo")),
    (("get", "jobs", "my-job"), lambda client: client.get_recipe("jobs", "my-job")),
    (
        ("get", "workspace", "my-workspace", "--as-template"),
        lambda client: client.get_recipe("workspace", "my-workspace", as_template=True),
    ),
    (("list", "job"), lambda client: list(client.list_recipes("job"))),
    (("list", "resource", "my", *OWNER), lambda client: list(client.list_recipes(None, "test/hugo", "my"))),
    (("list", "job", "--as-template"), lambda client: list(client.list_recipes("job", as_template=True))),
    (("options",), lambda client: client.sizes()),
    (("options", "--glob", "g4*"), lambda client: client.sizes("g4*")),
    (("options", "--option-type", "disk_space"), lambda client: client.options("disk_space")),
    (("start", "job", "my-job", *OWNER), _start),
    (("start", "job", "my-job", *OWNER, "--debug"), lambda client: _start(client, debug=True)),
    (("stop", "job", "my-job", *OWNER), _stop),
]


@pytest.mark.parametrize(("arguments", "call"), SAME, ids=[" ".join(arguments) for arguments, _ in SAME])
def test_the_requests_agree(standin: Standin, sc: Sc, arguments: tuple[str, ...], call: Call) -> None:
    standin.paging = ("next_key", "next_key")
    for name in ("a", "b", "c", "d", "my-job"):
        standin.add(recipes.job(name))
    standin.add(recipes.workspace())
    theirs = sent(standin, lambda: sc(*arguments))
    if arguments[0] == "start":
        standin.wait("my-job")
    assert ours(standin, call) == theirs
    assert len(theirs) >= 2
    assert all(one[-1] == f"token {standin.token}" for one in theirs)


@pytest.mark.parametrize(
    ("arguments", "new"),
    [
        (("job", "my-job", "--command", "a 'b'"), Clone("job", "my-job", command="a 'b'")),
        (("job", "my-job"), Clone("job", "my-job")),
        (("job", "my-job", "--command", "x", *OWNER), Clone("job", "my-job", command="x", owner="test/hugo")),
        (("workspace", "w", "--ide", "rstudio", "--disk-space", "10Gi"), Clone("workspace", "w", ide="rstudio", disk_space="10Gi")),
        (("deployment", "d", "--command", "x"), Clone("deployment", "d", command="x")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["workspace", "job"])
def test_clones_agree_key_by_key(
    standin: Standin, sc: Sc, source: str, arguments: tuple[str, ...], new: Clone
) -> None:
    name = "source"
    standin.add(
        recipes.workspace(name)
        if source == "workspace"
        else recipes.job(name, git_repositories=[{"url": "x"}])
    )
    theirs = sent(standin, lambda: sc("clone", source, name, *arguments))
    (made,) = (key for key in standin.recipes if key[2] != name)
    stored = standin.recipes.pop(made)
    assert ours(standin, lambda client: client.clone(source, name, new)) == theirs
    assert standin.recipes[made]["spec"] == stored["spec"]
    assert [list(one["spec"]) for one in (standin.recipes[made], stored)] == [list(stored["spec"])] * 2


def test_apply_agrees(standin: Standin, sc: Sc, tmp_path: Path) -> None:
    recipe = recipe_files.loads(recipes.SEED)
    recipe["spec"] |= {
        "start_script": "",
        "command": ["echo 'a b'", "echo ü"],
        "working_directory": str(tmp_path),
    }
    recipes.write(recipe, tmp_path / "recipe.yaml")
    theirs = sent(standin, lambda: sc("apply", "recipe.yaml"))
    assert ours(standin, lambda client: client.apply(recipe_files.read(tmp_path / "recipe.yaml"))) == theirs

    def apply_and_start(client: SaturnClient) -> None:
        client.start("job", resource_id(client.apply(recipe)))

    theirs = sent(standin, lambda: sc("apply", "recipe.yaml", "--start"))
    assert standin.wait("sctest-run").log() in ("a b\nü\n", "ü\na b\n")
    assert ours(standin, apply_and_start) == theirs


def test_recipes_are_printed_alike(standin: Standin, sc: Sc) -> None:
    seed = recipe_files.loads(recipes.SEED)
    seed["spec"]["command"] = "sc batch 0.json"
    seed["spec"]["environment_variables"] = {"A": "yes", "B": "010", "C": "x: y", "D": "", "E": "ü # x"}
    standin.add(seed)
    printed = sc("get", "job", "sctest-run", *OWNER).stdout
    with SaturnClient(Account.from_env(standin.env()), QUICK) as client:
        recipe = client.get_recipe("job", "sctest-run", "test/hugo")
    assert recipe_files.loads(printed) == recipe
    # a reader of YAML 1.1 would take their `yes` for true
    assert recipe_files.dumps(recipe) == printed.replace("A: yes\n", "A: 'yes'\n") != printed


def test_sizes_are_listed_in_the_same_order(sc: Sc, client: SaturnClient) -> None:
    printed = sc("options").stdout
    names = [size.name for size in client.sizes()]
    assert sorted(names, key=lambda name: printed.index(f"'name': '{name}'")) == names


@pytest.mark.parametrize("version", ["2024.08.01", "2026.02.01"])
def test_pods_and_logs_agree(standin: Standin, sc: Sc, version: str, tmp_path: Path) -> None:
    standin.version = version
    recipe = recipes.job(
        command="echo working; while test ! -e go; do sleep 0.02; done", working_directory=str(tmp_path)
    )
    identity = standin.add(recipe)["state"]["id"]
    with SaturnClient(Account.from_env(standin.env()), QUICK) as client:
        client.start("job", identity)
        while not standin.jobs[identity].log():
            time.sleep(0.02)

        def newest_logs(client: SaturnClient) -> str:
            found = resource_id(client.get_recipe("job", "my-job"))
            pods = client.live_pods("job", found) or client.pods("job", found)
            return client.logs("job", found, pods[0])

        def theirs() -> None:
            assert "\nworking\n" in sc("logs", "job", "my-job").stdout

        assert ours(standin, newest_logs) == sent(standin, theirs)
        assert newest_logs(client) == "working\n"
        assert set(ours(standin, _pods)) == set(sent(standin, lambda: sc("pods", "job", "my-job")))
        (tmp_path / "go").touch()
        standin.wait("my-job")
        theirs()
        assert newest_logs(client) == "working"


def test_refreshing_agrees(standin: Standin, sc: Sc) -> None:
    standin.add(recipes.job())

    def essence(call: Callable[[], object]) -> list[Any]:
        env = standin.env()
        standin.expire()
        before = len(standin.requests)
        call()
        known = {env["SATURN_TOKEN"]: "OLD", env["SATURN_REFRESH_TOKEN"]: "REFRESH", standin.token: "NEW"}

        def neutral(text: str | None) -> str | None:
            for secret, word in known.items():
                text = text.replace(secret, word) if text else text
            return text

        return [
            (
                one.method,
                one.path,
                neutral(one.essence[3]),
                neutral(one.authorization),
                one.headers.get("X-Saturn-Retry"),
            )
            for one in standin.requests[before:]
        ]

    theirs = essence(lambda: sc("get", "job", "my-job"))
    assert essence(lambda: ours(standin, lambda client: client.get_recipe("job", "my-job"))) == theirs
    assert [one[3] for one in theirs] == ["token OLD", None, "token NEW", "token NEW"]


def files_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {
            one.name: (tar.extractfile(one) or gzip.GzipFile(archive)).read()
            if one.isreg()
            else one.linkname.encode()
            for one in tar
            if not one.isdir()
        }


def test_archives_hold_the_same_files_at_the_same_place(standin: Standin, sc: Sc, tmp_path: Path) -> None:
    source = tmp_path / "code"
    for name in (
        "a.py", "b/c.py", "b/__pycache__/c.pyc", ".git/config", ".idea/x", ".mypy_cache/x", ".pytest_cache/v/x",
        "b/.ipynb_checkpoints/x", "data/ü.csv", ".hidden", "empty.txt",
    ):  # fmt: skip
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "link").symlink_to("b/c.py")
    recipes.write(recipes.job(working_directory="/wd"), tmp_path / "recipe.yaml")
    base = f"file://{tmp_path}/base"
    sc("apply", "recipe.yaml", "--sync", "code:sub", "--sync", str(source), "--file-syncs-base-dir-url", base)
    write_archive(str(source), str(tmp_path / "ours"))
    for text in ("code:sub", str(source)):
        sync = parse_sync(text, "/wd", str(tmp_path))
        theirs = tmp_path / "base" / sync.dest.lstrip("/") / "data.tar.gz"
        assert files_of(theirs) == files_of(tmp_path / "ours")
    script = standin.recipes["job", "test/hugo", "my-job"]["spec"]["start_script"]
    assert [line for line in script.splitlines() if line.startswith("mkdir")] == [
        f"mkdir -p {path}/" for path in ("/wd/sub", source)
    ]


# a whole job


def a_job(tmp_path: Path, *, broken: bool = False) -> dict[str, Any]:
    source = tmp_path / "code"
    source.mkdir()
    (source / "work.sh").write_text('echo "$1" > "done-$1"; echo "ran $1"; exit "$2"')
    machine = tmp_path / "the machine"
    machine.mkdir()
    recipe = recipes.job(
        working_directory=str(machine),
        command=[f"sh 'my code'/work.sh {number} {number // 3}" for number in range(4)],
        scale=2,
        start_script="echo started by the user\n",
    )
    sync = parse_sync("code:my code", recipe["spec"]["working_directory"], str(tmp_path))
    set_block(recipe, [stage(sync, f"file://{tmp_path}/base")], "echo installed")
    if broken:
        for path in (tmp_path / "base").rglob("*.tar.gz"):
            path.unlink()
    return recipe


def test_a_started_job_is_executed(standin: Standin, client: SaturnClient, tmp_path: Path) -> None:
    recipe = a_job(tmp_path)
    identity = resource_id(client.apply(recipe))
    client.start("job", identity)
    job = standin.wait("my-job")
    assert sorted(name for name in os.listdir(tmp_path / "the machine") if name.startswith("done-")) == [
        "done-0", "done-1", "done-2", "done-3"
    ]  # fmt: skip
    assert [pod.log().startswith("installed\nstarted by the user\n") for pod in job.pods] == [True, True]
    assert sorted(code for pod in job.pods for code in pod.codes) == [0, 0, 0, 1]
    assert client.get_recipe("job", "my-job")["state"]["status"] == "error"


def test_a_job_whose_sync_fails_runs_nothing(standin: Standin, sc: Sc, tmp_path: Path) -> None:
    recipes.write(a_job(tmp_path, broken=True), tmp_path / "recipe.yaml")
    sc("apply", "recipe.yaml", "--start")
    job = standin.wait("my-job")
    assert os.listdir(tmp_path / "the machine") == []
    assert "started by the user" not in job.log()
    assert [pod.codes for pod in job.pods] == [[1], [1]]


def test_a_canary_token_is_in_no_file(standin: Standin, client: SaturnClient, tmp_path: Path) -> None:
    recipe = a_job(tmp_path)
    applied = client.apply(recipe)
    recipes.write(applied, tmp_path / "recipe.yaml")
    client.start("job", resource_id(applied))
    standin.wait("my-job")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"recipe.yaml", "work.sh"} < {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.endswith(".gz") else data
        assert not any(secret.encode() in data for secret in (standin.token, standin.refresh_token)), path


# where they differ: docs/saturn.md


def test_sc_loses_pages_that_we_read(standin: Standin, sc: Sc, client: SaturnClient) -> None:
    for number in range(7):
        standin.add(recipes.job(f"job-{number}"))
    assert "job-4" not in sc("list", "job").stdout
    assert len(list(client.list_recipes("job"))) == 7


def test_sc_fails_without_a_message_where_we_have_one(standin: Standin, sc: Sc) -> None:
    assert "Error: {'message': 'job test/hugo/x not found'}" in sc("get", "job", "x", check=False).stdout
    done = sc("get", "jbo", "x", check=False)
    assert "Traceback" in done.stderr
