"""`split` and its neighbours beside the published client: the same arguments, the same files, requests and words."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.saturn import recipe as recipe_files

from . import recipes
from .conftest import Cli, Sc
from .standin import Standin, Trick

pytestmark = pytest.mark.slow

RUNS = [{"cmd": f"echo {n} 'ü $HOME'"} for n in range(7)]
OURS = "pydoit_sc"


@pytest.fixture(autouse=True)
def _files(cli: Cli, tmp_path: Path) -> None:
    seed = recipe_files.loads(recipes.SEED)
    seed["spec"]["working_directory"] = str(tmp_path)
    recipes.write(seed, tmp_path / "recipe.yaml")
    cli.write("code/work.py", "print(1)")
    remote = f"file://{tmp_path}/out"
    cli.write("jobs.json", json.dumps({"runs": RUNS, "remote_output_path": remote, "nprocs": 2}))
    cli.write("bare.yaml", f"remote_output_path: {remote}/\nruns:\n" + "- cmd: sleep 1\n" * 7)
    for run, code in ((0, "0"), (1, "5"), (3, "0")):
        cli.write(f"out/{run}/status_code", code)


def chunks(folder: Path) -> dict[str, Any]:
    """Return what a commands directory says, without what differs on purpose."""
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    for data in found.values():
        data.pop(OURS, None)
        data["remote_output_path"] = data["remote_output_path"].rstrip("/")
        for run in data["runs"]:
            assert re.fullmatch(r"/tmp/[0-9a-f]{32}/", run.pop("local_results_dir"))
            assert {"status", "status_code"} < run.keys()
            run |= {"status": None, "status_code": None}  # theirs say how runs stood when they were split
    return found


def essences(standin: Standin, before: int) -> list[Any]:
    return [one.essence for one in standin.requests[before:]]


def both(cli: Cli, sc: Sc, *arguments: str) -> tuple[Path, Path]:
    """Split by both clients into a folder each, and compare all that must agree."""
    folders, requests, commands = [], [], []
    for name in ("sc", "ours"):
        before = len(cli.standin.requests)
        folder = cli.folder / name
        words = ("split", *arguments, "--local-commands-directory", str(folder))
        words += ("--remote-commands-directory", f"{cli.folder}/machine")
        if "--file-syncs-base-dir-url" not in arguments:
            words += ("--file-syncs-base-dir-url", f"file://{cli.folder}/base-{name}")
        out = sc(*words).stdout if name == "sc" else cli(*words)[0]
        folders.append(folder)
        requests.append([one for one in essences(cli.standin, before) if one[1] != "/api/status"])
        recipe = recipe_files.read(folder / "recipe.yaml")
        commands.append([command.replace("pydoit-sc", "sc") for command in recipe["spec"].pop("command")])
        recipe["spec"]["start_script"] = recipe["spec"]["start_script"].partition("### END")[2]
        commands.append([recipe, list(recipe["spec"])])
        spoken = [line for line in out.splitlines() if not re.match("sync|add|wrote|next", line)]
        commands.append(sorted(line.strip() for line in spoken if "setting name to" not in line))
    assert chunks(folders[0]) == chunks(folders[1])
    assert commands[:3] == commands[3:]
    assert requests[0] == requests[1]
    return folders[0], folders[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("recipe.yaml", "jobs.json", "--batch-size", "2", "--sync", "code:lib", "--scale", "5", "--name", "other"),
        ("--skip-completed", "recipe.yaml", "--max-jobs", "4", "jobs.json"),
        ("recipe.yaml", "jobs.json", "--skip-failures", "--instance-type", "p38xlarge", "--max-jobs", "-1"),
        ("recipe.yaml", "jobs.json", "--skip-completed", "--skip-failures", "--batch-size=3"),
        ("recipe.yaml", "bare.yaml"),
        ("recipe.yaml", "bare.yaml", "--instance-type", "r6axlarge"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_chunks_recipes_requests_and_words_agree(cli: Cli, sc: Sc, arguments: tuple[str, ...]) -> None:
    theirs, ours = both(cli, sc, *arguments)
    assert (ours / "recipe.yaml").is_file()
    for path in theirs.glob("[0-9]*.json"):  # and ours are read by theirs
        assert path.name in {one.name for one in ours.iterdir()}


def test_the_default_staging_place_agrees(cli: Cli, sc: Sc) -> None:
    """Both ask who the user is, and would stage there."""
    theirs = sc("apply", "recipe.yaml", "--sync", "code", check=False)
    asked = essences(cli.standin, 0)
    assert asked
    assert "saturnfs" in theirs.stderr
    before = len(cli.standin.requests)
    said = cli.refused(
        "split", "recipe.yaml", "jobs.json", "--local-commands-directory", "c", "--sync", "code"
    )
    ours = essences(cli.standin, before)
    assert [one[1] for one in ours[:3]] == ["/api/status", "/api/user", "/api/orgs"]
    assert set(ours) <= set(asked)
    assert said.startswith("sfs://test/hugo/sctest-run/")
    assert not (cli.folder / "c").exists()


def test_archives_are_of_the_same_files(cli: Cli, sc: Sc, tmp_path: Path) -> None:
    both(cli, sc, "recipe.yaml", "jobs.json", "--sync", "code:lib", "--batch-size", "3")
    held = []
    for name in ("sc", "ours"):
        base = tmp_path / f"base-{name}"
        archives = sorted(path.relative_to(base).parent for path in base.rglob("*.tar.gz"))
        names = set()
        for path in base.rglob("*.tar.gz"):
            with tarfile.open(path) as tar:
                names |= {one.name for one in tar if one.isreg()}
        held.append((archives, names))
    assert held[0] == held[1]
    assert held[0][1] == {"work.py", "0.json", "1.json", "2.json"}


def test_their_worker_executes_our_chunks_and_summaries_agree(cli: Cli, sc: Sc, tmp_path: Path) -> None:
    cli.write("b.toml", f'[batch]\nremote_output_path = "file://{tmp_path}/o"\nnprocs = 2\n'
              '[[runs]]\ncmd = "echo a; exit 4"\n[[runs]]\ncmd = "echo b"\n[[runs]]\ncmd = "true"\n'
              f'[saturn]\nworker = "sc"\nfile_syncs_base_dir_url = "file://{tmp_path}/base"\n'
              'commands_directory = "c"\n')  # fmt: skip
    cli("split", "recipe.yaml", "b.toml", "--batch-size", "2")
    chunk = tmp_path / "c" / "0.json"
    commands = recipe_files.read(tmp_path / "c" / "recipe.yaml")["spec"]["command"]
    assert all(re.fullmatch(r"sc batch /tmp/commands/[0-9a-f-]+/[01]\.json", one) for one in commands)
    sc("batch", str(chunk))
    cells = [
        [re.split(" {2,}", line.strip()) for line in text.splitlines() if line.startswith(("comp", "err", "inc"))]
        for text in (cli("summarize-batch", str(chunk))[0], sc("summarize-batch", str(chunk)).stdout)
    ]  # fmt: skip
    assert cells[0] == cells[1]
    assert [cell[:2] for cell in cells[0]] == [["error", "4"], ["completed", "0"]]
    # what their worker has completed is completed for us, too
    out, _ = cli("split", "recipe.yaml", "b.toml")
    assert "including 1 incomplete runs\nincluding 1 failed runs\nskipping 1 completed runs\n" in out
    out, _ = cli("split", "recipe.yaml", "b.toml", "--always")
    assert "including 3 runs\n" in out


@pytest.mark.parametrize("form", ["json", "table"])
def test_get_prints_the_same(cli: Cli, sc: Sc, form: str) -> None:
    seed = recipe_files.loads(recipes.SEED)
    seed["spec"]["command"] = "x"
    cli.standin.add(seed)
    words = ("get", "job", "sctest-run", "--owner", "test/hugo", "--output", form)
    lines = [line.rstrip() for line in sc(*words).stdout.splitlines()]
    assert [line.rstrip() for line in cli(*words)[0].splitlines()] == lines


def test_options_prints_the_same(cli: Cli, sc: Sc) -> None:
    for words in (("options", "--glob", "*xlarge"), ("options", "--option-type", "disk_space")):
        assert cli(*words)[0] == sc(*words).stdout


def _of_sc(sc: Sc) -> Callable[..., str]:
    return lambda *words: str(sc(*words).stdout)


def _of_ours(cli: Cli) -> Callable[..., str]:
    return lambda *words: cli(*words)[0]


def test_apply_start_and_stop_say_the_same(cli: Cli, sc: Sc, tmp_path: Path) -> None:
    recipe = recipes.job(command=["true"], working_directory=str(tmp_path))
    recipes.write(recipe, tmp_path / "r.yaml")
    said, asked = [], []
    for run in (_of_sc(sc), _of_ours(cli)):
        before = len(cli.standin.requests)
        base = ("--sync", "code", "--file-syncs-base-dir-url", f"file://{tmp_path}/base")
        first = run("apply", "r.yaml", "--start", *base).splitlines()[-2:]
        cli.standin.wait("my-job")
        said.append([first, run("start", "job", "my-job")])
        cli.standin.wait("my-job")
        said[-1].append(run("stop", "job", "my-job", "--owner", "test/hugo"))
        asked.append([one[:2] for one in essences(cli.standin, before)])
    assert said[0] == said[1]
    ours = [one for one in asked[1] if one[1] != "/api/status"]
    assert ours == [one for one in asked[0] if one[1] != "/api/status"]


# what sc does not do


def test_nprocs_from_the_instance_type_is_asked_only_then(cli: Cli, sc: Sc) -> None:
    words = ("--file-syncs-base-dir-url", "file://base", "--local-commands-directory", "c")
    cli("split", "recipe.yaml", "jobs.json", *words, SATURN_BASE_URL=None, SATURN_TOKEN=None)
    assert cli.standin.requests == []
    out, _ = cli("split", "recipe.yaml", "bare.yaml", *words, "--instance-type", "p38xlarge")
    assert "defaulting nprocs to GPU: 4\n" in out
    assert json.loads((cli.folder / "c/0.json").read_text())["nprocs"] == 4
    cli("split", "recipe.yaml", "jobs.json", *words, "--nprocs", "3")  # sc keeps the file's
    assert json.loads((cli.folder / "c/0.json").read_text())["nprocs"] == 3


def test_only_older_chunks_are_removed(cli: Cli) -> None:
    words = ("--file-syncs-base-dir-url", "file://base", "--local-commands-directory", "c", "--batch-size")
    cli.write("c/notes.json", "{}")
    cli.write("c/77.json", '{"mine": 1}')
    cli("split", "recipe.yaml", "jobs.json", *words, "2")
    cli("split", "recipe.yaml", "jobs.json", *words, "4")
    names = sorted(path.name for path in (cli.folder / "c").iterdir())
    assert names == ["0.json", "1.json", "77.json", "notes.json", "recipe.yaml"]
    cli.write("c/1.json", '{"mine": 1}')
    assert "1.json: not a chunk" in cli.refused("split", "recipe.yaml", "jobs.json", *words, "2")
    assert len(json.loads((cli.folder / "c/0.json").read_text())["runs"]) == 4


def test_paths_are_quoted(cli: Cli, tmp_path: Path) -> None:
    out, _ = cli(
        "split", "recipe.yaml", "jobs.json", "--file-syncs-base-dir-url", "file://base", "--batch-size=7",
        "--local-commands-directory", "c d", "--remote-commands-directory", "/m/it's $(here)",
    )  # fmt: skip
    assert out.endswith("next: pydoit-sc apply 'c d/recipe.yaml' --start\n")
    spec = recipe_files.read(tmp_path / "c d" / "recipe.yaml")["spec"]
    assert spec["command"] == ["""pydoit-sc batch '/m/it'"'"'s $(here)/0.json'"""]


def test_splits_into_one_folder_are_for_folders_of_their_own(cli: Cli, tmp_path: Path) -> None:
    words = ("--file-syncs-base-dir-url", "file://base", "--local-commands-directory", "c", "--max-jobs", "1")
    seen = set()
    for _ in range(2):
        cli("split", "recipe.yaml", "jobs.json", *words)
        chunk = json.loads((tmp_path / "c/0.json").read_text())
        (command,) = recipe_files.read(tmp_path / "c/recipe.yaml")["spec"]["command"]
        assert command == f"pydoit-sc batch /tmp/commands/{chunk[OURS]['submission']}/0.json"
        seen.add(command)
    assert len(seen) == 2


def test_empty_values_of_a_recipe_count_as_none(cli: Cli) -> None:
    """As Saturn Cloud takes them."""
    recipe = recipe_files.read(cli.folder / "recipe.yaml")
    recipe.update(type=None)
    recipe["spec"].update(scale=None)
    cli.write("empty.yaml", recipe_files.dumps(recipe))
    words = ("split", "empty.yaml", "jobs.json", *SPLIT[3:])
    assert "using scale of 1 from the recipe\n" in cli(*words)[0]
    recipe["spec"].update(name="")
    cli.write("empty.yaml", recipe_files.dumps(recipe))
    assert "empty.yaml: `spec` has no `name`; --name gives one" in cli.refused(*words)


# errors: one message, exit 3, nothing half written


SPLIT = (
    "split",
    "recipe.yaml",
    "bare.yaml",
    "--local-commands-directory",
    "c",
    "--file-syncs-base-dir-url",
    "file://base",
)
Error = tuple[tuple[str, ...], dict[str, str | None], "Trick | None", str]
ERRORS: list[Error] = [
    (SPLIT, {"SATURN_BASE_URL": None}, None, r"`SATURN_BASE_URL` is not set"),
    (SPLIT, {"SATURN_TOKEN": None}, None, r"`SATURN_TOKEN` is not set"),
    (SPLIT, {"SATURN_BASE_URL": "http://app.example.com"}, None, r"use https"),
    (SPLIT, {"SATURN_TOKEN": "wrong"}, None, r"`SATURN_TOKEN` is not accepted"),
    (SPLIT, {}, Trick("servers", 401), r"`SATURN_TOKEN` is not accepted"),
    (SPLIT, {}, Trick("servers", 403), r"may not do this"),
    (SPLIT, {}, Trick("servers", 404), r"not found"),
    (SPLIT, {}, Trick("servers", 418), r"refused with 418"),
    (SPLIT, {}, Trick("servers", 200, b"<html>"), r"expected JSON"),
    (SPLIT, {}, Trick("servers", 200, b'{"sizes": []}'), r"expected an object under `sizes`"),
    ((*SPLIT, "--instance-type", "r6xlarge"), {}, None, r"unknown instance type `r6xlarge`; did you mean `r6axlarge`\?"),
    ((*SPLIT, "--nprocs", "none"), {}, None, r"--nprocs: expected a number of at least 1, found `none`"),
    ((*SPLIT, "--nproc", "4", "--sync", "gone"), {}, None, r"gone: no such folder"),
    ((*SPLIT, "--nprocs", "4", "--sync", "a:b:c"), {}, None, r"expected SRC or SRC:DEST"),
    ((*SPLIT, "--skip-complete-d"), {}, None, r"did you mean `--skip-completed`"),
    (("split", "recipe.yaml"), {}, None, r"split: expected RECIPE BATCH, found recipe.yaml"),
    (("split", "no.yaml", "jobs.json"), {}, None, r"no.yaml: no such file"),
    (("split", "recipe.yaml", "no.yaml"), {}, None, r"no.yaml: no such file"),
    (("split", "bare.yaml", "jobs.json"), {}, None, r"bare.yaml: a recipe needs `spec`"),
    (("split",), {}, None, r"there is no batchfile.toml"),
    (("apply", "bare.yaml"), {}, None, r"bare.yaml: a recipe needs `spec`"),
    (("apply", "recipe.yaml"), {}, Trick("recipes", 403), r"may not do this"),
    (("get", "job", "x"), {}, None, r"there is no job `x`"),
    (("get", "jbo", "x"), {}, None, r"unknown resource type `jbo`; did you mean `job`"),
    (("get", "job", "x", "-o", "toml"), {}, None, r"expected one of yaml, json, table, found `toml`"),
    (("clone", "workspace", "x", "job"), {}, None, r"expected TYPE NAME NEWTYPE NEWNAME"),
    (("clone", "workspace", "x", "job", "y"), {}, None, r"there is no workspace `x`"),
    (("options", "--option-type", "size"), {}, None, r"unknown option `size`; did you mean `sizes`"),
    (("options", "more"), {}, None, r"options: expected no word, found more"),
    (("stop", "job", "x"), {}, None, r"there is no job `x`"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=[f"{one[0][0]} {one[3]}" for one in ERRORS])
def test_errors(cli: Cli, refused: Callable[..., str], error: Error) -> None:
    words, env, trick, said = error
    cli.standin.tricks = [trick] if trick else []
    before = {path for path in cli.folder.rglob("*") if "base" not in path.parts}
    message = refused(*words, **env)
    assert re.search(said, message), message
    assert "\n" not in message
    assert cli.standin.token not in message
    assert {path for path in cli.folder.rglob("*") if "base" not in path.parts} == before


@pytest.mark.parametrize(
    ("trick", "said"),
    [
        (Trick("servers", 500), "ERROR: GET .*/api/info/servers: .*failed with 500 (out of order)"),
        (Trick("servers", delay=3), "ERROR: GET .*/api/info/servers: no answer within 1 s"),
        (Trick("servers", hang_up=True), "ERROR: GET .*/api/info/servers: the connection broke off"),
    ],
    ids=["500", "time-out", "broken"],
)
def test_a_server_that_fails_or_is_silent(
    cli: Cli, trick: Trick, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, with waits that are shorter than the program's own."""
    from pydoit_sc.commands import options
    from pydoit_sc.saturn.account import Account
    from pydoit_sc.saturn.client import SaturnClient
    from pydoit_sc.saturn.policy import Policy
    from pydoit_sc.tasks.program import run_program

    # A server of a busy machine answers late, too: only the silent one is given up early.
    quick = Policy(read_timeout=1.0 if trick.delay else 30.0, first_delay=0.001, attempts=2)
    settings = Account.from_env(cli.standin.env())
    monkeypatch.setattr(options, "connect", lambda: SaturnClient(settings, quick))
    cli.standin.tricks = [trick]
    assert run_program(["options"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(said.replace("(", r"\(").replace(")", r"\)") + "\n", err), err
