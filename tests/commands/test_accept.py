"""`accept`: stale outcomes are taken as current, until something else changes."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.accept import AcceptCommand
from pydoit_sc.plan import plan
from pydoit_sc.project import Project
from pydoit_sc.submissions.choose import earlier_fingerprints
from tests.conftest import HEAD, Box
from tests.starts import PROGRAMS

STAGES = f"""{HEAD}[runs.a]
cmd = "echo {{s}} >> log; exit $(cat code.{{s}})"
file_dep = ["work.py"]
matrix = {{ s = ["p", "q", "r"] }}
[runs.b]
cmd = "true"
after = ["a:p", "a:q"]
"""


@pytest.fixture
def edited(box: Box) -> Box:
    """A batch whose runs have been executed, one with a failure, and whose script has been edited then."""
    box.batchfile(STAGES)
    box.write("work.py", "1")
    for name, code in (("p", "0"), ("q", "0"), ("r", "7")):
        box.write(f"code.{name}", code)
    assert box().code == 1
    box.write("work.py", "1  # a comment")
    return box


def status(box: Box) -> dict[str, str]:
    """Return the runs that would execute, as any machine sees them."""
    project = Project.load(str(box.folder / "batchfile.toml"))
    planned = plan(project.ledger, project.batch.stages)
    return {item.run.key: item.verdict.reason for item in planned if item.verdict.execute}


def accept(box: Box, *words: str, yes: bool = True) -> int:
    command = AcceptCommand()
    options: dict[str, object] = {
        str(option["name"]): option["default"] for option in AcceptCommand.cmd_options
    }
    options |= {"batchfile": str(box.folder / "batchfile.toml"), "yes": yes}
    return command.call(options, list(words))


def test_what_is_accepted_is_current_until_it_changes_again(
    edited: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = "a file_dep has changed"
    assert {key: status(edited)[key] for key in ("a/p", "a/q")} == {"a/p": changed, "a/q": changed}
    assert accept(edited, "a:p", "a:r") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 error: cannot be accepted",
        "  a:p  file_dep work.py edited",
        "1 accepted",
    ]
    assert status(edited).keys() == {"a/q", "a/r", "b"}  # b: after a:q, which is going to be executed
    assert accept(edited, "a") == 0
    assert status(edited).keys() == {"a/r"}
    assert accept(edited, "a:p") == 0
    assert capsys.readouterr().out.endswith("no outcome to accept\n")
    edited.write("work.py", "2")
    assert status(edited).keys() == {"a/p", "a/q", "a/r", "b"}
    edited.write("work.py", "1")
    assert status(edited).keys() == {"a/r"}  # what it was published for


def test_run_leaves_it_alone_and_forget_undoes_it(edited: Box) -> None:
    log = edited.folder / "log"
    before = log.read_text()
    accept(edited, "a")
    edited.write("code.r", "0")
    edited.ok("-q", "a")
    assert log.read_text() == before + "r\n"
    edited.ok("forget", "a:p")
    assert status(edited).keys() == {"a/p", "b"}
    edited.ok("-q")
    assert log.read_text() == before + "r\np\n"
    edited.write("work.py", "2")
    assert "a/p" in status(edited)  # another attempt: nothing is accepted of it


def test_a_worker_finds_accepted_runs_completed(edited: Box) -> None:
    accept(edited, "a:p", "a:q")
    project = Project.load(str(edited.folder / "batchfile.toml"))
    (run,) = project.batch.stages[1].runs
    said = {
        key: one
        for earlier in run.after
        for key, one in earlier_fingerprints(project.ledger, earlier).items()
    }
    assert said == {key: project.ledger.records[key].fingerprint for key in ("a/p", "a/q")}


def test_nothing_is_accepted_unasked(edited: Box, capsys: pytest.CaptureFixture[str]) -> None:
    done = edited("accept", "a:p")
    assert (done.code, done.out) == (3, "  a:p  file_dep work.py edited\n")
    assert done.err == "ERROR: nothing was accepted; --yes accepts without asking\n"
    assert edited("accept").refused() == "ERROR: accept: name the runs or stages\n"
    assert not (edited.folder / "out/.pydoit_sc/accepted").exists()
    assert "a/p" in status(edited)
    assert "accept --yes month" in COMMANDS["accept"].examples


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 3), (b"n\n", 3), (b"y\n", 0)])
def test_on_a_terminal_it_asks(edited: Box, answer: bytes, code: int) -> None:
    ours, its = pty.openpty()
    words = [str(PROGRAMS / "pydoit-sc"), "accept", "a:p"]
    with subprocess.Popen(
        words, cwd=edited.folder, env=edited.env, stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        os.write(ours, answer)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 1 << 16)
    os.close(ours)
    assert b"accept this 1 outcome as current?" in shown
    assert process.returncode == code
    assert ("a/p" in status(edited)) == bool(code)


def test_a_bad_note_is_told_and_ignored(edited: Box) -> None:
    accept(edited, "a")
    edited.write("out/.pydoit_sc/accepted/x.json", "[")
    done = edited("plan")
    assert done.out.startswith("1 of 4 runs to execute: 1 failed before")
    assert done.err.count("\n") == 1
    assert "accepted/x.json: is not what `accept` writes, and is ignored; delete it" in done.err
