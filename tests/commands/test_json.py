"""`--json`: every command that prints a table prints it for programs, in the shape that its help tells."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from doit.exceptions import InvalidCommand

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.results import ResultsCommand
from pydoit_sc.store import open_store
from pydoit_sc.submissions.notes import new_note, write_note
from pydoit_sc.tasks.program import run_program
from tests.commands.test_results import RUNS, put
from tests.conftest import Box
from tests.saturn.recipes import job
from tests.saturn.standin import Standin

#: The commands without a table, but for `run`, whose figures tests/commands/test_run.py has.
NONE = {
    "run", "info", "report", "fetch", "logs", "debug", "clean", "forget", "accept", "ignore", "batch", "split", "apply",
    "submit", "cancel", "scale", "pause", "resume", "clone", "start", "stop", "job-logs", "init", "schema",
    "tabcompletion", "help",
}  # fmt: skip

#: What the others are given, and the keys of what they print: of a table, or of each one in a list.
SHAPES: dict[str, tuple[str, str]] = {
    "plan": ("", "runs to_execute moved max_failures expected execute"),
    "status": ("", "stages total"),
    "list": ("--all -s", "name doc status"),
    "summarize-batch": ("", "status status_code remote_output_path cmd name reason seconds memory host submission started finished"),
    "results": ("", "name x model seconds memory loss"),
    "failures": ("", "group count status_code failure stderr runs"),
    "history": ("a:1", "run attempt id started finished seconds status_code reason memory host submission"),
    "verify": ("", "name fault repair"),
    "reproduce": ("a:1", "name how"),
    "submissions": ("", "submission engine user host when runs completed failed jobs hindrances"),
    "options": ("", "name cores gpu memory display_name"),
    "get": ("job my-job", "schema_version type spec state"),
}  # fmt: skip
#: Those of which the store, or the user, says more.
DYNAMIC = {"x", "schema_version", "model", "loss", "display_name", "type", "spec", "state"}


@pytest.fixture
def project(box: Box, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A batch with a run of each kind, of which one is not whole, and a submission that has ended."""
    box.batchfile(RUNS)
    put(box, "1", {"m.json": '{"loss": 1}'})
    put(box, "2", {}, 7)
    (box.folder / "out/a/2/stderr").unlink()
    note = new_note(
        id="20261126-1", engine="local", batch="b", chunks=1, runs=2, nprocs=1, scale=None, jobs=("1",)
    )
    write_note(open_store(f"{box.folder}/out", {}), note.but(ended=True))
    monkeypatch.chdir(box.folder)
    before = signal.getsignal(signal.SIGINT)
    yield box
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def printed(project: Box, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Any]:
    """Return what a command prints with --json, all of it; `reproduce` executes a run, so it gets a process."""

    def printed(line: str) -> Any:
        words = [*line.split(), "--json"]
        if words[0] == "reproduce":
            project("run", "-a", "a:1")
            return json.loads(project(*words).out)
        assert run_program(words) in (0, 1)
        return json.loads(capsys.readouterr().out)

    return printed


def test_every_command_is_known() -> None:
    assert not NONE & SHAPES.keys()
    assert NONE | SHAPES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", sorted(SHAPES.keys() - {"options", "get"}))
def test_shapes(printed: Callable[[str], Any], command: str) -> None:
    _check(printed, command)


def _check(printed: Callable[[str], Any], command: str) -> None:
    words, keys = SHAPES[command]
    found = printed(f"{command} {words}")
    for one in found if isinstance(found, list) else [found]:
        assert " ".join(one) == keys
    assert found


def test_shapes_of_saturn_cloud(printed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with Standin() as standin:
        for name, value in standin.env().items():
            monkeypatch.setenv(name, value)
        _check(printed, "options")
        standin.add(job())
        _check(printed, "get")


@pytest.mark.parametrize("command", SHAPES)
def test_the_help_tells_the_shape(command: str) -> None:
    module, _, name = COMMANDS[command].location.partition(":")
    kind = getattr(import_module(module), name)
    options = {one["name"]: one["help"] for one in kind.cmd_options}
    text = f"{options['as_json']} {kind.doc_description}"
    if command != "get":  # a recipe, which docs/saturn.md has
        assert [key for key in SHAPES[command][1].split() if key not in text and key not in DYNAMIC] == []


def test_what_is_in_them(printed: Callable[[str], Any]) -> None:
    planned = printed("plan")
    assert [one["name"] for one in planned["execute"]] == ["a:2", "a:3"]
    assert list(planned["execute"][0]) == ["name", "status", "reason", "cmd"]
    assert (planned["runs"], planned["to_execute"]) == (3, 2)
    assert printed("verify")[0]["fault"] == "stderr: missing"
    assert printed("submissions")[0]["runs"] == 2
    assert [one["name"] for one in printed("list --code 7")] == ["a:2"]


@pytest.mark.parametrize(
    "line", ["plan", "list", "summarize-batch", "results", "failures", "verify", "status", "history"]
)
def test_where_nothing_matches_there_is_nothing_in_it(printed: Callable[[str], Any], line: str) -> None:
    found = printed(f"{line} --code 9")
    rows = {"plan": lambda: found["execute"], "status": lambda: found["stages"]}.get(line, lambda: found)()
    assert rows == []


def test_one_format(project: Box) -> None:
    with pytest.raises(InvalidCommand, match="expected one format, found --json and --format csv"):
        ResultsCommand(config={}).parse_execute(["--json", "--format", "csv"])


def test_a_default_is_no_second_format(project: Box, capsys: pytest.CaptureFixture[str]) -> None:
    assert ResultsCommand(config={"results": {"format": "csv"}}).parse_execute(["--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)
